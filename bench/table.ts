/**
 * How long do a pool's tables take: 1000 backends, M = 65537, name hashes at hand? Medians after warm-up. `--quick` runs
 * a small pool a few times, to see that the bench still works.
 */
import { createHash } from 'node:crypto';
import { buildStack, type WeightedName } from '#anyhop/table/layers.js';
import { resolvePool } from '#anyhop/table/resolve.js';
import type { Member } from '#anyhop/table/state.js';
import { median, report } from './report.js';

const quick = process.argv.includes('--quick');
const SLOTS = quick ? 251 : 65537;
const BACKENDS = quick ? 10 : 1000;
const [WARM_UP, RUNS] = quick ? [1, 3] : [30, 51];

/** `work` returns what it made; the hash of the last one is printed, so that none of it can be left out. */
function measure(
  bench: string,
  target: number | undefined,
  work: () => readonly (Uint16Array | string)[],
): void {
  let made = work();
  for (let i = 1; i < WARM_UP; i++) made = work();
  const samples: number[] = [];
  for (let i = 0; i < RUNS; i++) {
    const start = performance.now();
    made = work();
    samples.push(performance.now() - start);
  }
  const hash = createHash('sha256');
  for (const part of made) hash.update(part);
  report({
    bench,
    value: median(samples),
    unit: 'ms',
    target,
    note: `hash ${hash.digest('hex').slice(0, 16)}`,
  });
}

const settled: Member[] = Array.from({ length: BACKENDS }, (_, i) => ({
  name: `web-${i}`,
  weight: 1,
  state: 'active',
  health: 'up',
}));
const weighted = (heavy: (i: number) => boolean): WeightedName[] =>
  settled.map(({ name }, i) => ({ name, weight: heavy(i) ? 65535 : 1 }));

const oneHeavy = weighted((i) => i === 0);
const halfHeavy = weighted((i) => i % 2 === 0);
measure('table: layer 1', 2.5, () => buildStack(settled, SLOTS, 1).layers);
measure('table: four layers', 12, () => buildStack(settled, SLOTS).layers);
measure('table: four layers, one weight 65535 beside 1', 12, () => buildStack(oneHeavy, SLOTS).layers);
measure('table: four layers, half weights 65535, half 1', 12, () => buildStack(halfHeavy, SLOTS).layers);

const stack = buildStack(settled, SLOTS);
const oneDown = settled.map((member, i): Member => (i === 5 ? { ...member, health: 'down' } : member));
const resolve = () => resolvePool({ slots: SLOTS, state: oneDown, remembered: [settled], stack });
measure('table: owners and alternates after one health change', 2, () => {
  const { owners, alternates } = resolve();
  return [owners, alternates];
});
measure('table: the same with both digests', undefined, () => {
  const { ownersDigest, alternatesDigest } = resolve();
  return [ownersDigest, alternatesDigest];
});
