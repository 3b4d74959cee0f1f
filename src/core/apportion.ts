/**
 * Splits a number of slots by weight. Part of the versioned table function (table/layers.ts): a change here needs a new version.
 *
 * Exact in doubles: `count` <= TABLE_SIZE_MAX < 2^20 and weights are below 2^16, so count * weight < 2^36.
 */

/**
 * The share of `count` for each weight, by largest remainder of count * weight / sum; of equal remainders, the earlier goes
 * first. The shares sum to `count`. At least one weight must be above 0; a weight of 0 gets nothing.
 */
export function quotas(weights: ArrayLike<number>, count: number): Int32Array {
  const n = weights.length;
  const result = new Int32Array(n);
  const remainders = new Float64Array(n);
  let sum = 0;
  for (let i = 0; i < n; i++) sum += weights[i];
  let left = count;
  for (let i = 0; i < n; i++) {
    const product = count * weights[i];
    const quota = Math.floor(product / sum);
    result[i] = quota;
    remainders[i] = product - quota * sum;
    left -= quota;
  }
  if (left > 0) {
    const byRemainder: number[] = [];
    for (let i = 0; i < n; i++) byRemainder.push(i);
    byRemainder.sort((a, b) => remainders[b] - remainders[a] || a - b);
    for (let r = 0; r < left; r++) result[byRemainder[r]]++;
  }
  return result;
}
