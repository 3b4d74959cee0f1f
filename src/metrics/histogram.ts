/** Durations by how long they took, in the buckets of every histogram of ours. Recording one allocates nothing. */

/** Seconds, rising: from a check on the same host to the longest timeout that people set. */
export const histogramBounds: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];
/** Numbers of one histogram in a table: a count for each bound, the count of all, the sum. */
export const HISTOGRAM_WIDTH = histogramBounds.length + 2;

export class Histogram {
  /** As a table has it. */
  readonly numbers = new Float64Array(HISTOGRAM_WIDTH);

  /** @param seconds 0 or more */
  record(seconds: number): void {
    const { numbers } = this;
    for (let i = histogramBounds.length - 1; i >= 0 && seconds <= histogramBounds[i]; i--) numbers[i]++;
    numbers[HISTOGRAM_WIDTH - 2]++;
    numbers[HISTOGRAM_WIDTH - 1] += seconds;
  }
}

/** Several, in one column of a table. */
export function histogramColumn(histograms: readonly Histogram[]): Float64Array {
  const column = new Float64Array(histograms.length * HISTOGRAM_WIDTH);
  for (const [i, { numbers }] of histograms.entries()) column.set(numbers, i * HISTOGRAM_WIDTH);
  return column;
}
