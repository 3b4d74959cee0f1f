/**
 * What does a packet cost the TypeScript pipeline, over what it costs the C pipeline? The same image, the same frames in the
 * same memory, the same counting; the C pipeline is compiled with -O3. The two take turns, and each ratio is of two turns side
 * by side. `--quick` runs a little of it.
 */
import { L } from '#anyhop/core/layout.gen.js';
import { Pipeline } from '#anyhop/forward/pipeline.js';
import { devLibrary } from '../scripts/native/object.js';
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
const [WARM_UP, TURNS] = quick ? [2, 5] : [40, 301];
const TARGET = 2.2;

function measure(traffic: Traffic): void {
  const image = benchImage();
  const pipeline = new Pipeline(image);
  const { memory, length, restore } = makeFrames(traffic);
  const view = new DataView(memory.buffer, memory.byteOffset, memory.length);

  const typescript = (): number => {
    let forwarded = 0;
    for (let round = 0; round < ROUNDS; round++) {
      for (let at = L.HEADROOM; at < FRAMES * STRIDE; at += STRIDE) {
        if (pipeline.process(view, at, length) === L.V_FORWARDED) forwarded++;
      }
    }
    return forwarded;
  };
  const imageBytes = Buffer.from(image.bytes.buffer as ArrayBuffer);
  const run = [
    'anyhop_dev_rounds',
    imageBytes,
    imageBytes.length,
    memory,
    FRAMES,
    STRIDE,
    length,
    ROUNDS,
  ] as const;
  const c = (): number => devLibrary.call('ERR_NATIVE', ...run);
  /** ns a packet. */
  const time = (work: () => number): number => {
    restore();
    const before = cpuTime();
    const forwarded = work();
    const elapsed = cpuTime() - before;
    if (forwarded !== PACKETS) throw new Error(`${traffic}: ${forwarded} of ${PACKETS} forwarded`);
    return elapsed / forwarded;
  };
  const outputs = [typescript, c].map((work) => {
    time(work);
    return memory.toString('hex');
  });
  if (outputs[0] !== outputs[1]) throw new Error(`${traffic}: TypeScript and C leave different bytes`);

  for (let i = 0; i < WARM_UP; i++) [typescript, c].map(time);
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let turn = 0; turn < TURNS; turn++) {
    ours.push(time(typescript));
    theirs.push(time(c));
  }
  report({
    bench: `${TITLES[traffic]}: TypeScript over C -O3`,
    value: median(ours.map((ns, turn) => ns / theirs[turn])),
    unit: 'x',
    target: TARGET,
    note: `medians of ${TURNS} turns: TypeScript ${median(ours).toFixed(1)}, C ${median(theirs).toFixed(1)} ns; best ${Math.min(...ours).toFixed(1)}, ${Math.min(...theirs).toFixed(1)}`,
  });
}

alone(TRAFFIC, measure);
