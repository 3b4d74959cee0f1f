/** The traffic that the engine contract is tested with, and what has to come of it by the pipeline's own account. */
import { VERDICTS } from '#anyhop/core/layout.gen.js';
import { Lists } from '#anyhop/forward/lists.js';
import type { Image } from '#anyhop/image/read.js';
import { Runner, VIP4, VIP6 } from '../forward/fixture.js';
import {
  arpRequest,
  frame,
  frameOf,
  icmpEcho,
  icmpError,
  icmpv6Echo,
  ipv4,
  ipv4Fragments,
  ipv6,
  packet,
  payload,
  tcp,
  udp,
} from '../packets/build.js';
import type { EngineUnderTest, Outcome } from './contract.js';

export const CLIENT4 = '198.51.100.7';
export const CLIENT6 = '2001:db8:7::7';
/** What an engine on an interface leaves to the host, where the kernel's own packets come among it: nobody counts on it. */
export const PASSED: ReadonlySet<string> = new Set(
  VERDICTS.filter(({ action }) => action === 'pass').map(({ name }) => name),
);

/** TCP of as many flows, over IPv4 and IPv6 in turn. */
export function flows(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => {
    const segment = [tcp({ sport: 1024 + i, dport: 80 }), payload(10)];
    return i % 2 === 0
      ? frame({}, ipv4({ src: CLIENT4, dst: VIP4 }), ...segment)
      : frame({}, ipv6({ src: CLIENT6, dst: VIP6 }), ...segment);
  });
}

/** TCP of as many flows to another VIP, over IPv4. */
export function flowsTo(vip: string, count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) =>
    frame({}, ipv4({ src: CLIENT4, dst: vip }), tcp({ sport: 1024 + i, dport: 80 }), payload(10)),
  );
}

/** What a node answers itself: two echo requests, and two packets that fit the client's link but not the underlay. */
export function answered(): Uint8Array[] {
  const segment = [tcp({ sport: 5000, dport: 80 }), payload(1540)];
  return [
    frame({}, ipv4({ src: CLIENT4, dst: VIP4, id: 4711 }), icmpEcho({}), payload(56)),
    frame({}, ipv6({ src: CLIENT6, dst: VIP6 }), icmpv6Echo({}), payload(56)),
    frame({}, ipv4({ src: CLIENT4, dst: VIP4, df: true }), ...segment),
    frame({}, ipv6({ src: CLIENT6, dst: VIP6 }), ...segment),
  ];
}

/** What no backend and no client gets to see. */
export function unserved(): Uint8Array[] {
  return [
    frame({}, ipv4({ src: CLIENT4, dst: '10.0.0.1' }), udp({ sport: 5000, dport: 9 }), payload(10)),
    frame({}, ipv6({ src: CLIENT6, dst: 'fd00::1' }), udp({ sport: 5000, dport: 9 }), payload(10)),
    arpRequest({ sender: '10.0.0.2', target: '10.0.0.77' }),
    frame({ dst: '02:00:00:00:00:99' }, ipv4({ src: CLIENT4, dst: VIP4 }), tcp({ sport: 5000, dport: 80 })),
    frame({}, ipv4({ src: CLIENT4, dst: VIP4 }), tcp({ sport: 5000, dport: 81 }), payload(10)),
    frame({}, ipv6({ src: CLIENT6, dst: VIP6 }), udp({ sport: 5000, dport: 80 }), payload(10)),
    frame({}, ipv4({ src: CLIENT4, dst: VIP4, ttl: 1 }), tcp({ sport: 5000, dport: 80 })),
  ];
}

/** A little of everything. */
export function mixed(): Uint8Array[] {
  const query = [udp({ sport: 5353, dport: 53 }), payload(1200)];
  const embedded = packet(ipv4({ src: VIP4, dst: CLIENT4 }), tcp({ sport: 80, dport: 1030 }));
  return [
    ...answered(),
    ...unserved(),
    frame({}, ipv4({ src: CLIENT4, dst: VIP4 }), ...query),
    frame({}, ipv6({ src: CLIENT6, dst: VIP6 }), ...query),
    frame({ vlans: [10] }, ipv4({ src: CLIENT4, dst: VIP4 }), ...query),
    frame({ vlans: [10] }, ipv6({ src: CLIENT6, dst: VIP6 }), tcp({ sport: 5001, dport: 80 })),
    ...ipv4Fragments({ src: CLIENT4, dst: VIP4 }, query, 600).map((bytes) => frameOf({}, bytes)),
    frame({}, ipv4({ src: '192.0.2.99', dst: VIP4 }), icmpError({ type: 3, code: 1, about: embedded })),
    frame({ padTo: 60 }, ipv4({ src: CLIENT4, dst: VIP4 }), tcp({ sport: 5002, dport: 80 })),
  ];
}

/** What an engine has to send and count, by running the pipeline over each frame. @param lists in force */
export function expected(
  engine: Pick<EngineUnderTest, 'sends' | 'onInterface'>,
  image: Image,
  frames: readonly Uint8Array[],
  lists: Uint8Array | null = null,
): Pick<Outcome, 'outputs' | 'verdicts' | 'services' | 'backends'> {
  const runner = new Runner(image);
  const { counters } = runner.pipeline;
  if (lists !== null) runner.pipeline.lists = new Lists(lists.buffer);
  const layer3 = engine.sends === 'packet';
  const outputs = frames.flatMap((bytes) => {
    const { out } = runner.run(bytes);
    return out === undefined ? [] : [layer3 ? out.subarray(runner.pipeline.outL2) : out];
  });
  const verdicts = counters.verdictsByName();
  if (engine.onInterface) for (const name of PASSED) delete verdicts[name];
  return { outputs, verdicts, services: [...counters.services], backends: [...counters.backends] };
}

/** Whether a frame is for a VIP: what an engine on an interface decides on. */
export function isForVip(image: Image, bytes: Uint8Array): boolean {
  return !PASSED.has(new Runner(image).run(bytes).verdict);
}
