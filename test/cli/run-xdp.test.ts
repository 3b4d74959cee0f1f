/** `anyhop run` with the engine xdp, and `anyhop stop`: what stays in the kernel, who takes it over, and who takes it away. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { LabProcess } from '../../scripts/lab/process.js';
import { devObjectPath } from '../../scripts/native/object.js';
import { flows } from '../engine/contract-frames.js';
import { forgeAbout } from '../engine/forge.js';
import { createXdpLink, LINK } from '../engine/link.js';
import { missingForIsolation, withRuntimeDirectory } from '../isolation.js';
import {
  FLAGS,
  finalCounters,
  MAIN,
  refusal,
  runStop,
  sendFlows,
  startRun,
  writeFleet,
} from './run-fixture.js';

const NAME_BPF_LOADS = new URL('./name-bpf-loads.js', import.meta.url).href;
const NOBODY = 65534;
const EVENT_TIMEOUT_MS = 5000;
const ALL = { gre4: 20, gre6: 0 };
const NONE = { gre4: 0, gre6: 0 };
/** What an XDP program takes, and a driver without native XDP for large frames. */
const JUMBO_MTU = 9000;

describe('anyhop run with the engine xdp', { skip: missingForIsolation('ethtool', 'setpriv') }, () => {
  let link: Awaited<ReturnType<typeof createXdpLink>>;
  let file: string;
  beforeEach(async () => {
    link = await createXdpLink();
    file = writeFleet(link, { node: { engine: 'xdp', bpffs: link.bpffs } });
  });
  afterEach(() => link?.resources.close());

  const start = (prefix: readonly string[] = []): Promise<LabProcess> =>
    startRun(link, ['-c', file, ...FLAGS], prefix);
  const send = (): Promise<typeof ALL> => sendFlows(link, flows(20));
  const stop = (...args: string[]) => runStop(link, ...args);
  const stopHere = () => stop('--interface', LINK, '--bpffs', link.bpffs);
  const program = async (): Promise<unknown> =>
    JSON.parse(await link.onNode('ip', '-json', 'link', 'show', 'dev', LINK))[0].xdp?.prog?.name;
  /** What is anyhop's: `ip` makes directories of its own in the first BPF file system that it finds. */
  const pins = (): string[] => readdirSync(link.bpffs).filter((name) => name === 'anyhop');
  const requireNothingLeft = async (): Promise<void> => {
    assert.equal(await program(), undefined);
    assert.deepEqual(pins(), []);
  };

  test('goes on forwarding after SIGTERM, is adopted with its counters, and ended by anyhop stop', async () => {
    const first = await start();
    assert.deepEqual(await send(), ALL);
    assert.deepEqual(await first.stop('SIGTERM'), { code: 0, signal: null });
    assert.deepEqual(finalCounters(first).engine, { received: 20, sent: 20, sendFailed: 0, missed: 0 });
    assert.equal(await program(), 'anyhop_forward');
    assert.deepEqual(await send(), ALL);

    const second = await start();
    assert.ok(second.events.some(({ event }) => event === 'adopted'));
    assert.deepEqual(await send(), ALL);
    const refused = stopHere();
    assert.equal(refused.status, 3);
    assert.match(refused.stderr, /another "anyhop run" runs on interface eth0\n {2}End it first/);
    assert.deepEqual(await send(), ALL);
    await second.stop('SIGTERM');
    assert.equal(finalCounters(second).engine.received, 80);
    assert.equal(finalCounters(second).verdicts['forwarded'], 80);

    const stopped = stopHere();
    assert.equal(stopped.status, 0, stopped.stderr);
    assert.match(stopped.stdout, /^stopped forwarding on eth0: program \d+ \(native XDP, generation 2\)/);
    await requireNothingLeft();
    assert.deepEqual(await send(), NONE);
    const again = stop('-c', file, '--interface', LINK, '--bpffs', link.bpffs, '--json');
    assert.equal(again.status, 0, again.stderr);
    assert.deepEqual(JSON.parse(again.stdout), { interface: LINK, bpffs: link.bpffs, removed: null });
  });

  test('refuses to take over from another version of the flow hash, and with --force says what that breaks', async () => {
    const first = await start();
    await first.stop('SIGTERM');
    // Version 1 said nothing of its hash, and left another image.
    forgeAbout(link.bpffs, {
      layout: 'another',
      imageVersion: 3,
      version: '0.0.9',
      flowHashVersion: undefined,
    });
    for (const engine of ['xdp', 'auto']) {
      const { status, stderr } = refusal(link, ['-c', file, ...FLAGS, '--engine', engine]);
      assert.match(
        stderr,
        /what forwards on eth0 \(anyhop 0\.0\.9\) has version 1 of the flow hash, this anyhop version 2: .*\n {2}It goes on forwarding\. .*: anyhop run --force\.$/m,
      );
      assert.doesNotMatch(stderr, /no engine works here|without a gap/);
      assert.equal(status, 3);
      assert.deepEqual(await send(), ALL);
    }
    const forced = await startRun(link, ['-c', file, ...FLAGS, '--force']);
    const changed = forced.events.find(({ event }) => event === 'flow_hash_changed');
    assert.match(
      String(changed?.['msg']),
      /was replaced: version 1 of the flow hash was in force; nearly every flow has another backend now, and connections break$/,
    );
    assert.ok(!forced.events.some(({ msg }) => /without a gap/.test(String(msg))));
    assert.deepEqual(await send(), ALL);
    await forced.stop('SIGTERM');
    const second = await start();
    assert.ok(second.events.some(({ event }) => event === 'adopted'));
    await second.stop('SIGINT');
  });

  test('goes by --engine and --bpffs before the file, and anyhop stop by the file that is named', async () => {
    file = writeFleet(link, {
      node: { engine: 'portable', bpffs: join(link.resources.directory, 'nowhere') },
    });
    const run = await startRun(link, ['-c', file, ...FLAGS, '--engine', 'xdp', '--bpffs', link.bpffs]);
    assert.equal(run.events.find(({ event }) => event === 'engine')?.['engine'], 'xdp');
    await run.stop('SIGTERM');
    assert.deepEqual(pins(), ['anyhop']);
    file = writeFleet(link, { node: { engine: 'xdp', bpffs: link.bpffs, source: '10.0.0.1' } });
    const stopped = stop('-c', file, '--interface', LINK);
    assert.match(stopped.stdout, /^stopped forwarding on eth0/, stopped.stderr);
    assert.deepEqual(pins(), []);
  });

  test('mounts nothing at a path that may be mistyped, and says what to do if it is right', () => {
    const mistyped = join(link.resources.directory, 'bfp');
    const { status, stderr } = refusal(link, ['-c', file, ...FLAGS, '--bpffs', mistyped]);
    assert.match(
      stderr,
      new RegExp(
        `no BPF file system is mounted at ${mistyped}\n {2}If ${mistyped} is right, as root: mkdir -p ${mistyped} && mount`,
      ),
    );
    assert.equal(status, 3);
    assert.equal(existsSync(mistyped), false);
  });

  test('has the kernel check its program once at the first start, and not again when it is adopted', async () => {
    const named = ['env', `NODE_OPTIONS=--import=${NAME_BPF_LOADS}`];
    const loads = ({ lines }: LabProcess): number =>
      lines.filter((line) => /^loads .*forward\.bpf\.o$/.test(line)).length;
    const first = await start(named);
    assert.equal(loads(first), 1);
    await first.stop('SIGTERM');
    const second = await start(named);
    assert.equal(loads(second), 0);
    await second.stop('SIGINT');
  });

  test('keeps other engines off the interface while what it left forwards, and says how to end that', async () => {
    const run = await start();
    await run.stop('SIGTERM');
    for (const [engine, why] of [
      [
        'portable',
        /the program of the engine xdp is still on eth0\n {2}End it first: anyhop stop --interface eth0/,
      ],
      ['af_xdp', /eth0 has an XDP program already: anyhop_forward .*\n {2}.*anyhop stop --interface eth0/],
    ] as const) {
      const { status, stderr } = refusal(link, ['-c', file, ...FLAGS, '--engine', engine]);
      assert.match(stderr, why);
      assert.equal(status, 3);
    }
    assert.deepEqual(await send(), ALL);
    assert.equal(stopHere().status, 0);
  });

  test('gives the interface back on SIGINT', async () => {
    const run = await start();
    assert.deepEqual(await run.stop('SIGINT'), { code: 0, signal: null });
    await requireNothingLeft();
  });

  test('needs no root with five capabilities and a directory of its own, and says what is missing of these', async (t) => {
    for (const path of [link.resources.directory, file]) chownSync(path, NOBODY, NOBODY);
    const drop = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
    const user = [...withRuntimeDirectory(NOBODY), ...drop];
    const readable = spawnSync(drop[0], [...drop.slice(1), 'test', '-r', MAIN]).status === 0;
    if (!readable) return t.skip('needs a checkout that every user can read');
    const withCaps = (...names: string[]): string[] => {
      const list = names.map((name) => `+${name}`).join();
      return [...user, `--inh-caps=${list}`, `--ambient-caps=${list}`];
    };
    const args = ['-c', file, ...FLAGS];
    const missing = refusal(link, args, { prefix: withCaps('net_admin', 'net_raw') });
    assert.match(
      missing.stderr,
      /lacks CAP_BPF, CAP_PERFMON\n {2}.*AmbientCapabilities=CAP_NET_ADMIN CAP_BPF CAP_PERFMON/,
    );
    assert.equal(missing.status, 3);

    const five = withCaps('net_admin', 'bpf', 'perfmon', 'net_raw', 'ipc_lock');
    await link.onNode('chmod', '700', link.bpffs);
    const closed = refusal(link, args, { prefix: five });
    const command = /As root: (.*)/.exec(closed.stderr)?.[1];
    assert.ok(command, closed.stderr);
    await link.onNode('sh', '-c', command);

    const first = await start(five);
    assert.deepEqual(await send(), ALL);
    assert.deepEqual(await first.stop('SIGTERM'), { code: 0, signal: null });
    const second = await start(five);
    assert.ok(second.events.some(({ event }) => event === 'adopted'));
    assert.deepEqual(await send(), ALL);
    await second.stop('SIGINT');
    assert.equal(finalCounters(second).verdicts['forwarded'], 40);
    assert.equal(await program(), undefined);
    assert.deepEqual(readdirSync(join(link.bpffs, 'anyhop')), []);
  });

  test('leaves an interface to the XDP program of somebody else, and says whose it is', async () => {
    const theirs = ['object', devObjectPath('bench'), 'program', 'bench_pass'];
    await link.onNode('ip', 'link', 'set', 'dev', LINK, 'xdpdrv', ...theirs);
    const { status, stderr } = refusal(link, ['-c', file, ...FLAGS]);
    assert.match(
      stderr,
      /eth0 has an XDP program already: bench_pass \(id \d+, native\)\n {2}.*ip link set dev eth0 xdp off/,
    );
    assert.equal(status, 3);
    assert.equal(stopHere().status, 3);
    assert.equal(await program(), 'bench_pass');
    assert.deepEqual(pins(), []);
  });

  test('runs before the stack where the driver refuses, with its reason and what to do', async () => {
    await link.onPeer('ip', 'link', 'set', 'dev', LINK, 'xdpdrv', 'off');
    await link.onPeer('ip', 'link', 'set', 'dev', LINK, 'mtu', String(JUMBO_MTU));
    const run = await start();
    const generic = run.events.find(({ event }) => event === 'generic_xdp');
    assert.match(
      String(generic?.['msg']),
      /the driver of eth0 refuses XDP: .*Peer MTU is too large .*generic XDP instead/,
    );
    assert.match(String(generic?.['hint']), /ip link set dev eth0 mtu \d+/);
    const engine = run.events.find(({ event }) => event === 'engine');
    assert.match(String(engine?.['mode']), /^generic XDP/);
    assert.deepEqual(await send(), ALL);
    await run.stop('SIGINT');
    await requireNothingLeft();
  });

  test('warns that forwarding ends with it where its BPF file system does, and then ends it itself', async () => {
    const own = join(link.resources.directory, 'own');
    mkdirSync(own);
    file = writeFleet(link, { node: { engine: 'xdp', bpffs: own } });
    const run = await start(['sh', '-c', `mount -t bpf bpf ${own} && exec "$@"`, 'sh']);
    assert.ok(run.events.some(({ event }) => event === 'bpffs_private'));
    assert.deepEqual(await send(), ALL);
    assert.deepEqual(await run.stop('SIGTERM'), { code: 0, signal: null });
    assert.ok(!run.events.some(({ event }) => event === 'left_forwarding'));
    assert.equal(await program(), undefined);
  });

  test('leaves pins when it is killed and its interface is removed, which anyhop stop removes', async () => {
    const run = await start();
    run.kill();
    await run.exited;
    await link.onNode('ip', 'link', 'del', LINK);
    const stopped = stopHere();
    assert.equal(stopped.status, 0, stopped.stderr);
    assert.match(stopped.stdout, /^removed what was left in .*; no program was on eth0\n$/);
    assert.deepEqual(pins(), []);
  });

  test('ends when its interface is gone, and says so', async () => {
    const run = await start();
    await link.onNode('ip', 'link', 'del', LINK);
    await run.waitForEvent('stopping', EVENT_TIMEOUT_MS).catch(() => undefined);
    assert.equal((await run.exited).code, 1);
    assert.match(run.tail(), /the interface eth0 is gone, and the program with it/);
    assert.deepEqual(pins(), []);
  });
});
