/**
 * What does each engine forward, and what does it add to a round trip when it is half loaded? Beside the kernel's own
 * forwarding of plain packets, in the same lab (bench/engines/lab.ts). UDP of 64 bytes on the wire, 4096 flows, IPv4.
 *
 * A rate is what comes back when the generator offers all that one core can make. Generator, the kernel's part and sink share
 * that core; an engine's process, client and server have the others. Round trips are those of
 * requests beside a load of half that rate; what requests take without a node in their way, beside the same load and in turns
 * with the others, is taken off.
 * `--quick` measures a little of it.
 */
import { availableParallelism } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { NODE_ENGINES, type NodeEngine } from '#anyhop/core/engines.js';
import { buildImage, type ImageInput } from '#anyhop/image/build.js';
import { Image } from '#anyhop/image/read.js';
import { inside } from '../scripts/native/attached.js';
import type { Generated } from '../scripts/native/generator.js';
import { devLibrary } from '../scripts/native/object.js';
import { type RoundTrips, roundTrips } from '../scripts/native/round-trip.js';
import type { EngineRequest } from '../test/engine/engine-process.js';
import { here, LINK } from '../test/engine/link.js';
import { Peer } from '../test/engine/peer.js';
import { inputOf, VIP4 } from '../test/forward/fixture.js';
import { missingForIsolation } from '../test/isolation.js';
import { NODE_MAC, ROUTER_MAC } from '../test/packets/build.js';
import { macBytes } from '../test/packets/layer.js';
import { BACKEND4, EnginesLab, PORT } from './engines/lab.js';
import { report, skip } from './report.js';

const quick = process.argv.includes('--quick');
/** Of each path, in so many turns. */
const [RATE_SECONDS, REQUESTS, TURNS] = quick ? [0.2, 20, 1] : [2, 500, 4];
const GAP_US = 1000;
const GENERATOR_CPU = 0;
const TRAFFIC = fileURLToPath(new URL('../scripts/traffic.js', import.meta.url));
/** From the generator's first run, which takes that long to set up, to the first request. */
const LOAD_UP_MS = 300;
const PACKETS_MAX = '1e12';
/** A machine that stands still for a moment spoils what is measured meanwhile. */
const ATTEMPTS = 3;

type Contender = 'kernel' | NodeEngine;

const missing =
  missingForIsolation('nft', 'ethtool', 'sysctl') || (availableParallelism() < 2 && 'needs two CPUs');
if (missing !== false) skip('engines', missing);
else {
  // Before anything is started, which then keeps off it too: a generator never rests.
  devLibrary.call('ERR_NATIVE', 'anyhop_dev_avoid', GENERATOR_CPU);
  const lab = await EnginesLab.create();
  try {
    await measure(lab);
  } finally {
    await lab.close();
  }
}

async function measure(lab: EnginesLab): Promise<void> {
  for (const name of ['kernel', ...NODE_ENGINES] as const) {
    const { rate, node, direct, lost } = await withEngine(lab, name, async () => {
      const rate = await measureRate(lab, name);
      return { rate, ...(await underLoad(lab, rate / 2)) };
    });
    for (const [label, share] of [
      ['p50', 0.5],
      ['p99', 0.99],
    ] as const) {
      const [through, without] = [quantile(node, share), quantile(direct, share)];
      report({
        bench: `engines, ${name}: round trip added at half load, ${label}`,
        value: Math.max(0, through - without), // less than nothing is noise
        unit: 'us',
        note: `${through.toFixed(1)} us, ${without.toFixed(1)} without a node; load ${Math.round(rate / 2).toLocaleString('en')} packets/s; ${lost} of ${REQUESTS * TURNS} lost`,
      });
    }
  }
}

/** The image of a service with one backend, behind the peer. */
function image(): Image {
  const input: ImageInput = inputOf({
    mac: macBytes(NODE_MAC),
    slots: 65537,
    pools: { web: [{ address: BACKEND4, agent: false, mtu: 2000 }] },
    services: [{ vip: VIP4, protocol: 'udp', port: PORT }],
  });
  const pools = input.pools.map((pool) => ({
    ...pool,
    backends: pool.backends.map((backend) => ({ ...backend, destinationMac: macBytes(ROUTER_MAC) })),
  }));
  return new Image(buildImage({ ...input, pools }));
}

/** Does something while an engine runs on the node, or the kernel forwards. */
async function withEngine<T>(lab: EnginesLab, name: Contender, work: () => Promise<T>): Promise<T> {
  // libpcap and the kernel's stack see what a program passes on; the other engines have programs of their own.
  const needsPass = name === 'kernel' || name === 'portable';
  if (needsPass) await lab.letNodePass(true);
  try {
    if (name === 'kernel') return await work();
    const bpffs = name === 'xdp' ? [lab.link.resources.bpffs()] : [];
    const engine = new Peer<EngineRequest>(lab.link.node, here('engine-process.js'), [name, LINK, ...bpffs]);
    try {
      await engine.ask({ ask: 'start', image: image().bytes });
      const result = await work();
      await engine.ask({ ask: 'stop' });
      return result;
    } finally {
      await engine.close();
    }
  } finally {
    if (needsPass) await lab.letNodePass(false);
  }
}

/** Packets a second that come back when as many are offered as can be. */
async function measureRate(lab: EnginesLab, name: Contender): Promise<number> {
  const before = lab.sunk();
  const offered = await (await startLoad(lab, RATE_SECONDS)).ended;
  const rate = (lab.sunk() - before) / offered.seconds;
  if (rate === 0) throw new Error(`${name}: nothing came back of ${offered.packets} packets`);
  report({
    bench: `engines, ${name}: forwarded`,
    value: rate,
    unit: 'packets/s',
    note: `${Math.round(offered.rate).toLocaleString('en')} offered`,
  });
  return rate;
}

interface Trips {
  /** Microseconds. */
  readonly node: readonly number[];
  readonly direct: readonly number[];
  /** On the way through the node. */
  readonly lost: number;
}

/** Round trips beside a load of which at least half was forwarded. */
async function underLoad(lab: EnginesLab, rate: number): Promise<Trips> {
  for (let attempt = 1; ; attempt++) {
    const { trips, packets, came } = await tripsUnderLoad(lab, rate);
    if (came >= packets / 2) return trips;
    if (attempt === ATTEMPTS) throw new Error(`${came} of ${packets} packets of load were forwarded`);
  }
}

async function tripsUnderLoad(
  lab: EnginesLab,
  rate: number,
): Promise<{ trips: Trips; packets: number; came: number }> {
  const asking = (2 * TURNS * REQUESTS * GAP_US) / 1e6;
  const before = lab.sunk();
  const load = await startLoad(lab, asking * 1.2 + (2 * LOAD_UP_MS) / 1000, rate);
  await delay(LOAD_UP_MS);
  const node: RoundTrips[] = [];
  const direct: RoundTrips[] = [];
  for (let turn = 0; turn < TURNS; turn++) {
    await lab.route('direct');
    direct.push(await ask(lab));
    await lab.route('node');
    node.push(await ask(lab));
  }
  const { packets } = await load.ended;
  const trips = {
    node: node.flatMap(({ us }) => us),
    direct: direct.flatMap(({ us }) => us),
    lost: node.reduce((sum, { lost }) => sum + lost, 0),
  };
  return { trips, packets, came: lab.sunk() - before };
}

function ask(lab: EnginesLab): Promise<RoundTrips> {
  return inside(lab.link.peer, () => roundTrips(VIP4, PORT, REQUESTS, GAP_US));
}

/** The generator, in a process of its own. */
async function startLoad(
  { link }: EnginesLab,
  seconds: number,
  rate?: number,
): Promise<{ ended: Promise<Generated> }> {
  const options = [
    '--interface',
    LINK,
    '--mac',
    NODE_MAC,
    '--to',
    `udp:${VIP4}:${PORT}`,
    '--flows',
    '4096',
    '--json',
  ];
  const limits = ['--count', PACKETS_MAX, '--seconds', String(seconds), '--cpu', String(GENERATOR_CPU)];
  const paced = rate === undefined ? [] : ['--rate', String(rate)];
  const argv = [process.execPath, TRAFFIC, ...options, ...limits, ...paced];
  const generator = await link.resources.startProcess('generator', link.peer, argv);
  const ended = generator.exited.then(({ code }): Generated => {
    if (code !== 0) throw new Error(`the generator failed\n${generator.tail()}`);
    return JSON.parse(generator.lines.at(-1)!);
  });
  return { ended };
}

/** @throws Error when there is none */
function quantile(times: readonly number[], share: number): number {
  if (times.length === 0) throw new Error('no request was answered');
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}
