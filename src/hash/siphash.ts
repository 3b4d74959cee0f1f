/**
 * SipHash-2-4 (Aumasson and Bernstein, 2012), for SYN cookies: clients see what it gives, so the flow hash would not do. 64 bits are
 * pairs of int32, the lower half first.
 */

/**
 * @param words memory that has the key, four words, from index `key` on
 * @param message as little-endian words, its last pair filled up as the paper says: zeros, and the length in the highest byte
 * @param pairs of words of the message
 * @param out two words, the result
 */
export function sipHash(
  words: Int32Array,
  key: number,
  message: Int32Array,
  pairs: number,
  out: Int32Array,
): void {
  const k0 = words[key];
  const k1 = words[key + 1];
  const k2 = words[key + 2];
  const k3 = words[key + 3];
  let a0 = k0 ^ 0x70736575;
  let a1 = k1 ^ 0x736f6d65;
  let b0 = k2 ^ 0x6e646f6d;
  let b1 = k3 ^ 0x646f7261;
  let c0 = k0 ^ 0x6e657261;
  let c1 = k1 ^ 0x6c796765;
  let d0 = k2 ^ 0x79746573;
  let d1 = k3 ^ 0x74656462;
  for (let pair = 0; pair <= pairs; pair++) {
    const isLast = pair === pairs;
    const m0 = isLast ? 0 : message[2 * pair];
    const m1 = isLast ? 0 : message[2 * pair + 1];
    if (isLast) c0 ^= 0xff;
    d0 ^= m0;
    d1 ^= m1;
    for (let round = isLast ? 4 : 2; round > 0; round--) {
      const e0 = (a0 + b0) | 0;
      const e1 = (a1 + b1 + carry(a0, b0, e0)) | 0;
      const f0 = (c0 + d0) | 0;
      const f1 = (c1 + d1 + carry(c0, d0, f0)) | 0;
      const g0 = ((b0 << 13) | (b1 >>> 19)) ^ e0;
      const g1 = ((b1 << 13) | (b0 >>> 19)) ^ e1;
      const h0 = ((d0 << 16) | (d1 >>> 16)) ^ f0;
      const h1 = ((d1 << 16) | (d0 >>> 16)) ^ f1;
      // The halves of `a` and `c` change places: a rotation by 32.
      a0 = (e1 + h0) | 0;
      a1 = (e0 + h1 + carry(e1, h0, a0)) | 0;
      c1 = (f0 + g0) | 0;
      c0 = (f1 + g1 + carry(f0, g0, c1)) | 0;
      d0 = ((h0 << 21) | (h1 >>> 11)) ^ a0;
      d1 = ((h1 << 21) | (h0 >>> 11)) ^ a1;
      b0 = ((g0 << 17) | (g1 >>> 15)) ^ c1;
      b1 = ((g1 << 17) | (g0 >>> 15)) ^ c0;
    }
    a0 ^= m0;
    a1 ^= m1;
  }
  out[0] = a0 ^ b0 ^ c0 ^ d0;
  out[1] = a1 ^ b1 ^ c1 ^ d1;
}

/** The carry of `a + b`, whose sum without it is `sum`: the majority of the top bits. */
function carry(a: number, b: number, sum: number): number {
  return ((a & b) | ((a | b) & ~sum)) >>> 31;
}
