/** The table of changes that overlap, for people: a line for each list of changes, and what two and three of them broke at most. */

import { amount, percent } from '../core/figures.js';
import { formatDuration } from '../core/time.js';
import {
  OVERLAP_BACKENDS,
  OVERLAP_SCHEMES,
  type OverlapOptions,
  type OverlapResult,
} from '../sim/overlaps.js';
import { ANYHOP } from '../sim/scheme.js';
import { columns } from './format.js';

export function overlapsText(
  results: readonly OverlapResult[],
  { nodes, flows, seed, settleSeconds }: OverlapOptions & { readonly settleSeconds: number },
): string {
  const setting = [
    amount(nodes, 'node'),
    `${flows} connections open at any moment`,
    `settle time ${formatDuration(settleSeconds * 1000)}`,
    `seed ${seed}`,
  ].join(', ');
  const titles = OVERLAP_SCHEMES.map(({ title }) => title);
  const rows = results.map(({ name, forced, fleets }) => [
    forced.length === 0 ? name : `${name} (forced)`,
    ...OVERLAP_SCHEMES.map((scheme) => sharesText(fleets.map(({ broken }) => broken[scheme.name]))),
  ]);
  const forced = results.flatMap((result) =>
    result.forced.map(
      (event) =>
        `Forced is "${event}": without that, the third planned change waits until fewer than two are open.`,
    ),
  );
  return [
    setting,
    `Connections that break though their backend lives, of those open, with ${OVERLAP_BACKENDS.join(' / ')} backends:`,
    '',
    ...columns(['changes that overlap', ...titles], rows, new Set(titles)),
    '',
    ...forced,
    worst(results, 2),
    worst(results, 3),
    '',
  ].join('\n');
}

/** `2.2 / 0.2 / 0 %`. */
function sharesText(shares: readonly number[]): string {
  return `${shares.map((share) => percent(share).replace(' %', '')).join(' / ')} %`;
}

function worst(results: readonly OverlapResult[], changes: 2 | 3): string {
  const shares = results
    .filter((result) => result.changes === changes)
    .flatMap(({ fleets }) => fleets.map(({ broken }) => broken[ANYHOP.name]));
  const most = Math.max(...shares);
  const what = most === 0 ? 'no connection' : `up to ${percent(most)} of the connections`;
  return `With second chance, ${changes === 2 ? 'two' : 'three'} changes that overlap broke ${what}.`;
}
