/**
 * What does a packet cost the TypeScript pipeline, over what it costs the C pipeline? The same image, the same frames in the
 * same memory, the same counting; the C pipeline is compiled with -O3. The two take turns, and each ratio is of two turns side
 * by side. `--quick` runs a little of it.
 *
 * As in pipeline.ts, a turn is as many rounds as there are TTLs, then the frames are put back outside the clock.
 */
import { L } from '#anyhop/core/layout.gen.js';
import { Pipeline } from '#anyhop/forward/pipeline.js';
import { devLibrary } from '../scripts/native/object.js';
import { imageOf, VIP4, VIP6 } from '../test/forward/fixture.js';
import { frame, ipv4, ipv6, payload, tcp } from '../test/packets/build.js';
import { median, report } from './report.js';

const quick = process.argv.includes('--quick');
const FRAMES = 256;
/** A ring's usual chunk. */
const STRIDE = 2048;
const ROUNDS = 250;
const [WARM_UP, TURNS] = quick ? [2, 5] : [40, 301];

const backends = Array.from({ length: 100 }, (_, i) => ({ address: `10.1.0.${i}` }));

function measure(name: string, target: number | undefined, make: (i: number) => Uint8Array): void {
  const image = imageOf({ slots: 65537, pools: { web: backends } });
  const pipeline = new Pipeline(image);
  const memory = Buffer.alloc(FRAMES * STRIDE);
  const view = new DataView(memory.buffer, memory.byteOffset, memory.length);
  const frames = Array.from({ length: FRAMES }, (_, i) => make(i));
  const length = frames[0].length;
  const pristine = new Uint8Array(FRAMES * STRIDE);
  for (const [i, bytes] of frames.entries()) pristine.set(bytes, i * STRIDE + L.HEADROOM);

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
    memory.set(pristine);
    const before = process.hrtime.bigint();
    const forwarded = work();
    const elapsed = Number(process.hrtime.bigint() - before);
    if (forwarded !== ROUNDS * FRAMES)
      throw new Error(`${name}: ${forwarded} of ${ROUNDS * FRAMES} forwarded`);
    return elapsed / forwarded;
  };
  const outputs = [typescript, c].map((work) => {
    time(work);
    return memory.toString('hex');
  });
  if (outputs[0] !== outputs[1]) throw new Error(`${name}: TypeScript and C leave different bytes`);

  for (let i = 0; i < WARM_UP; i++) [typescript, c].map(time);
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let turn = 0; turn < TURNS; turn++) {
    ours.push(time(typescript));
    theirs.push(time(c));
  }
  report({
    bench: `${name}: TypeScript over C -O3`,
    value: median(ours.map((ns, turn) => ns / theirs[turn])),
    unit: 'x',
    target,
    note: `medians of ${TURNS} turns: TypeScript ${median(ours).toFixed(1)}, C ${median(theirs).toFixed(1)} ns; best ${Math.min(...ours).toFixed(1)}, ${Math.min(...theirs).toFixed(1)}`,
  });
}

measure('pipeline, IPv4 TCP, GRE over IPv4', 2.2, (i) =>
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
