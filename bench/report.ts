/** What a benchmark prints: one JSON object a line, with its target where it has one. */

export interface Measurement {
  readonly bench: string;
  readonly value: number;
  readonly unit: string;
  /** The most that the value may be; absent when there is none. */
  readonly target?: number | undefined;
  /** The value must reach the target instead of staying below. */
  readonly higherIsBetter?: boolean;
  /** What the figure depends on, or what limits it. */
  readonly note?: string;
}

export function report(m: Measurement): void {
  const ok =
    m.target === undefined ? undefined : m.higherIsBetter ? m.value >= m.target : m.value <= m.target;
  console.log(JSON.stringify({ ...m, value: Number(m.value.toPrecision(4)), ok }));
}

/** A bench that cannot run here, and why. */
export function skip(bench: string, reason: string): void {
  console.log(JSON.stringify({ bench, skipped: reason }));
}

export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
