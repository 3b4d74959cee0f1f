/**
 * The largest packet that arrives, by sending some: what a route says is a belief, what arrives is a fact. Many sizes are tried at once, so
 * that a path which drops takes three waits and not ten.
 */

/** Of one round. */
const SIZES_AT_ONCE = 16;

/**
 * The largest of the sizes `low` to `high` that arrives; undefined when `low` does not either.
 * @param arrives which of some sizes do, in one wait. A size that is lost by chance is asked for again, or makes the result too small
 */
export async function largestArriving(
  low: number,
  high: number,
  arrives: (sizes: readonly number[]) => Promise<ReadonlySet<number>>,
): Promise<number | undefined> {
  if ((await arrives([high])).has(high)) return high;
  let good = low - 1; // the largest that arrived
  let bad = high; // the smallest above it that was lost
  while (bad - good > 1) {
    const sizes = between(good, bad);
    const arrived = await arrives(sizes);
    const best = sizes.filter((size) => arrived.has(size)).at(-1);
    if (best === undefined && good < low) return undefined; // `low` was among them
    if (best !== undefined) good = best;
    bad = sizes.find((size) => size > good) ?? bad;
  }
  return good < low ? undefined : good;
}

/** Sizes spread over what lies between two, both excluded; the first and the last of it always. */
function between(good: number, bad: number): number[] {
  const count = bad - good - 1;
  if (count <= SIZES_AT_ONCE) return Array.from({ length: count }, (_, i) => good + 1 + i);
  const step = (count - 1) / (SIZES_AT_ONCE - 1);
  return Array.from({ length: SIZES_AT_ONCE }, (_, i) => good + 1 + Math.round(i * step));
}
