/**
 * Frames in memory for a pipeline, hot and all of one length.
 *
 * Encapsulation leaves the inner packet where it is, and the GRE protocol where the EtherType was, so that the same memory can be
 * run again: only the TTL falls. A turn is as many rounds as there are TTLs, then the frames are put back outside the clock.
 */
import { L } from '#anyhop/core/layout.gen.js';
import type { Image } from '#anyhop/image/read.js';
import { imageOf, VIP4, VIP6 } from '../../test/forward/fixture.js';
import { frame, ipv4, ipv6, payload, tcp } from '../../test/packets/build.js';

export const FRAMES = 256;
/** A ring's usual chunk. */
export const STRIDE = 2048;
export const ROUNDS = 250;
export const PACKETS = FRAMES * ROUNDS;

export const TRAFFIC = ['IPv4', 'IPv6', 'mixed'] as const;
export type Traffic = (typeof TRAFFIC)[number];

/** Names the measured lines. */
export const TITLES: Readonly<Record<Traffic, string>> = {
  IPv4: 'pipeline, IPv4 TCP, GRE over IPv4',
  IPv6: 'pipeline, IPv6 TCP, GRE over IPv4',
  mixed: 'pipeline, IPv4 and IPv6 TCP in no order, GRE over IPv4',
};

/** One service of each family over 100 backends. */
export function benchImage(): Image {
  const backends = Array.from({ length: 100 }, (_, i) => ({ address: `10.1.0.${i}` }));
  return imageOf({ slots: 65537, pools: { web: backends } });
}

export interface Frames {
  readonly memory: Buffer;
  /** Of each frame, which starts L.HEADROOM bytes behind a multiple of STRIDE. */
  readonly length: number;
  /** Puts all frames back as they were. */
  restore(): void;
}

export function makeFrames(traffic: Traffic): Frames {
  const frames = Array.from({ length: FRAMES }, (_, i) => {
    const isIpv6 = traffic === 'mixed' ? (Math.imul(i, 0x9e3779b1) >>> 24) % 2 === 1 : traffic === 'IPv6';
    return isIpv6 ? ipv6Frame(i) : ipv4Frame(i, traffic === 'mixed' ? 30 : 10);
  });
  const pristine = new Uint8Array(FRAMES * STRIDE);
  for (const [i, bytes] of frames.entries()) pristine.set(bytes, i * STRIDE + L.HEADROOM);
  const memory = Buffer.alloc(FRAMES * STRIDE);
  return { memory, length: frames[0].length, restore: () => memory.set(pristine) };
}

/** CPU time of this process in ns: what else runs on the machine is left out, except that it empties the caches. */
export function cpuTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

const ipv4Frame = (i: number, bytes: number): Uint8Array =>
  frame(
    {},
    ipv4({ src: `198.51.100.${i % 250}`, dst: VIP4, ttl: 255 }),
    tcp({ sport: 1024 + i, dport: 80 }),
    payload(bytes),
  );

const ipv6Frame = (i: number): Uint8Array =>
  frame(
    {},
    ipv6({ src: `2001:db8::${i}`, dst: VIP6, hopLimit: 255 }),
    tcp({ sport: 1024 + i, dport: 80 }),
    payload(10),
  );
