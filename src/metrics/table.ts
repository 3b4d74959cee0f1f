/**
 * What a process measures at one moment, as it goes from the main thread to the listener's worker: tables, each with the label sets of
 * its rows and one number a row for each of its families. No text is made on the main thread.
 */
import type { FamilyName } from './names.js';

export interface MetricTable {
  /** Values of the labels of the table's families, in their order; `[[]]` for families without labels. */
  readonly rows: readonly (readonly string[])[];
  /** One number a row; NaN where there is nothing to tell. A histogram has `HISTOGRAM_WIDTH` numbers a row (histogram.ts). */
  readonly columns: Readonly<Partial<Record<FamilyName, ArrayLike<number>>>>;
}

/** The one row of families without labels. */
const NO_LABELS: readonly (readonly string[])[] = [[]];

/** Families without labels. @param values undefined and null: there is nothing to tell */
export function single(
  values: Readonly<Partial<Record<FamilyName, number | boolean | null | undefined>>>,
): MetricTable {
  const columns = Object.entries(values).map(([name, value]) => [name, [numberOf(value)]]);
  return { rows: NO_LABELS, columns: Object.fromEntries(columns) };
}

/** Families that tell only by their labels: their value is 1. */
export function info(family: FamilyName, rows: readonly (readonly string[])[]): MetricTable {
  return { rows, columns: { [family]: new Float64Array(rows.length).fill(1) } };
}

/**
 * A family with a series for each state that something can be in: 1 for the one that it is in, 0 for the others.
 * @param things label values before that of the state, and the state
 */
export function states<State extends string>(
  family: FamilyName,
  known: readonly State[],
  things: readonly { readonly labels: readonly string[]; readonly state: State | undefined }[],
): MetricTable {
  return {
    rows: things.flatMap(({ labels }) => known.map((state) => [...labels, state])),
    columns: { [family]: things.flatMap(({ state: is }) => known.map((state) => Number(state === is))) },
  };
}

function numberOf(value: number | boolean | null | undefined): number {
  return value === undefined || value === null ? Number.NaN : Number(value);
}
