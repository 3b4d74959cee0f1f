/** A count for JSON, which has no NaN: null if the count is unknown. */
export function known(count: number): number | null {
  return Number.isNaN(count) ? null : count;
}
