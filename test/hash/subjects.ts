/**
 * The hashes that statistics and attacks are applied to: the flow hash; HalfSipHash-1-3, which was the flow hash before and is the
 * yardstick; and a multilinear hash, with and without a strong final step, which shows that the attacks can succeed.
 */
import { L } from '#anyhop/core/layout.gen.js';
import { flowHash, flowHashPair } from '#anyhop/hash/flow.js';
import type { Random } from '../differential/random.js';

/** A hash under one key, of the first `count` words. */
export type Keyed = (input: Int32Array, count: number) => number;

export interface Subject {
  readonly name: string;
  /** Under a key from the generator. */
  key(random: Random): Keyed;
}

function randomWords(random: Random, count: number): Int32Array {
  return Int32Array.from({ length: count }, () => random.below(2 ** 32));
}

export const FLOW_HASH: Subject = {
  name: 'flow hash',
  key(random) {
    const key = randomWords(random, L.FLOW_KEY_WORDS);
    return (input, count) =>
      count === 2 ? flowHashPair(key, 0, input[0], input[1]) : flowHash(key, 0, input, count);
  },
};

export const HALF_SIP: Subject = {
  name: 'HalfSipHash-1-3',
  key(random) {
    const [key0, key1] = randomWords(random, 2);
    return (input, count) => halfSip(key0, key1, input, count);
  },
};

/** The upper half of k0 + k1 w0 + k2 w1 + ... mod 2^64 (strongly universal; Lemire and Kaser, 2014). */
export const MULTILINEAR: Subject = {
  name: 'multilinear',
  key(random) {
    const key = randomWords(random, 2 * 6);
    return (input, count) => multilinear(key, input, count);
  },
};

/** The same, and MurmurHash3's final step between secret words. */
export const MULTILINEAR_FINISHED: Subject = {
  name: 'multilinear, finished',
  key(random) {
    const key = randomWords(random, 2 * 6);
    const [before, after] = randomWords(random, 2);
    return (input, count) => {
      let h = multilinear(key, input, count) ^ before;
      h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
      h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
      return h ^ (h >>> 16) ^ after;
    };
  },
};

/** HalfSipHash-1-3 with 32 bits of output (Aumasson and Bernstein; Linux's hsiphash) of `count` little-endian words. */
export function halfSip(key0: number, key1: number, input: Int32Array, count: number): number {
  let v0 = key0;
  let v1 = key1;
  let v2 = key0 ^ 0x6c796765;
  let v3 = key1 ^ 0x74656462;
  // One round a word, one for the length in bytes in the top byte of a word, three to finish.
  for (let i = 0; i < count + 4; i++) {
    if (i === count + 1) v2 ^= 0xff;
    const word = i < count ? input[i] : i === count ? count << 26 : 0;
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

function multilinear(key: Int32Array, input: Int32Array, count: number): number {
  let low = key[0] >>> 0;
  let high = key[1];
  for (let i = 0; i < count; i++) {
    const [keyLow, word] = [key[2 * i + 2] >>> 0, input[i] >>> 0];
    const [a, b] = [keyLow & 0xffff, keyLow >>> 16];
    // keyLow * word in two parts that a double holds: 48 bits each.
    const lower = a * word + low;
    const upper = b * word + Math.floor(lower / 65536);
    low = ((upper & 0xffff) * 65536 + (lower % 65536)) >>> 0;
    high = (high + Math.floor(upper / 65536) + Math.imul(key[2 * i + 3], word)) | 0;
  }
  return high;
}
