/** Guarding the host: step by step against a made-up system (the real one is in host-namespace.test.ts). */
import assert from 'node:assert/strict';
import test from 'node:test';
import { AnyhopError, type ErrorCode } from '#anyhop/core/errors.js';
import type { RunTool } from '#anyhop/core/tool.js';
import { tableName } from '#anyhop/engine/host-filter.js';
import { guardHost } from '#anyhop/engine/portable/host.js';
import { requirePortable } from '#anyhop/engine/portable/requirements.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { lockInterface } from '#anyhop/underlay/lock.js';

const vips = ['203.0.113.10', '2001:db8:100::10'].map((text) => parseAddress(text)!);
const root = 'Uid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\nCapAmb:\t0000000000000000\n';
/** Tests run in parallel in one network namespace, and the lock is real: it takes root to make its directory. */
const LINK = `ah${process.pid}`;

const skip = process.geteuid?.() === 0 ? false : 'needs root';

interface System {
  flags?: string[];
  type?: string;
  features?: string;
  /** Comment of a table that is in place already. */
  stale?: string;
  /** A command that fails, by its start. */
  fails?: string;
}

/** A system of one interface, and everything that was run on it. */
function fake(system: System): { run: RunTool; changes: string[] } {
  const changes: string[] = [];
  const run: RunTool = async (program, args, input = '') => {
    const line = [program, ...args].join(' ');
    const ok = (stdout = '') => ({ code: 0, stdout, stderr: '' });
    if (system.fails !== undefined && line.startsWith(system.fails))
      return { code: 1, stdout: '', stderr: 'it broke' };
    if (line === 'ip -json -details link show') {
      const link = {
        ifname: LINK,
        ifindex: process.pid,
        mtu: 1500,
        flags: system.flags ?? ['UP'],
        link_type: system.type ?? 'ether',
      };
      return ok(JSON.stringify([{ ...link, address: '02:00:00:00:00:01' }]));
    }
    if (line === `ethtool -k ${LINK}`)
      return ok(system.features ?? 'generic-receive-offload: on\nlarge-receive-offload: off [fixed]\n');
    if (line === `nft list table netdev ${tableName(LINK)}`) {
      return system.stale === undefined
        ? { code: 1, stdout: '', stderr: 'Error: No such file or directory\n' }
        : ok(`table netdev ${tableName(LINK)} {\n\tcomment "${system.stale}"\n}\n`);
    }
    changes.push(
      line === 'nft -f -' ? (input.includes('hook ingress') ? 'nft install' : 'nft remove') : line,
    );
    return ok();
  };
  return { run, changes };
}

async function refuses(system: System, code: ErrorCode, message: RegExp): Promise<string[]> {
  const { run, changes } = fake(system);
  await assert.rejects(
    guardHost(LINK, { vips, macs: [] }, { run, processStatus: root }),
    (error: unknown) => {
      assert.ok(error instanceof AnyhopError, String(error));
      assert.equal(error.code, code);
      assert.match(`${error.message}\n${error.hint}`, message);
      return true;
    },
  );
  return changes;
}

test('the filter is put in place before offloads go off, and both are taken back', { skip }, async () => {
  const { run, changes } = fake({});
  const guard = await guardHost(LINK, { vips, macs: [] }, { run, processStatus: root });
  assert.deepEqual(changes, ['nft install', `ethtool -K ${LINK} gro off`]);
  assert.deepEqual(guard.switchedOff, ['gro']);
  assert.equal(guard.replacedStale, false);
  await guard.release();
  assert.deepEqual(changes.slice(2).sort(), [`ethtool -K ${LINK} gro on`, 'nft remove'].sort());
});

test('segmentation offloads go off one by one; those that are fixed stay', { skip }, async () => {
  const { run, changes } = fake({
    features:
      'tcp-segmentation-offload: on\n\ttx-tcp-segmentation: on\n\ttx-tcp6-segmentation: off\n\ttx-tcp-ecn-segmentation: on [fixed]\ngeneric-segmentation-offload: on\n',
  });
  const guard = await guardHost(LINK, { vips, macs: [] }, { run, processStatus: root });
  assert.deepEqual(guard.switchedOff, ['tx-tcp-segmentation', 'gso']);
  await guard.release();
  assert.ok(changes.includes(`ethtool -K ${LINK} tx-tcp-segmentation on gso on`));
});

test('offloads that are off already are left alone', { skip }, async () => {
  const { run, changes } = fake({ features: 'generic-receive-offload: off\nlarge-receive-offload: off\n' });
  const guard = await guardHost(LINK, { vips, macs: [] }, { run, processStatus: root });
  await guard.release();
  assert.deepEqual(changes, ['nft install', 'nft remove']);
});

test('what a killed predecessor had switched off is switched on in the end', { skip }, async () => {
  const { run, changes } = fake({
    stale: 'off: gro lro nonsense',
    features: 'generic-receive-offload: off\nlarge-receive-offload: off\n',
  });
  const guard = await guardHost(LINK, { vips, macs: [] }, { run, processStatus: root });
  assert.equal(guard.replacedStale, true);
  assert.deepEqual(guard.switchedOff, ['gro', 'lro']);
  await guard.release();
  assert.ok(changes.includes(`ethtool -K ${LINK} gro on lro on`));
});

test('when an offload cannot be switched off after all, the filter is taken back and the interface is free', {
  skip,
}, async () => {
  const changes = await refuses({ fails: `ethtool -K ${LINK} gro off` }, 'ERR_TOOL', /gro off: it broke/);
  assert.ok(changes.includes('nft remove'));
  const lock = await lockInterface('run', LINK, fake({}).run);
  await lock.release();
});

test('refusals change nothing and say what to do', { skip }, async () => {
  const cases: [System, ErrorCode, RegExp][] = [
    [{ flags: [] }, 'ERR_INTERFACE', /is down\nip link set .* up/],
    [{ type: 'none' }, 'ERR_INTERFACE', /not Ethernet but of type none/],
    [
      { features: 'large-receive-offload: on [fixed]' },
      'ERR_INTERFACE',
      /large-receive-offload of interface .* is on and cannot be switched off/,
    ],
  ];
  for (const [system, code, message] of cases) assert.deepEqual(await refuses(system, code, message), []);
});

test('an interface that is not there is refused, and those that are there are named', { skip }, async () => {
  const { run } = fake({});
  await assert.rejects(
    guardHost('nothing', { vips, macs: [] }, { run, processStatus: root }),
    (error: AnyhopError) => {
      assert.equal(error.code, 'ERR_INTERFACE');
      assert.equal(error.hint, `Ethernet interfaces here: ${LINK}.`);
      return true;
    },
  );
});

test('the second of two anyhops on one interface is refused until the first has let go', {
  skip,
}, async () => {
  const first = await guardHost(LINK, { vips, macs: [] }, { run: fake({}).run, processStatus: root });
  await refuses({}, 'ERR_INTERFACE', /another "anyhop run" runs on interface/);
  await first.release();
  const second = await guardHost(LINK, { vips, macs: [] }, { run: fake({}).run, processStatus: root });
  await second.release();
});

test('table names of different interfaces differ, and are names that nft takes', () => {
  const names = ['eth0', 'eth0.10', 'eth0-10', 'eth0_10', 'en@1', 'eth0_2e10'].map(tableName);
  assert.equal(new Set(names).size, names.length);
  for (const name of names) assert.match(name, /^[a-z][A-Za-z0-9_]*$/);
});

test('missing capabilities are named; root and ambient capabilities will do', () => {
  const status = (uid: number, effective: bigint, ambient: bigint): string =>
    `Uid:\t${uid}\t${uid}\t${uid}\t${uid}\nCapEff:\t${effective.toString(16).padStart(16, '0')}\nCapAmb:\t${ambient.toString(16).padStart(16, '0')}\n`;
  const both = (1n << 12n) | (1n << 13n);
  requirePortable(status(0, both, 0n));
  requirePortable(status(1000, both, both));
  assert.throws(() => requirePortable(status(0, 0n, 0n)), /lacks CAP_NET_ADMIN, CAP_NET_RAW/);
  assert.throws(() => requirePortable(status(1000, 1n << 13n, 0n)), /lacks CAP_NET_ADMIN$/);
  assert.throws(() => requirePortable(status(1000, both, 0n)), /the programs that it starts/);
});
