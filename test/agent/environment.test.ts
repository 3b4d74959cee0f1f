/** The check of the host, tried on machines that are made up: what is an error, what a warning, and what to do. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkEnvironment, type Finding } from '#anyhop/agent/environment.js';
import type { System } from '#anyhop/agent/system.js';
import { parseConfig } from '#anyhop/config/load.js';
import { AnyhopError } from '#anyhop/core/errors.js';
import { BpfObject } from '#anyhop/ffi/bpf.js';
import { bpfObjectPath } from '#anyhop/ffi/library.js';
import { parseAddress } from '#anyhop/packet/address.js';
import type { Link } from '#anyhop/underlay/link.js';
import { CONFIG } from './fixture.js';

const CAPABILITIES_ALL = '000001ffffffffff';

interface Machine extends Partial<Omit<System, 'addresses' | 'localAmong'>> {
  files?: Record<string, string>;
  addresses?: string[];
  /** Addresses that a local route makes this host's. */
  anyIp?: string[];
}

function links(isUp: boolean): ReadonlyMap<string, Link> {
  const link = (name: string, index: number, type: string): Link => ({
    name,
    index,
    mtu: 1500,
    isUp,
    hasCarrier: isUp,
    type,
    mac: undefined,
    kind: undefined,
    vlan: undefined,
  });
  return new Map([link('lo', 1, 'loopback'), link('eth0', 2, 'ether')].map((each) => [each.name, each]));
}

/** A backend as it should be, with some things different. */
function machine(o: Machine = {}): System {
  const files: Record<string, string> = {
    '/proc/self/status': `Name:\tnode\nCapEff:\t${CAPABILITIES_ALL}\nSeccomp:\t0`,
    '/proc/sys/net/ipv4/conf/all/rp_filter': '0',
    '/proc/sys/net/ipv4/conf/eth0/rp_filter': '0',
    '/proc/sys/net/core/bpf_jit_enable': '1',
    ...o.files,
  };
  const addresses = o.addresses ?? ['10.1.0.11', '203.0.113.10', '203.0.113.20', '2001:db8::10'];
  return {
    read: (path) => files[path] || undefined,
    links: o.links ?? (async () => links(true)),
    addresses: () => addresses.map((text) => parseAddress(text)!),
    localAmong: async (asked) =>
      new Set(
        asked.map(({ text }) => text).filter((text) => addresses.includes(text) || o.anyIp?.includes(text)),
      ),
    attachedXdp: o.attachedXdp ?? (() => undefined),
    pinnedProgram: o.pinnedProgram ?? (() => undefined),
  };
}

async function findings(
  o: Machine,
  networkInterface = 'eth0',
  own?: number,
  text = CONFIG,
): Promise<readonly Finding[]> {
  const config = parseConfig(text, 'a.yaml', {
    role: 'agent',
    env: {},
    overrides: { interface: networkInterface },
  });
  return (await checkEnvironment(config, machine(o), own)).findings;
}

async function onlyFinding(o: Machine, networkInterface?: string): Promise<[string, string, string, string]> {
  const found = await findings(o, networkInterface);
  assert.equal(found.length, 1, JSON.stringify(found));
  const [{ level, code, message, hint }] = found;
  return [level, code, message, hint];
}

test('a host that is set up right gives no finding', async () => {
  assert.deepEqual(await findings({}), []);
});

test('each missing capability is named; CAP_SYS_ADMIN stands for the younger two', async () => {
  const status = (capabilities: string): Machine => ({
    files: { '/proc/self/status': `CapEff:\t${capabilities}` },
  });
  const hint = 'run as root, or grant them (systemd: AmbientCapabilities=CAP_NET_ADMIN CAP_BPF CAP_PERFMON)';
  const lacks = async (capabilities: string, list: string): Promise<void> =>
    assert.deepEqual(await onlyFinding(status(capabilities)), [
      'error',
      'ERR_CAPABILITY',
      `this process lacks ${list}`,
      hint,
    ]);
  await lacks('0000000000000000', 'CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON');
  await lacks('0000000000001000', 'CAP_BPF, CAP_PERFMON');
  await lacks('000000c000000000', 'CAP_NET_ADMIN');
  assert.deepEqual(await findings(status('0000000000201000')), []);
  assert.deepEqual(await findings(status('000000c000001000')), []);
});

test('a missing interface is an error that lists those that are there, one that is down makes the host not ready', async () => {
  assert.deepEqual(await onlyFinding({}, 'eth9'), [
    'error',
    'ERR_INTERFACE',
    'there is no interface eth9',
    'there are: eth0, lo',
  ]);
  assert.deepEqual(await onlyFinding({ links: async () => links(false) }), [
    'not_ready',
    'ERR_INTERFACE',
    'eth0 is down',
    'ip link set dev eth0 up',
  ]);
});

test('a host that is none of the backends is refused, with both sides of the comparison', async () => {
  const [level, code, , hint] = await onlyFinding({
    addresses: ['10.9.9.9', '203.0.113.10', '203.0.113.20', '2001:db8::10'],
  });
  assert.deepEqual([level, code], ['error', 'ERR_ADDRESS']);
  assert.equal(
    hint,
    'the config has 10.1.0.11, 10.1.0.12, fd00:1::11, fd00:1::12; ' +
      'this host has 10.9.9.9, 203.0.113.10, 203.0.113.20, 2001:db8::10',
  );
});

test('each VIP of its pools that the host does not have makes it not ready, with the line that adds it', async () => {
  const missing = async (o: Machine, text?: string): Promise<string[][]> =>
    (await findings(o, 'eth0', undefined, text)).map(({ level, message, hint }) => [level, message, hint]);
  const elsewhere = ', or agent.vip_elsewhere: true where DNAT or a route takes it elsewhere';
  const dropped = 'is not on this host: packets for it are dropped (drop_vip_not_local)';
  const all = ['10.1.0.11', 'fd00:1::11', '203.0.113.20'];
  assert.deepEqual(await missing({ addresses: all }), [
    ['not_ready', `VIP 203.0.113.10 ${dropped}`, `ip addr add 203.0.113.10/32 dev lo${elsewhere}`],
    ['not_ready', `VIP 2001:db8::10 ${dropped}`, `ip addr add 2001:db8::10/128 dev lo nodad${elsewhere}`],
  ]);
  assert.deepEqual(await missing({ addresses: all, anyIp: ['203.0.113.10', '2001:db8::10'] }), []);
  assert.deepEqual(await missing({ addresses: all }, `${CONFIG}  vip_elsewhere: true\n`), []);
  // The IPv6 pool is not on this host, so no packet for its VIP comes here.
  assert.deepEqual(await missing({ addresses: ['10.1.0.11', '203.0.113.10', '203.0.113.20'] }), []);
});

test('rp_filter is judged by the larger of the two values, as the kernel does', async () => {
  const values = (all: string, own: string): Machine => ({
    files: { '/proc/sys/net/ipv4/conf/all/rp_filter': all, '/proc/sys/net/ipv4/conf/eth0/rp_filter': own },
  });
  for (const [all, own] of [
    ['1', '0'],
    ['0', '1'],
    ['1', '1'],
  ]) {
    const [level, , , hint] = await onlyFinding(values(all, own));
    assert.deepEqual([level, hint], ['warning', 'sysctl -w net.ipv4.conf.eth0.rp_filter=2']);
  }
  for (const [all, own] of [
    ['0', '0'],
    ['2', '1'],
    ['1', '2'],
  ]) {
    assert.deepEqual(await findings(values(all, own)), []);
  }
});

test('of a VLAN interface the line for rp_filter names it as sysctl wants it', async () => {
  const [vlan, rp] = ['eth0.100', '/proc/sys/net/ipv4/conf/eth0.100/rp_filter'];
  const there = async () => new Map([...links(true), [vlan, links(true).get('eth0')!]]);
  const [, , message, hint] = await onlyFinding({ links: there, files: { [rp]: '1' } }, vlan);
  assert.match(message, /strict on eth0\.100/);
  assert.equal(hint, 'sysctl -w net.ipv4.conf.eth0/100.rp_filter=2');
});

test("a foreign XDP program is refused, an agent's own is to be replaced", async () => {
  const attached = (name: string | undefined, mode: 'native' | 'generic' = 'native'): Machine => ({
    attachedXdp: () => ({ id: 7, mode, name }),
  });
  assert.deepEqual(await onlyFinding(attached('katran', 'generic')), [
    'error',
    'ERR_INTERFACE',
    'eth0 has an XDP program already: katran (id 7, generic)',
    'if nobody needs it: ip link set dev eth0 xdpgeneric off',
  ]);
  const [, , message, hint] = await onlyFinding(attached(undefined));
  assert.match(message, /name unknown \(id 7, native\)/);
  assert.match(hint, /agent\.bpffs .* CAP_SYS_ADMIN .* ip link set dev eth0 xdp off/);
  assert.deepEqual(await findings(attached('anyhop_agent')), []);
  // Without a name it is known by the pin of its link, and by whoever attached it.
  assert.deepEqual(await findings({ ...attached(undefined), pinnedProgram: () => 7 }), []);
  assert.equal((await findings({ ...attached(undefined), pinnedProgram: () => 8 })).length, 1);
  assert.deepEqual(await findings(attached(undefined), 'eth0', 7), []);
});

test('a JIT that is off is a warning', async () => {
  assert.equal(
    (await onlyFinding({ files: { '/proc/sys/net/core/bpf_jit_enable': '0' } }))[3],
    'sysctl -w net.core.bpf_jit_enable=1',
  );
});

test('without an interface the agent says where one can be given', async () => {
  const config = parseConfig(CONFIG, 'a.yaml', { role: 'agent', env: {} });
  await assert.rejects(
    checkEnvironment(config, machine()),
    (error) =>
      error instanceof AnyhopError && error.code === 'ERR_USAGE' && /--interface/.test(error.hint ?? ''),
  );
});

test('a BPF program that was not built is named, with what to do', async () => {
  assert.throws(
    () => new BpfObject(bpfObjectPath('no-such-program')),
    (error) =>
      error instanceof AnyhopError &&
      error.code === 'ERR_NATIVE' &&
      /no-such-program\.bpf\.o/.test(error.message),
  );
});
