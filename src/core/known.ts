/** A count for JSON, which has no NaN: null where the count is unknown. */
export function known(count: number): number | null {
  return Number.isNaN(count) ? null : count;
}
