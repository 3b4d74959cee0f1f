/**
 * What does one packet cost the TypeScript pipeline in memory? TCP with encapsulation, 256 hot frames, and the heap that
 * ten million packets leave behind. `--quick` runs a little of it, to see that the bench still works.
 *
 * Encapsulation leaves the inner packet where it is, and the GRE protocol where the EtherType was, so that the same
 * memory can be run again: only the TTL falls. A sample is as many rounds as there are TTLs, then the frames are put
 * back outside the clock.
 */
import { L } from '#anyhop/core/layout.gen.js';
import { Pipeline } from '#anyhop/forward/pipeline.js';
import { imageOf, VIP4, VIP6 } from '../test/forward/fixture.js';
import { frame, ipv4, ipv6, payload, tcp } from '../test/packets/build.js';
import { median, report } from './report.js';

const quick = process.argv.includes('--quick');
const FRAMES = 256;
/** A ring's usual chunk. */
const STRIDE = 2048;
const ROUNDS = 250;
const SAMPLES = quick ? 20 : 400;
const HEAP_PACKETS = quick ? 100_000 : 10_000_000;
/** Nothing a packet: what the run itself leaves (samples, compiled code) is spread over all of them. */
const HEAP_BYTES_A_PACKET = quick ? 10 : 0.01;

const backends = Array.from({ length: 100 }, (_, i) => ({ address: `10.1.0.${i}` }));

function measure(name: string, target: number | undefined, make: (i: number) => Uint8Array): void {
  const pipeline = new Pipeline(imageOf({ slots: 65537, pools: { web: backends } }));
  const memory = new Uint8Array(FRAMES * STRIDE);
  const view = new DataView(memory.buffer);
  const frames = Array.from({ length: FRAMES }, (_, i) => make(i));
  const length = frames[0].length;
  const pristine = new Uint8Array(FRAMES * STRIDE);
  for (const [i, bytes] of frames.entries()) pristine.set(bytes, i * STRIDE + L.HEADROOM);
  const sample = (): number => {
    memory.set(pristine);
    let forwarded = 0;
    const before = process.hrtime.bigint();
    for (let round = 0; round < ROUNDS; round++) {
      for (let at = L.HEADROOM; at < FRAMES * STRIDE; at += STRIDE) {
        if (pipeline.process(view, at, length) === L.V_FORWARDED) forwarded++;
      }
    }
    const elapsed = Number(process.hrtime.bigint() - before);
    if (forwarded !== ROUNDS * FRAMES)
      throw new Error(`${name}: ${forwarded} of ${ROUNDS * FRAMES} forwarded`);
    return elapsed / forwarded;
  };
  for (let i = 0; i < 40; i++) sample();
  const samples = Array.from({ length: SAMPLES }, sample);
  const best = Math.min(...samples);
  report({
    bench: name,
    value: median(samples),
    unit: 'ns/packet',
    target,
    note: `best of ${SAMPLES} samples ${best.toFixed(1)}`,
  });

  if (target === undefined) return;
  if (globalThis.gc === undefined) throw new Error('run with node --expose-gc, or as make bench does');
  globalThis.gc();
  const before = process.memoryUsage().heapUsed;
  for (let packets = 0; packets < HEAP_PACKETS; packets += ROUNDS * FRAMES) sample();
  globalThis.gc();
  const grown = Math.max(0, process.memoryUsage().heapUsed - before);
  report({
    bench: `${name}: heap growth over ${HEAP_PACKETS} packets`,
    value: grown / HEAP_PACKETS,
    unit: 'bytes/packet',
    target: HEAP_BYTES_A_PACKET,
  });
}

measure('pipeline, IPv4 TCP, GRE over IPv4', 40, (i) =>
  frame(
    {},
    ipv4({ src: `198.51.100.${i % 250}`, dst: VIP4, ttl: 255 }),
    tcp({ sport: 1024 + i, dport: 80 }),
    payload(10),
  ),
);
measure('pipeline, IPv6 TCP, GRE over IPv4', undefined, (i) =>
  frame(
    {},
    ipv6({ src: `2001:db8::${i}`, dst: VIP6, hopLimit: 255 }),
    tcp({ sport: 1024 + i, dport: 80 }),
    payload(10),
  ),
);
