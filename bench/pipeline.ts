/**
 * What does one packet cost the TypeScript pipeline in memory? TCP with encapsulation, 256 hot frames, and the heap that
 * ten million packets leave behind. `--quick` runs a little of it, to see that the bench still works.
 */
import { L } from '#anyhop/core/layout.gen.js';
import { Pipeline } from '#anyhop/forward/pipeline.js';
import { alone } from './alone.js';
import {
  benchImage,
  cpuTime,
  FRAMES,
  makeFrames,
  PACKETS,
  ROUNDS,
  STRIDE,
  TITLES,
  TRAFFIC,
  type Traffic,
} from './pipeline/traffic.js';
import { median, report } from './report.js';

const quick = process.argv.includes('--quick');
const [WARM_UP, SAMPLES] = quick ? [5, 20] : [40, 400];
const HEAP_PACKETS = quick ? 100_000 : 10_000_000;
/** Nothing a packet: what the run itself leaves (samples, compiled code) is spread over all of them. */
const HEAP_BYTES_A_PACKET = quick ? 10 : 0.01;
const TARGETS: Readonly<Record<Traffic, number | undefined>> = { IPv4: 50, IPv6: 75, mixed: undefined };

function measure(traffic: Traffic): void {
  const pipeline = new Pipeline(benchImage());
  const { memory, length, restore } = makeFrames(traffic);
  const view = new DataView(memory.buffer, memory.byteOffset, memory.length);
  const sample = (): number => {
    restore();
    let forwarded = 0;
    const before = cpuTime();
    for (let round = 0; round < ROUNDS; round++) {
      for (let at = L.HEADROOM; at < FRAMES * STRIDE; at += STRIDE) {
        if (pipeline.process(view, at, length) === L.V_FORWARDED) forwarded++;
      }
    }
    const elapsed = cpuTime() - before;
    if (forwarded !== PACKETS) throw new Error(`${traffic}: ${forwarded} of ${PACKETS} forwarded`);
    return elapsed / forwarded;
  };
  for (let i = 0; i < WARM_UP; i++) sample();
  const samples = Array.from({ length: SAMPLES }, sample);
  report({
    bench: TITLES[traffic],
    value: median(samples),
    unit: 'ns/packet',
    target: TARGETS[traffic],
    note: `best of ${SAMPLES} samples ${Math.min(...samples).toFixed(1)}`,
  });

  if (globalThis.gc === undefined) throw new Error('run with node --expose-gc, or as make bench does');
  globalThis.gc();
  const before = process.memoryUsage().heapUsed;
  for (let packets = 0; packets < HEAP_PACKETS; packets += PACKETS) sample();
  globalThis.gc();
  const grown = Math.max(0, process.memoryUsage().heapUsed - before);
  report({
    bench: `${TITLES[traffic]}: heap growth`,
    value: grown / HEAP_PACKETS,
    unit: 'bytes/packet',
    target: HEAP_BYTES_A_PACKET,
    note: `over ${HEAP_PACKETS} packets`,
  });
}

alone(TRAFFIC, measure);
