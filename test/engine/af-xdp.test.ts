/** What the af_xdp engine promises beyond the contract (contract.test.ts): on several queues, as VIPs change, at its end. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, afterEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Image } from '#anyhop/image/read.js';
import { type FixtureOptions, imageOf, VIP4 } from '../forward/fixture.js';
import { missingForIsolation, withRuntimeDirectory } from '../isolation.js';
import { frame, ipv4, NODE_MAC, payload, tcp } from '../packets/build.js';
import { macBytes } from '../packets/layer.js';
import type { Outcome } from './contract.js';
import { expected, flows } from './contract-frames.js';
import type { EngineRequest } from './engine-process.js';
import { createLink, here, LINK, type LinkOptions, NODE4, type NodeLink } from './link.js';
import { Peer } from './peer.js';
import type { WireRequest } from './wire-process.js';

const OTHER_VIP = '203.0.113.77';
const TUNNELLED = `ether src ${NODE_MAC} and (ip proto 47 or ip6 proto 47)`;
const TIMEOUT_MS = 5000;
const CAPABILITIES = '+net_admin,+net_raw,+bpf,+perfmon,+ipc_lock';
const NOBODY = ['--reuid=65534', '--regid=65534', '--clear-groups'];
const USER = [
  ...withRuntimeDirectory(65534),
  'setpriv',
  ...NOBODY,
  `--inh-caps=${CAPABILITIES}`,
  `--ambient-caps=${CAPABILITIES}`,
];
const OPTIONS: FixtureOptions = {
  mac: macBytes(NODE_MAC),
  pools: {
    web: [
      { address: '10.1.0.11', mtu: 1600 },
      { address: '10.1.0.12', mtu: 1600 },
    ],
  },
};

function imageFor(vips: readonly string[], generation = 1): Image {
  const services = vips.map((vip) => ({ vip, protocol: 'tcp', port: 80 }) as const);
  return imageOf({ ...OPTIONS, services, generation });
}

/** TCP packets for a VIP, each of a flow of its own. */
function framesFor(vip: string, count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) =>
    frame({}, ipv4({ src: '198.51.100.7', dst: vip }), tcp({ sport: 1024 + i, dport: 80 }), payload(10)),
  );
}

interface Bench {
  readonly link: NodeLink;
  readonly engine: Peer<EngineRequest>;
  readonly wire: Peer<WireRequest>;
  start(image: Image): Promise<void>;
  publish(image: Image): Promise<void>;
  counters(): Promise<Outcome>;
  /** Waits until so many packets have been decided on. */
  received(count: number): Promise<Outcome>;
  take(count: number): Promise<Uint8Array[]>;
}

describe('the af_xdp engine', { skip: missingForIsolation('setpriv', 'ethtool', 'ping') }, () => {
  const closing: (() => Promise<void>)[] = [];
  const closeAll = async (): Promise<void> => {
    for (const close of closing.splice(0).reverse()) await close();
  };
  afterEach(closeAll);
  after(closeAll);

  async function open(options: LinkOptions = {}, through: readonly string[] = []): Promise<Bench> {
    const link = await createLink([4], options);
    closing.push(() => link.resources.close());
    // Nothing but what the tests send: the kernel's own IPv6 would count among what is passed.
    for (const on of [link.onNode, link.onPeer])
      await on('sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1');
    const wire = new Peer<WireRequest>(link.peer, here('wire-process.js'), [LINK, TUNNELLED]);
    closing.push(() => wire.close());
    assert.equal(await wire.hello(), 'ready');
    const args = ['af_xdp', LINK];
    const engine = new Peer<EngineRequest>(link.node, here('engine-process.js'), args, process.env, through);
    closing.push(() => engine.close());
    const counters = async (): Promise<Outcome> => (await engine.ask({ ask: 'counters' })) as Outcome;
    return {
      link,
      engine,
      wire,
      counters,
      start: async (image) => void (await engine.ask({ ask: 'start', image: image.bytes })),
      publish: async (image) =>
        void (await engine.ask({ ask: 'publish', image: image.bytes, afterPackets: 0 })),
      async received(count) {
        const end = performance.now() + TIMEOUT_MS;
        // The kernel may still be sending what has arrived: then the next look differs.
        for (let before = ''; ; await delay(20)) {
          const outcome = await counters();
          const { received, ...rest } = outcome.engine;
          const now = JSON.stringify(rest);
          if (received >= count && now === before) return outcome;
          if (performance.now() > end) assert.fail(`${received} of ${count} packets arrived`);
          before = received >= count ? now : '';
        }
      },
      take: async (count) => (await wire.ask({ take: count, milliseconds: TIMEOUT_MS })) as Uint8Array[],
    };
  }

  test('forwards what comes in by each of two receive queues', async () => {
    const { link, engine, wire, start, received, take } = await open({ queues: 2 });
    const image = imageOf(OPTIONS);
    await start(image);
    assert.equal(await engine.ask({ ask: 'mode' }), 'copy mode, native XDP, 2 queues');
    const frames = flows(600);
    await wire.ask({ send: frames });
    const { engine: counters } = await received(frames.length);
    const wanted = expected({ sends: 'frame', onInterface: true }, image, frames).outputs;
    const outputs = await take(wanted.length);
    const sorted = (list: readonly Uint8Array[]): string[] =>
      list.map((bytes) => Buffer.from(bytes).toString('hex')).sort();
    assert.deepEqual(sorted(outputs), sorted(wanted));
    assert.deepEqual(counters, { received: 600, sent: 600, sendFailed: 0, missed: 0 });
    const statistics = await link.onNode('ethtool', '-S', LINK);
    for (const queue of [0, 1]) {
      const packets = Number(new RegExp(`rx_queue_${queue}_xdp_packets: (\\d+)`).exec(statistics)?.[1]);
      assert.ok(packets > 50, `queue ${queue} had ${packets} packets`);
    }
  });

  test('loses no packet while VIPs come and go: each is forwarded, or the host has it', async () => {
    const { wire, start, publish, received, engine, counters } = await open();
    await start(imageFor([VIP4]));
    const rounds = 20;
    const perVip = 200;
    const frames = Array.from({ length: perVip }, (_, i) => [
      framesFor(VIP4, perVip)[i],
      framesFor(OTHER_VIP, perVip)[i],
    ]).flat();
    const sending = (async () => {
      for (let round = 0; round < rounds; round++) await wire.ask({ send: frames });
    })();
    let done = false;
    void sending.finally(() => {
      done = true;
    });
    let generation = 1;
    while (!done) {
      generation++;
      await publish(imageFor(generation % 2 === 0 ? [VIP4, OTHER_VIP] : [VIP4], generation));
    }
    await sending;
    assert.ok(generation > 10, `${generation} generations`);
    await received(rounds * perVip);
    await delay(50);
    const outcome = await counters();
    const { forwarded = 0, pass_not_vip: passed = 0 } = outcome.verdicts;
    assert.equal(forwarded + passed, rounds * perVip * 2);
    assert.ok(passed > 0 && forwarded > rounds * perVip, `${passed} passed, ${forwarded} forwarded`);
    assert.deepEqual(outcome.engine, { received: forwarded, sent: forwarded, sendFailed: 0, missed: 0 });
    await engine.ask({ ask: 'stop' });
  });

  test('keeps what was counted when more services and backends come', async () => {
    const { wire, start, publish, received } = await open();
    await start(imageFor([VIP4]));
    await wire.ask({ send: framesFor(VIP4, 100) });
    await received(100);
    await publish(imageFor([VIP4, OTHER_VIP], 2));
    await wire.ask({ send: framesFor(OTHER_VIP, 50) });
    const { services, backends, verdicts } = await received(150);
    assert.deepEqual([services[0], services[2]], [100, 50]);
    assert.equal(backends[0] + backends[2], 150);
    assert.deepEqual(verdicts, { forwarded: 150 });
  });

  test('leaves nothing behind when it is killed, and the host has its packets back', async () => {
    const { link, engine, start } = await open();
    await link.onNode('ip', 'addr', 'add', `${VIP4}/32`, 'dev', 'lo');
    await link.onPeer('ip', 'route', 'add', `${VIP4}/32`, 'via', NODE4);
    const before = await link.onNode('ip', 'link', 'show', 'dev', LINK);
    await start(imageFor([VIP4]));
    assert.match(await link.onNode('ip', 'link', 'show', 'dev', LINK), /xdp/);
    await engine.kill();
    assert.equal(await link.onNode('ip', 'link', 'show', 'dev', LINK), before);
    await link.onPeer('ping', '-c', '1', '-W', '2', VIP4);
  });

  test('ends with the reason when its interface goes', async () => {
    const { link, engine, wire, start } = await open();
    await start(imageFor([VIP4]));
    await wire.close(); // its libpcap does not survive it
    await link.onNode('ip', 'link', 'del', 'dev', LINK);
    await assert.rejects(engine.ask({ ask: 'finished' }), {
      message: /interface is gone|no longer attached/,
    });
  });

  test('uses less than 2 % of a core when nothing comes in', async () => {
    const { engine, start, wire, received } = await open();
    await start(imageFor([VIP4]));
    await wire.ask({ send: framesFor(VIP4, 100) });
    await received(100);
    await delay(500);
    const [before, from] = [cpuNs(engine.pid), performance.now()];
    await delay(2000);
    const share = (cpuNs(engine.pid) - before) / ((performance.now() - from) * 1e6);
    assert.ok(share < 0.02, `${(share * 100).toFixed(2)} %`);
  });

  test('runs as an ordinary user with five capabilities', async (t) => {
    const { engine, start, wire, received } = await open({}, USER);
    try {
      await start(imageFor([VIP4]));
    } catch (error) {
      if (!/the process ended/.test(String(error))) throw error;
      t.skip('another user cannot read this folder');
      return;
    }
    await wire.ask({ send: framesFor(VIP4, 100) });
    const { engine: counters } = await received(100);
    assert.equal(counters.sent, 100);
    assert.match(readFileSync(`/proc/${engine.pid}/status`, 'utf8'), /^Uid:\t65534\t65534/m);
  });

  test('takes packets before the stack where the driver has no XDP for it', async () => {
    const { engine, wire, start, received } = await open({ mtu: 3600 });
    await start(imageFor([VIP4]));
    assert.equal(await engine.ask({ ask: 'mode' }), 'copy mode, generic XDP, 1 queue');
    await wire.ask({ send: framesFor(VIP4, 100) });
    const { engine: counters } = await received(100);
    assert.equal(counters.sent, 100);
  });

  test('says exactly what is missing', async () => {
    const { link } = await open();
    const missing = async (system: object): Promise<{ message: string; hint: string } | null> => {
      const argv = [process.execPath, here('requirements-process.js'), LINK, JSON.stringify(system)];
      return JSON.parse(await link.onNode(...argv));
    };
    assert.equal(await missing({}), null);
    const status = (bits: bigint): string => `CapEff:\t${bits.toString(16).padStart(16, '0')}\n`;
    const all = (1n << 12n) | (1n << 13n) | (1n << 14n) | (1n << 38n) | (1n << 39n);
    assert.match(
      (await missing({ kernel: '5.4.0-1-amd64' }))!.message,
      /^Linux 5\.4\.0-1-amd64 has no BPF links/,
    );
    const lacking = await missing({ status: status(all & ~(1n << 13n) & ~(1n << 38n)) });
    assert.equal(lacking?.message, 'the engine af_xdp lacks CAP_NET_RAW, CAP_PERFMON');
    const limits = 'Max locked memory         8388608              8388608              bytes\n';
    const unlocked = await missing({ status: status(all & ~(1n << 14n)), limits });
    assert.equal(
      unlocked?.message,
      'the packet memory of 16.0 MiB may not be locked: the limit is 8.0 MiB, and CAP_IPC_LOCK is missing',
    );
    await link.onNode('ip', 'link', 'set', 'dev', LINK, 'mtu', '9000');
    assert.equal(
      (await missing({}))?.message,
      `the MTU of ${LINK} is 9000: the engine af_xdp takes 3722 at most`,
    );
    await link.onNode('ip', 'link', 'set', 'dev', LINK, 'mtu', '1500', 'down');
    assert.equal((await missing({}))?.message, `interface ${LINK} is down`);
  });

  test('refuses an interface with fewer transmit than receive queues, or with an XDP program', async () => {
    const { link, start } = await open({ queues: 2 });
    await link.onNode('ethtool', '-L', LINK, 'tx', '1');
    await assert.rejects(start(imageFor([VIP4])), {
      code: 'ERR_INTERFACE',
      message: /2 receive but only 1 transmit/,
    });
    await link.onNode('ethtool', '-L', LINK, 'tx', '2');
    await start(imageFor([VIP4]));
    const argv = [process.execPath, here('requirements-process.js'), LINK];
    assert.match(JSON.parse(await link.onNode(...argv)).message, /has an XDP program already: anyhop_steer/);
  });
});

/** CPU time of a process, all its threads together. */
function cpuNs(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, task) => {
    const [running] = readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ');
    return sum + Number(running);
  }, 0);
}
