/**
 * What does one packet cost the TypeScript pipeline in memory? IPv4 TCP with encapsulation, 256 hot frames, and the
 * heap that ten million packets leave behind. `--quick` runs a thousandth of it, to see that the bench still works.
 */
import { HEADROOM, V_FORWARDED } from '#anyhop/core/layout.gen.js';
import { Pipeline } from '#anyhop/forward/pipeline.js';
import { imageOf, VIP4, VIP6 } from '../test/forward/fixture.js';
import { frame, ipv4, ipv6, payload, tcp } from '../test/packets/build.js';
import { median, report } from './report.js';

const quick = process.argv.includes('--quick');
const FRAMES = 256;
const STRIDE = 2048;

function measure(name: string, make: (i: number) => Uint8Array, target: number | undefined): void {
  const image = imageOf({
    slots: 65537,
    pools: { web: Array.from({ length: 100 }, (_, i) => ({ address: `10.1.0.${i}` })) },
  });
  const pipeline = new Pipeline(image);
  const memory = new Uint8Array(FRAMES * STRIDE);
  const view = new DataView(memory.buffer);
  const frames = Array.from({ length: FRAMES }, (_, i) => make(i));
  const length = frames[0].length;
  const fill = (): void => {
    for (const [i, bytes] of frames.entries()) memory.set(bytes, i * STRIDE + HEADROOM);
  };
  /** Rounds over all frames; what a packet changes before the next round (layer 2, TTL, checksum) is put back. */
  const round = (rounds: number): number => {
    let forwarded = 0;
    for (let r = 0; r < rounds; r++) {
      for (let at = HEADROOM; at < FRAMES * STRIDE; at += STRIDE) {
        restore(view, at);
        if (pipeline.process(view, at, length) === V_FORWARDED) forwarded++;
      }
    }
    return forwarded;
  };
  const restoreOnly = (rounds: number): void => {
    for (let r = 0; r < rounds; r++) {
      for (let at = HEADROOM; at < FRAMES * STRIDE; at += STRIDE) restore(view, at);
    }
  };
  const restore = view.byteLength > 0 && frames[0][12] === 0x08 ? restore4 : restore6;
  fill();
  const rounds = quick ? 40 : 4000;
  round(rounds);
  restoreOnly(rounds);
  const samples: number[] = [];
  for (let i = 0; i < 15; i++) {
    const before = process.hrtime.bigint();
    const forwarded = round(rounds);
    const between = process.hrtime.bigint();
    restoreOnly(rounds);
    const after = process.hrtime.bigint();
    if (forwarded !== rounds * FRAMES)
      throw new Error(`${name}: ${forwarded} of ${rounds * FRAMES} forwarded`);
    samples.push(Number(between - before - (after - between)) / (rounds * FRAMES));
  }
  report({ bench: name, value: median(samples), unit: 'ns/packet', target });

  if (target === undefined || globalThis.gc === undefined) return;
  globalThis.gc();
  const before = process.memoryUsage().heapUsed;
  const packets = quick ? 100_000 : 10_000_000;
  round(Math.ceil(packets / FRAMES));
  const grown = process.memoryUsage().heapUsed - before;
  report({
    bench: `${name}: heap growth over ${packets} packets`,
    value: Math.max(0, grown) / packets,
    unit: 'bytes/packet',
    target: quick ? 1 : 0.01,
  });
}

/** Ethernet type, TTL and checksum of an IPv4 frame: what encapsulation wrote over. */
function restore4(view: DataView, at: number): void {
  view.setUint16(at + 12, 0x0800);
  const l3 = at + 14;
  view.setUint8(l3 + 8, 64);
  view.setUint16(l3 + 10, view.getUint16(l3 + 10) - 0x0100);
}

function restore6(view: DataView, at: number): void {
  view.setUint16(at + 12, 0x86dd);
  view.setUint8(at + 14 + 7, 64);
}

measure(
  'pipeline, IPv4 TCP, GRE over IPv4',
  (i) =>
    frame(
      {},
      ipv4({ src: `198.51.100.${i % 250}`, dst: VIP4 }),
      tcp({ sport: 1024 + i, dport: 80 }),
      payload(10),
    ),
  40,
);
measure(
  'pipeline, IPv6 TCP, GRE over IPv4',
  (i) =>
    frame({}, ipv6({ src: `2001:db8::${i}`, dst: VIP6 }), tcp({ sport: 1024 + i, dport: 80 }), payload(10)),
  undefined,
);
