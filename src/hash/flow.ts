/**
 * The flow hash: HalfSipHash-1-3 with 32 bits of output (Aumasson and Bernstein; the variant of Linux's `hsiphash`),
 * keyed, so that a client cannot aim its flows at one backend.
 *
 * Input, written down once, as bytes in the order in which they stand in the packet:
 *
 *   5-tuple  source address (4 or 16), source port (2), destination port (2)      8 or 20 bytes
 *   3-tuple  source address                                                       4 or 16 bytes
 *   source   source address                                                       4 or 16 bytes
 *
 * What is constant for a service (VIP, protocol, kind of hash) is folded into its key: see key.ts. HalfSipHash takes
 * its input as little-endian words, so a word here is a plain little-endian load from the packet ("raw word"), and C
 * needs no byte swap either. Vectors for every language: test/vectors/flow-hash.json.
 *
 * The general function is one loop with one copy of the round; flowHashPair, which most packets take, is written out.
 * Measured as the whole pipeline, IPv4 TCP, best of 300 samples: 54.7 ns a packet with it written out, 59.5 as a loop over
 * the two arguments.
 */

const TWO_TO_MINUS_32 = 2 ** -32;
/** The last block of an input of two words: its length in the top byte. */
const EIGHT_BYTES = 0x08000000;

/** Words of a hash's scratch memory: the longest input is five words, then its length and three zeros. */
export const FLOW_WORDS = 9;

/**
 * HalfSipHash-1-3 of `count` words.
 *
 * @param key0 first little-endian word of the 64-bit key, as int32
 * @param key1 second word
 * @param words scratch of FLOW_WORDS int32; the first `count` (0 to 5) are the input, the rest is overwritten
 * @returns the hash as int32 (reinterpret with `>>> 0`)
 */
export function flowHash(key0: number, key1: number, words: Int32Array, count: number): number {
  let v0 = key0;
  let v1 = key1;
  let v2 = key0 ^ 0x6c796765;
  let v3 = key1 ^ 0x74656462;
  words[count] = count << 26; // the last block holds the length in bytes in its top byte: 4 * count << 24
  words[count + 1] = 0;
  words[count + 2] = 0;
  words[count + 3] = 0;
  const rounds = count + 4; // one a word, one for the length, three to finish
  for (let i = 0; i < rounds; i++) {
    if (i === count + 1) v2 ^= 0xff;
    const word = words[i];
    v3 ^= word;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
  }
  return v1 ^ v3;
}

/** flowHash of two words, IPv4's 5-tuple, which most packets are: its six rounds written out. */
export function flowHashPair(key0: number, key1: number, address: number, ports: number): number {
  let v0 = key0;
  let v1 = key1;
  let v2 = key0 ^ 0x6c796765;
  let v3 = key1 ^ 0x74656462;

  v3 ^= address;
  v0 = (v0 + v1) | 0;
  v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
  v0 = (v0 << 16) | (v0 >>> 16);
  v2 = (v2 + v3) | 0;
  v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
  v0 = (v0 + v3) | 0;
  v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
  v2 = (v2 + v1) | 0;
  v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
  v2 = (v2 << 16) | (v2 >>> 16);
  v0 ^= address;

  v3 ^= ports;
  v0 = (v0 + v1) | 0;
  v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
  v0 = (v0 << 16) | (v0 >>> 16);
  v2 = (v2 + v3) | 0;
  v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
  v0 = (v0 + v3) | 0;
  v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
  v2 = (v2 + v1) | 0;
  v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
  v2 = (v2 << 16) | (v2 >>> 16);
  v0 ^= ports;

  v3 ^= EIGHT_BYTES;
  v0 = (v0 + v1) | 0;
  v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
  v0 = (v0 << 16) | (v0 >>> 16);
  v2 = (v2 + v3) | 0;
  v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
  v0 = (v0 + v3) | 0;
  v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
  v2 = (v2 + v1) | 0;
  v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
  v2 = (v2 << 16) | (v2 >>> 16);
  v0 ^= EIGHT_BYTES;

  v2 ^= 0xff;
  v0 = (v0 + v1) | 0;
  v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
  v0 = (v0 << 16) | (v0 >>> 16);
  v2 = (v2 + v3) | 0;
  v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
  v0 = (v0 + v3) | 0;
  v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
  v2 = (v2 + v1) | 0;
  v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
  v2 = (v2 << 16) | (v2 >>> 16);

  v0 = (v0 + v1) | 0;
  v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
  v0 = (v0 << 16) | (v0 >>> 16);
  v2 = (v2 + v3) | 0;
  v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
  v0 = (v0 + v3) | 0;
  v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
  v2 = (v2 + v1) | 0;
  v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
  v2 = (v2 << 16) | (v2 >>> 16);

  v0 = (v0 + v1) | 0;
  v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
  v0 = (v0 << 16) | (v0 >>> 16);
  v2 = (v2 + v3) | 0;
  v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
  v0 = (v0 + v3) | 0;
  v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
  v2 = (v2 + v1) | 0;
  v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
  v2 = (v2 << 16) | (v2 >>> 16);
  return v1 ^ v3;
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
