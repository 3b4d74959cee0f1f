/**
 * The flow hash: 32 bits, keyed, so that a client cannot aim its flows at one backend. NH (RFC 4418, the hash of UMAC), then two
 * keyed multiply-and-fold rounds.
 *
 * Input, written down once, as bytes in the order in which they stand in the packet:
 *
 *   5-tuple  source address (4 or 16), source port (2), destination port (2)      8 or 20 bytes
 *   3-tuple  source address                                                       4 or 16 bytes
 *   source   source address                                                       4 or 16 bytes
 *
 * What is constant for a service (VIP, protocol, kind of hash) is folded into its key: see key.ts. The flow that an ICMP error
 * quotes is one of the answer: its destination address, destination port and source port take these places.
 *
 * The input is taken as little-endian words w, so a word is a plain load from the packet ("raw word"), and C needs no byte swap
 * either. A zero goes with an odd last word. With the key's ten words k, and lo and hi the halves of 64 bits:
 *
 *   s = sum over i of ((w[2i] + k[2i]) mod 2^32) * ((w[2i+1] + k[2i+1]) mod 2^32)      mod 2^64
 *   x = s ^ (k[6] | k[7] << 32)
 *   y = lo(x) * hi(x) ^ x ^ (k[8] | k[9] << 32)
 *   z = lo(y) * hi(y)
 *   hash = lo(z) ^ hi(z)
 *
 * Vectors for every language: test/vectors/flow-hash.json.
 *
 * A product of 64 bits is made of four products of 16-bit halves by Math.imul, in integers throughout. The loop is for rare packets:
 * both kinds of 5-tuple are written out. IPv4's takes 10 ns; HalfSipHash-1-3, written out, took 18.
 */
const TWO_TO_MINUS_32 = 2 ** -32;

/** Words of the longest input. */
export const FLOW_WORDS = 5;

/** The high half of the product of two unsigned words, as int32; Math.imul has the low one. */
export function highHalf(a: number, b: number): number {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const middle = Math.imul(a1, b0) + (Math.imul(a0, b0) >>> 16);
  const other = Math.imul(a0, b1) + (middle & 0xffff);
  return (Math.imul(a1, b1) + (middle >>> 16) + (other >>> 16)) | 0;
}

/** What comes behind the sum, given as its halves. */
function finish(words: Int32Array, key: number, sumLow: number, sumHigh: number): number {
  const x0 = sumLow ^ words[key + 6];
  const x1 = sumHigh ^ words[key + 7];
  const y0 = Math.imul(x0, x1) ^ x0 ^ words[key + 8];
  const y1 = highHalf(x0, x1) ^ x1 ^ words[key + 9];
  return Math.imul(y0, y1) ^ highHalf(y0, y1);
}

/** The carry of `a + b`, whose sum without it is `sum`: the majority of the top bits. */
function carry(a: number, b: number, sum: number): number {
  return ((a & b) | ((a | b) & ~sum)) >>> 31;
}

/**
 * The hash of `count` words.
 *
 * @param words memory that has the key, L.FLOW_KEY_WORDS words, from index `key` on
 * @param input its first `count` words (1 to 5) are hashed
 * @returns the hash as int32 (reinterpret with `>>> 0`)
 */
export function flowHash(words: Int32Array, key: number, input: Int32Array, count: number): number {
  let sumLow = 0;
  let sumHigh = 0;
  for (let i = 0; i < count; i += 2) {
    const a = (input[i] + words[key + i]) | 0;
    const b = ((i + 1 < count ? input[i + 1] : 0) + words[key + i + 1]) | 0;
    const low = Math.imul(a, b);
    const sum = (sumLow + low) | 0;
    sumHigh = (sumHigh + highHalf(a, b) + carry(sumLow, low, sum)) | 0;
    sumLow = sum;
  }
  return finish(words, key, sumLow, sumHigh);
}

/** flowHash of two words, IPv4's 5-tuple. */
export function flowHashPair(words: Int32Array, key: number, address: number, ports: number): number {
  const a = (address + words[key]) | 0;
  const b = (ports + words[key + 1]) | 0;
  return finish(words, key, Math.imul(a, b), highHalf(a, b));
}

/** flowHash of five words, IPv6's 5-tuple. */
export function flowHashFive(words: Int32Array, key: number, input: Int32Array): number {
  const a0 = (input[0] + words[key]) | 0;
  const b0 = (input[1] + words[key + 1]) | 0;
  const a1 = (input[2] + words[key + 2]) | 0;
  const b1 = (input[3] + words[key + 3]) | 0;
  const a2 = (input[4] + words[key + 4]) | 0;
  const b2 = words[key + 5];
  const low0 = Math.imul(a0, b0);
  const low1 = Math.imul(a1, b1);
  const low2 = Math.imul(a2, b2);
  const sum1 = (low0 + low1) | 0;
  const sum2 = (sum1 + low2) | 0;
  const carries = carry(low0, low1, sum1) + carry(sum1, low2, sum2);
  return finish(words, key, sum2, (highHalf(a0, b0) + highHalf(a1, b1) + highHalf(a2, b2) + carries) | 0);
}

/**
 * The slot of a hash: floor(hash * M / 2^32).
 *
 * Exact in a double, because hash < 2^32 and M < 2^20 make a product below 2^53, and a power of two only moves the
 * exponent. Takes the high bits; the low ones are left for entropy on the underlay.
 */
export function slotOf(hash: number, slots: number): number {
  return ((hash >>> 0) * (slots * TWO_TO_MINUS_32)) | 0; // the second product does not wait for the hash
}
