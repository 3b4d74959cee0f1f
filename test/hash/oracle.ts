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

/** SipHash-2-4 as its paper states it. */
export function oracleSipHash(key: Uint8Array, message: Uint8Array): bigint {
  const little = (bytes: ArrayLike<number>): bigint =>
    Array.from(bytes).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  const rotate = (x: bigint, by: bigint): bigint => ((x << by) | (x >> (64n - by))) & WHOLE;
  const k0 = little(key.subarray(0, 8));
  const k1 = little(key.subarray(8));
  const v = [
    k0 ^ 0x736f6d6570736575n,
    k1 ^ 0x646f72616e646f6dn,
    k0 ^ 0x6c7967656e657261n,
    k1 ^ 0x7465646279746573n,
  ];
  const half = (a: number, b: number, by: bigint): void => {
    v[a] = (v[a] + v[b]) & WHOLE;
    v[b] = rotate(v[b], by) ^ v[a];
  };
  const round = (): void => {
    half(0, 1, 13n);
    v[0] = rotate(v[0], 32n);
    half(2, 3, 16n);
    half(0, 3, 21n);
    half(2, 1, 17n);
    v[2] = rotate(v[2], 32n);
  };
  const padded = new Uint8Array(Math.floor(message.length / 8) * 8 + 8);
  padded.set(message);
  padded[padded.length - 1] = message.length;
  for (let at = 0; at < padded.length; at += 8) {
    const word = little(padded.subarray(at, at + 8));
    v[3] ^= word;
    for (let i = 0; i < 2; i++) round();
    v[0] ^= word;
  }
  v[2] ^= 0xffn;
  for (let i = 0; i < 4; i++) round();
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}
