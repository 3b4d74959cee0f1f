/**
 * VIPs that are addresses of the node: refused or warned of, and where they are meant, no packet for one reaches a socket of the
 * host, whatever frame it comes in, and whether the node's process lives or was killed: on each engine, with real sockets.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { NODE_ENGINES } from '#anyhop/core/engines.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { flows } from '../engine/contract-frames.js';
import { createLink, here, LINK, letXdpArrive, NODE4, NODE6, type NodeLink } from '../engine/link.js';
import { sendFrames } from '../engine/send-frames.js';
import { VIP4, VIP6 } from '../forward/fixture.js';
import { missingForIsolation } from '../isolation.js';
import { frame, ipv4, ipv6, payload, udp } from '../packets/build.js';
import { FLAGS, refusal, sendFlows, startRun, writeFleet } from './run-fixture.js';

/** No service has it. */
const PORT = 9000;
const TIMEOUT_MS = 10_000;
/** After the last packet that must arrive: time for one that must not. */
const SILENCE_MS = 200;

interface Around {
  readonly name: string;
  readonly ethernet: Parameters<typeof frame>[0];
  /** Whether Linux takes the packet for the host's own where nothing keeps it away. */
  readonly reaches: boolean;
}

const service = { id: 0, tpid: 0x88a8 };
const AROUND: readonly Around[] = [
  { name: 'plain', ethernet: {}, reaches: true },
  ...[1, 2, 3, 4, 7, 8, 9, 40].map((tags) => ({
    name: `${tags} priority tags`,
    ethernet: { vlans: Array<number>(tags).fill(0) },
    reaches: true,
  })),
  { name: 'priority tags of both types', ethernet: { vlans: [service, 0, service] }, reaches: true },
  { name: 'a VLAN behind priority tags', ethernet: { vlans: [0, 0, 5] }, reaches: false },
  { name: 'a tag of type 0x9100', ethernet: { vlans: [{ id: 0, tpid: 0x9100 }] }, reaches: false },
  { name: 'broadcast', ethernet: { dst: 'ff:ff:ff:ff:ff:ff' }, reaches: true },
  { name: 'multicast', ethernet: { dst: '33:33:00:00:00:01' }, reaches: true },
  { name: 'broadcast, tagged', ethernet: { dst: 'ff:ff:ff:ff:ff:ff', vlans: [0, 0, 0] }, reaches: true },
  { name: 'another machine', ethernet: { dst: '02:00:00:00:77:01' }, reaches: false },
];

/** A datagram for each VIP in each frame, told apart by its source port. */
const ATTEMPTS = AROUND.flatMap(({ name, ethernet, reaches }, i) =>
  ([4, 6] as const).map((family) => {
    const sport = 20_000 + 2 * i + (family === 4 ? 0 : 1);
    const ip = family === 4 ? ipv4({ src: '10.0.0.2', dst: VIP4 }) : ipv6({ src: 'fd00::2', dst: VIP6 });
    const bytes = frame(ethernet, ip, udp({ sport, dport: PORT }), payload(10));
    return { name: `${name}, IPv${family}`, sport, reaches, bytes };
  }),
);
const OWN_SPORT = 30_000;
const OWN = frame(
  {},
  ipv4({ src: '10.0.0.2', dst: NODE4 }),
  udp({ sport: OWN_SPORT, dport: PORT }),
  payload(10),
);

describe('a VIP that is an address of the node', { skip: missingForIsolation('nft', 'ethtool') }, () => {
  let link: NodeLink | undefined;
  afterEach(() => link?.resources.close());

  const open = async (engine: string): Promise<NodeLink> => {
    link = await createLink();
    if (engine !== 'portable') await letXdpArrive(link);
    return link;
  };

  for (const engine of NODE_ENGINES) {
    test(`is refused at the start, with how it is permitted: ${engine}`, async () => {
      const node = await open(engine);
      const bpffs = node.resources.bpffs();
      for (const what of ['addr', 'route'] as const) {
        const address = what === 'addr' ? [`${VIP4}/32`] : ['local', VIP4];
        await node.onNode('ip', what, 'add', ...address, 'dev', 'lo');
        const { status, stderr } = refusal(node, [
          '-c',
          writeFleet(node, { node: { engine, bpffs } }),
          ...FLAGS,
        ]);
        assert.match(stderr, new RegExp(`the VIP ${VIP4} is an address of this host`));
        assert.match(stderr, /node\.local_vips: true/);
        assert.equal(status, 3);
        await node.onNode('ip', what, 'del', ...address, 'dev', 'lo');
      }
    });

    test(`is refused in any case when the node speaks to backends by it: ${engine}`, async () => {
      const node = await open(engine);
      await node.onNode('ip', 'addr', 'add', `${VIP4}/32`, 'dev', LINK);
      await node.onNode('ip', 'route', 'replace', 'default', 'via', '10.0.0.2', 'src', VIP4);
      const file = writeFleet(node, { node: { engine, bpffs: node.resources.bpffs(), local_vips: true } });
      const { status, stderr } = refusal(node, ['-c', file, ...FLAGS]);
      assert.match(stderr, new RegExp(`the VIP ${VIP4} is the address by which this host itself speaks`));
      assert.equal(status, 3);
    });

    test(`is warned of when it becomes one later, with what that does to checks: ${engine}`, async () => {
      const node = await open(engine);
      const timing = { interval: '300ms', timeout: '200ms', fall: 1 };
      const health = ['tcp', 'tunnel'].map((kind) => ({ kind, ...timing }));
      const file = writeFleet(node, { node: { engine, bpffs: node.resources.bpffs() }, health });
      const flags = FLAGS.flatMap((flag) => (flag === '10.0.0.1' ? [flag, '--source', 'fd00::1'] : [flag]));
      const run = await startRun(node, ['-c', file, ...flags]);
      await node.onNode('ip', 'addr', 'add', `${VIP4}/32`, 'dev', 'lo');
      const { level, msg } = await run.waitForEvent('vip_local', TIMEOUT_MS);
      assert.match(String(msg), /pool web through the tunnel get no answer.*node\.local_vips: true/);
      assert.equal(level, WARN);
      await run.stop('SIGINT');
    });

    test(`is refused by a reload, which leaves in force what was: ${engine}`, async () => {
      const node = await open(engine);
      const settings = { engine, bpffs: node.resources.bpffs() };
      const file = writeFleet(node, { node: settings });
      const run = await startRun(node, ['-c', file, ...FLAGS]);
      await node.onNode('ip', 'addr', 'add', '203.0.113.99/32', 'dev', 'lo');
      const config = JSON.parse(readFileSync(file, 'utf8'));
      config.services.push({ ...config.services[0], name: 'late', vip: '203.0.113.99' });
      writeFileSync(file, JSON.stringify(config));
      process.kill(run.pid, 'SIGHUP');
      const said = await run.waitForLine(
        (line) => line.includes('203.0.113.99 is an address of this host'),
        'refusal',
        TIMEOUT_MS,
      );
      assert.match(said, /node\.local_vips: true/);
      assert.equal((await sendFlows(node, flows(20))).gre4, 20);
      await run.stop('SIGINT');
    });

    test(`is out of reach by any frame, also when the process is killed: ${engine}`, async () => {
      const node = await open(engine);
      await node.onNode('ip', 'addr', 'add', `${VIP4}/32`, 'dev', 'lo');
      await node.onNode('ip', 'addr', 'add', `${VIP6}/128`, 'dev', 'lo', 'nodad');
      await node.onPeer('ip', 'route', 'add', VIP4, 'via', NODE4);
      await node.onPeer('ip', 'route', 'add', VIP6, 'via', NODE6);
      const argv = [process.execPath, here('sink-process.js'), String(PORT)];
      const sink = await node.resources.startProcess('sink', node.node, argv);
      await sink.waitForLine((text) => text === 'ready', 'ready', TIMEOUT_MS);

      const file = writeFleet(node, { node: { engine, bpffs: node.resources.bpffs(), local_vips: true } });
      const killed = await startRun(node, ['-c', file, ...FLAGS]);
      assert.deepEqual(await reached(node, sink), [], 'while it runs');
      assert.equal((await sendFlows(node, flows(20))).gre4, 20, 'and it forwards');
      killed.kill();
      await killed.exited;
      assert.deepEqual(await reached(node, sink), [], 'when it was killed');
      for (const vip of [VIP4, VIP6]) assert.equal(await connects(node, vip), false, `TCP to ${vip}`);

      const next = await startRun(node, ['-c', file, ...FLAGS]);
      assert.deepEqual(await reached(node, sink), [], 'when it runs again');
      await next.stop('SIGINT');
      // What was kept away could have reached the socket.
      const expected = ATTEMPTS.filter(({ reaches }) => reaches).map(({ name }) => name);
      assert.deepEqual(await reached(node, sink), expected, 'when it was stopped');
      for (const vip of [VIP4, VIP6]) assert.equal(await connects(node, vip), true, `TCP to ${vip}`);
    });
  }
});

/** Of pino. */
const WARN = 40;

/** Sends all attempts, and a datagram to the node's own address. @returns the names of those that reached the socket */
async function reached(node: NodeLink, sink: LabProcess): Promise<string[]> {
  const before = sink.lines.length;
  await sendFrames(node, [...ATTEMPTS.map(({ bytes }) => bytes), OWN]);
  const got = (sport: number): boolean => sink.lines.slice(before).includes(`got ${sport}`);
  const deadline = performance.now() + TIMEOUT_MS;
  while (!got(OWN_SPORT)) {
    assert.ok(performance.now() < deadline, 'the host can be reached by its own address');
    await delay(20);
  }
  await delay(SILENCE_MS);
  return ATTEMPTS.filter(({ sport }) => got(sport)).map(({ name }) => name);
}

async function connects({ onPeer }: NodeLink, vip: string): Promise<boolean> {
  const script = `
    const end = (answer) => { console.log(answer); process.exit(); };
    require('net').connect(${PORT}, '${vip}', () => end('yes')).on('error', () => end('no'));
    setTimeout(end, 1000, 'no');`;
  return (await onPeer(process.execPath, '-e', script)).trim() === 'yes';
}
