/** When the router's table had what an event was to make of it. Pure functions of the table's changes. */
import type { FibRow } from '../lab/ha/fib.js';

export interface Expected {
  /** That a next hop is there, that it is the only one, that it is not there, or that nothing changes. */
  readonly kind: 'with' | 'only' | 'without' | 'stays';
  readonly destinations: readonly string[];
  /** Name of the machine. */
  readonly hop?: string;
}

/** Rows with the names of machines as their next hops. */
export type NamedRow = FibRow;

/** @returns whether a destination that has these next hops is as expected; one of which nothing may change always is */
export function isAsExpected({ kind, hop }: Expected, hops: readonly string[]): boolean {
  if (kind === 'only') return hops.join() === hop;
  return kind === 'stays' || hops.includes(hop!) === (kind === 'with');
}

/** @returns milliseconds after `atMs` at which all destinations were as expected for good, by the changes before `untilMs`; undefined when they were not */
export function reachedMs(
  rows: readonly NamedRow[],
  expected: Expected,
  atMs: number,
  untilMs: number,
): number | undefined {
  let latest = 0;
  for (const destination of expected.destinations) {
    const own = rows.filter((row) => row.destination === destination && row.atMs < untilMs);
    const asExpected = own.map(({ hops }) => isAsExpected(expected, hops));
    if (asExpected.at(-1) !== true) return undefined;
    const first = own[asExpected.lastIndexOf(false) + 1]!;
    latest = Math.max(latest, first.atMs - atMs);
  }
  return latest;
}

/** @returns how often rows of these destinations got other next hops between two moments */
export function changesOf(
  rows: readonly NamedRow[],
  destinations: readonly string[],
  atMs: number,
  untilMs: number,
): number {
  return destinations.reduce((sum, destination) => {
    const own = rows.filter((row) => row.destination === destination);
    const changed = own.filter(
      (row, i) => row.atMs >= atMs && row.atMs < untilMs && row.hops.join() !== own[i - 1]?.hops.join(),
    );
    return sum + changed.length;
  }, 0);
}
