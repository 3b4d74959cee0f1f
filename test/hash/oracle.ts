/** The flow hash as src/hash/flow.ts states it, in BigInt: an oracle for 16-bit halves and their carries. */

const LOW = 0xffffffffn;
const WHOLE = 0xffffffffffffffffn;

function fold(x: bigint): bigint {
  return (x & LOW) * (x >> 32n);
}

/** @param key ten words @param input one to five words; all unsigned or int32 */
export function oracleHash(key: ArrayLike<number>, input: ArrayLike<number>): number {
  const word = (words: ArrayLike<number>, i: number): bigint => BigInt((words[i] ?? 0) >>> 0);
  const pair = (i: number): bigint => word(key, i) | (word(key, i + 1) << 32n);
  let sum = 0n;
  for (let i = 0; i < input.length; i += 2) {
    const first = (word(input, i) + word(key, i)) & LOW;
    const second = (word(input, i + 1) + word(key, i + 1)) & LOW;
    sum = (sum + first * second) & WHOLE;
  }
  const x = sum ^ pair(6);
  const y = fold(x) ^ x ^ pair(8);
  const z = fold(y);
  return Number((z & LOW) ^ (z >> 32n));
}
