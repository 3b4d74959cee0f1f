/**
 * What does a packet cost the XDP program? Times by BPF_PROG_TEST_RUN beside a floor program in the same harness
 * (bench/xdp/harness.ts), on one CPU, with the program loaded several times over (bench/xdp/loads.ts). Each line is a ratio of whole times with its target; the note has the times.
 *
 *   node build/bench/xdp.js [--quick] [--steps] [--object FILE]
 *
 * `--steps` takes each step of the program out and says what it costs; `make bench-xdp STEPS=1` builds what that takes.
 * `--object` measures another object file than dist/native/forward.bpf.o. Needs root.
 */
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { L } from '#anyhop/core/layout.gen.js';
import type { Image } from '#anyhop/image/read.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { FIRST_CLIENT4, FIRST_CLIENT6 } from '../scripts/native/clients.js';
import { sizesFor } from '../scripts/native/forwarder.js';
import { type FixtureBackend, type FixtureOptions, imageOf, VIP4, VIP6 } from '../test/forward/fixture.js';
import { missingForIsolation } from '../test/isolation.js';
import { frame, ipv4, ipv6, NODE_MAC, payload, tcp, udp } from '../test/packets/build.js';
import { macBytes } from '../test/packets/layer.js';
import { median, report, skip } from './report.js';
import { measureCapture, measureCaptureRate } from './xdp/capture.js';
import { type Contender, type Series, spread, type Traffic } from './xdp/harness.js';
import { type Load, Loads } from './xdp/loads.js';
import { measureScaling } from './xdp/scaling.js';
import { measureSteps } from './xdp/steps.js';
import { measureVeth } from './xdp/veth.js';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    steps: { type: 'boolean', default: false },
    object: { type: 'string' },
  },
});
const LOADS = options.quick ? 2 : 5;
/** Of each load. */
const TURNS = options.quick ? { turns: 2, packets: 2048 } : { turns: 9, packets: 1 << 18 };
const VETH_TURNS = options.quick ? { turns: 1, packets: 20_000 } : { turns: 15, packets: 400_000 };
const SLOTS = 65537;
const PORT = 80;
/** The last one: interrupts tend to go to the first. */
const CPU = availableParallelism() - 1;
const FLOWS = 1 << 16;
const FLOWS_MANY = 1 << 20;

interface Scenario {
  readonly name: string;
  readonly image: Image;
  readonly traffic: Traffic;
  /** The most that the time may be, over the floor's. */
  readonly target?: number;
}

const backends4 = (count: number): FixtureBackend[] =>
  Array.from({ length: count }, (_, i) => ({ address: `10.1.${(i + 1) >> 8}.${(i + 1) & 255}` }));
const backends6 = (count: number): FixtureBackend[] =>
  Array.from({ length: count }, (_, i) => ({ address: `fd00:1::${(i + 1).toString(16)}` }));

function image(fixture: FixtureOptions): Image {
  return imageOf({ mac: macBytes(NODE_MAC), slots: SLOTS, ...fixture });
}
/** One service a VIP; every one with a pool of its own. */
function manyServices(vips: readonly string[], backends: number): Image {
  return image({
    pools: Object.fromEntries(vips.map((_, i) => [`pool${i}`, backends4(backends)])),
    services: vips.map((vip, i) => ({ vip, protocol: 'tcp', port: PORT, pool: `pool${i}` })),
  });
}
/** 60 bytes, 64 on the wire; IPv6 74 and 78. */
const tcp4 = (vip: string): Uint8Array =>
  frame({}, ipv4({ src: FIRST_CLIENT4, dst: vip }), tcp({ sport: 1024, dport: PORT }), payload(6));
const tcp6 = (vip: string): Uint8Array =>
  frame({}, ipv6({ src: FIRST_CLIENT6, dst: vip }), tcp({ sport: 1024, dport: PORT }));
const udp4 = (vip: string): Uint8Array =>
  frame({}, ipv4({ src: FIRST_CLIENT4, dst: vip }), udp({ sport: 1024, dport: PORT }), payload(18));
/** A bare ACK, which Ethernet pads by 6 bytes. */
const padded4 = (vip: string): Uint8Array => {
  const ack = frame({}, ipv4({ src: FIRST_CLIENT4, dst: vip }), tcp({ sport: 1024, dport: PORT }));
  return Uint8Array.from({ length: 60 }, (_, i) => ack[i] ?? 0);
};

const one4 = { services: [{ vip: VIP4, protocol: 'tcp', port: PORT }] } as const;
const one6 = { services: [{ vip: VIP6, protocol: 'tcp', port: PORT }] } as const;
const keyed = { secondChance: true } as const;
const alternates = {
  alternate: (slot: number, backends: number): number => (slot + 1) % backends,
  second: (slot: number, backends: number): number => (slot + 2) % backends,
};
const VIPS = Array.from({ length: 20 }, (_, i) => `203.0.113.${i + 10}`);

const plain = image({ ...one4, pools: { web: backends4(100) } });
const one = (frame: Uint8Array): Traffic => ({ flows: FLOWS, frames: [frame] });
const scenarios: Scenario[] = [
  { name: 'IPv4 TCP, 1 service, 64k flows', image: plain, traffic: one(tcp4(VIP4)), target: 1.42 },
  {
    name: 'IPv6 TCP over IPv4',
    image: image({ ...one6, pools: { web: backends4(100) } }),
    traffic: one(tcp6(VIP6)),
    target: 1.45,
  },
  {
    name: 'IPv6 TCP over IPv6',
    image: image({ ...one6, pools: { web: backends6(100) } }),
    traffic: one(tcp6(VIP6)),
    target: 1.45,
  },
  {
    name: 'IPv4 TCP over IPv6',
    image: image({ ...one4, pools: { web: backends6(100) } }),
    traffic: one(tcp4(VIP4)),
  },
  {
    name: 'IPv4 TCP, second-chance key written',
    image: image({
      services: [{ ...one4.services[0], ...keyed }],
      pools: { web: backends4(100) },
      ...alternates,
    }),
    traffic: one(tcp4(VIP4)),
    target: 1.55,
  },
  {
    name: 'IPv4 TCP, second-chance key written, while the flow hash key changes',
    image: image({
      services: [{ ...one4.services[0], ...keyed }],
      pools: { web: backends4(100) },
      ...alternates,
      former: { secret: new Uint8Array(16), holders: (slot, backends) => [(slot + 3) % backends, L.NONE] },
    }),
    traffic: one(tcp4(VIP4)),
  },
  {
    name: 'IPv6 TCP over IPv6, second-chance key written',
    image: image({
      services: [{ ...one6.services[0], ...keyed }],
      pools: { web: backends6(100) },
      ...alternates,
    }),
    traffic: one(tcp6(VIP6)),
  },
  {
    name: 'IPv4 UDP',
    image: image({
      services: [{ vip: VIP4, protocol: 'udp', port: PORT }],
      pools: { web: backends4(100) },
    }),
    traffic: one(udp4(VIP4)),
    target: 1.6,
  },
  { name: 'IPv4 TCP, bare ACKs, padded', image: plain, traffic: one(padded4(VIP4)), target: 1.6 },
  {
    name: 'IPv4 TCP, a range of ports',
    image: image({
      services: [{ vip: VIP4, protocol: 'tcp', port: [PORT, PORT + 9] }],
      pools: { web: backends4(100) },
    }),
    traffic: one(tcp4(VIP4)),
  },
  {
    name: 'IPv4 TCP, a second range of ports, the long way',
    image: image({
      services: [
        { vip: VIP4, protocol: 'tcp', port: [PORT, PORT + 9] },
        { vip: VIP4, protocol: 'tcp', port: [1000, 1999] },
      ],
      pools: { web: backends4(100) },
    }),
    traffic: one(tcp4(VIP4)),
  },
  {
    name: 'IPv4 TCP, 20 services, 1M flows, 1000 backends',
    image: manyServices(VIPS, 50),
    traffic: { flows: FLOWS_MANY, frames: VIPS.map(tcp4) },
    target: 2.1,
  },
  {
    name: 'IPv4 TCP, 20 services, 1M flows, 1000 backends each',
    image: manyServices(VIPS, 1000),
    traffic: { flows: FLOWS_MANY, frames: VIPS.map(tcp4) },
  },
];

const object = options.object ?? fileURLToPath(new URL('../../dist/native/forward.bpf.o', import.meta.url));
const missing = missingForIsolation('ethtool') || (existsSync(object) ? false : `needs ${object}`);
if (missing !== false) skip('xdp', missing);
else await measure();

async function measure(): Promise<void> {
  const loads = new Loads(LOADS, CPU, sizesFor(scenarios.map((scenario) => scenario.image)), object);
  const [{ forwarder, harness, subject }] = loads.all;

  /** Runs the contenders; those that are the forwarder must have ended every packet in the one verdict. */
  const compare = (
    image: Image,
    verdict: string,
    contendersOf: (load: Load) => readonly Contender[],
  ): Series[] => {
    loads.publish(image);
    const before = loads.verdicts();
    const series = loads.compare(TURNS, contendersOf);
    const after = loads.verdicts();
    const counted = Object.keys(after).filter((name) => after[name] !== before[name]);
    const runs = contendersOf(loads.all[0]).filter((contender) => contender.subject === subject).length;
    const expected = LOADS * runs * (TURNS.turns + 1) * TURNS.packets;
    if (counted.length !== 1 || (after[verdict] ?? 0) - (before[verdict] ?? 0) !== expected) {
      throw new Error(`not all of ${expected} packets were ${verdict}: ${JSON.stringify({ before, after })}`);
    }
    return series;
  };

  for (const { name, image, traffic, target } of scenarios) {
    const [grown, empty, forwarded] = compare(image, 'forwarded', ({ harness, subject }) =>
      [harness.floor, harness.pass, subject].map((each) => ({ subject: each, traffic })),
    );
    const [whole, least, wrapper] = [forwarded, grown, empty].map(({ ns }) => median(ns).toFixed(1));
    report({
      bench: `xdp, ${name}, over the floor`,
      value: median(forwarded.ratios),
      unit: 'x',
      target,
      note: `ratio ${spread(forwarded.ratios, 2)}; ns: ${whole}, floor ${least}, wrapper alone ${wrapper}`,
    });
  }

  const [single, many] = compare(plain, 'forwarded', ({ subject }) =>
    [1, FLOWS_MANY].map((flows) => ({ subject, traffic: { flows, frames: [tcp4(VIP4)] } })),
  );
  report({
    bench: 'xdp, IPv4 TCP, 1M flows over 1 flow',
    value: median(many.ratios),
    unit: 'x',
    target: 1.05,
    note: `ratio ${spread(many.ratios, 2)}; ns: ${median(many.ns).toFixed(1)}, 1 flow ${median(single.ns).toFixed(1)}`,
  });

  const traffic = { flows: FLOWS, frames: [tcp4('192.0.2.1')] };
  const [passed, untouched] = compare(plain, 'pass_not_vip', ({ harness, subject }) => [
    { subject: harness.pass, traffic },
    { subject, traffic },
  ]);
  const added = untouched.ns.map((ns, turn) => ns - passed.ns[turn]);
  report({
    bench: 'xdp, a packet for the host, over an XDP_PASS program',
    value: median(added),
    unit: 'ns',
    target: 9,
    note: `added ${spread(added, 1)}; ns: ${median(untouched.ns).toFixed(1)}, XDP_PASS ${median(passed.ns).toFixed(1)}`,
  });

  measureCapture(loads, plain, one(tcp4(VIP4)), TURNS);

  // This process has a CPU of its own now, so availableParallelism() would say 1.
  if (CPU > 0) {
    forwarder.publish(plain);
    measureScaling(CPU + 1, subject, harness.floor.program, one(tcp4(VIP4)), {
      ...TURNS,
      turns: LOADS * TURNS.turns,
    });
  }

  forwarder.publish(plain);
  const before = forwarder.verdicts()['forwarded'] ?? 0;
  const targets = [{ address: parseAddress(VIP4)!, port: PORT, protocol: 'tcp' as const }];
  const offered = { targets, flows: FLOWS, sizes: [64], synShare: 0 };
  const veth = await measureVeth(subject, CPU, offered, VETH_TURNS);
  const forwarded = (forwarder.verdicts()['forwarded'] ?? 0) - before;
  if (forwarded < veth.arrived)
    throw new Error(`veth: ${veth.arrived} packets came, ${forwarded} were forwarded`);
  const millions = (rates: readonly number[]): string => (median(rates) / 1e6).toFixed(2);
  report({
    bench: 'xdp, veth, one core, share of a bare XDP_TX program',
    value: median(veth.shares),
    unit: 'of its rate',
    target: 0.86,
    higherIsBetter: true,
    note: `share ${spread(veth.shares, 3)}; million packets/s: ${millions(veth.subject)}, XDP_TX ${millions(veth.bare)}`,
  });
  await measureCaptureRate(subject, CPU, offered, VETH_TURNS);
  if (options.steps) {
    const vip = vipAtFirstPlace();
    const services = [{ ...one4.services[0], vip }];
    const single = image({ services, pools: { web: backends4(100) } });
    measureSteps(loads, single, { flows: FLOWS, frames: [tcp4(vip)] }, TURNS);
  }
  loads.close();
}

/** A VIP whose lane is at the first place. */
function vipAtFirstPlace(): string {
  const found = VIPS.find((vip) => {
    const { words } = image({ services: [{ ...one4.services[0], vip }] });
    return words[words[(L.HEADER_LANES + L.LANES_OFFSET4) / 4] / 4] !== -1;
  });
  if (found === undefined) throw new Error('no VIP is at the first place');
  return found;
}
