/**
 * What the lists `allow` and `block` say of an address, read from their compiled form. native/include/anyhop/lists.h describes it and
 * says the same in C; src/lists/compile.ts writes it.
 *
 * Addresses are numbers, the first byte the highest; halves and words of IPv6 likewise. Answers are LISTED_NONE, LISTED_BLOCK or
 * LISTED_ALLOW. Hot: no allocation, and no number beyond 32 bits that is not a double made in passing.
 */
import '../core/inlining.js';
import { L } from '../core/layout.gen.js';

const BUCKET_WORDS = (L.SIZEOF_LISTS_ENTRY / 4) * L.LISTS_BUCKET;
const ENTRY_WORDS = L.SIZEOF_LISTS_ENTRY / 4;
const TOP_WORDS = L.SIZEOF_LISTS_TOP / 4;
const ENTRY_WHERE = L.LISTS_ENTRY_WHERE / 4;
const ENTRY_WHAT = L.LISTS_ENTRY_WHAT / 4;
const TOP_WHERE = L.LISTS_TOP_WHERE / 4;
const TOP_WHAT = L.LISTS_TOP_WHAT / 4;
/** /24s that share a rank, and words of two bits for each of them. */
const RANK_SHIFT = 6;
const RANK_WORDS = 4;

export class Lists {
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  /** Indexes into `words`; 0 where there is nothing. */
  readonly #bits4: number;
  readonly #ranks4: number;
  readonly #records4: number;
  readonly #pages4: number;
  readonly #top6: number;
  readonly #filter6: number;
  readonly #filterMask: number;
  readonly #table6: number;
  readonly #buckets: number;
  readonly #seed: number;

  /** @param memory compiled lists, read in place */
  constructor(memory: ArrayBufferLike) {
    const words = new Uint32Array(memory, 0, memory.byteLength >>> 2);
    this.#words = words;
    this.#bytes = new Uint8Array(memory);
    this.#bits4 = words[L.LISTS_BITS4 / 4] >>> 2;
    this.#ranks4 = words[L.LISTS_RANKS4 / 4] >>> 2;
    this.#records4 = words[L.LISTS_RECORDS4 / 4] >>> 2;
    this.#pages4 = words[L.LISTS_PAGES4 / 4];
    this.#top6 = words[L.LISTS_TOP6 / 4] >>> 2;
    this.#filter6 = words[L.LISTS_FILTER6 / 4] >>> 2;
    this.#filterMask = words[L.LISTS_FILTER_MASK / 4] >>> 2;
    this.#table6 = words[L.LISTS_TABLE6 / 4] >>> 2;
    this.#buckets = words[L.LISTS_BUCKETS / 4];
    this.#seed = words[L.LISTS_SEED / 4];
  }

  /** What is said of an IPv4 address, signed or not. */
  of4(address: number): number {
    const bits = this.#bits4;
    if (bits === 0) return L.LISTED_NONE;
    const listed = (this.#words[bits + (address >>> 12)] >>> ((address >>> 7) & 30)) & 3;
    return listed === L.LISTED_PART ? this.#part4(address) : listed;
  }

  /** Of an address in a /24 whose addresses differ. */
  #part4(address: number): number {
    const words = this.#words;
    const net = address >>> 8;
    const line = net >>> RANK_SHIFT;
    let record = this.#records4 + words[this.#ranks4 + line];
    const at = this.#bits4 + (net >>> 4);
    for (let word = this.#bits4 + line * RANK_WORDS; word < at; word++) record += parts(words[word]);
    record += parts(words[at] & ((1 << ((net & 15) << 1)) - 1));
    const found = words[record];
    const octet = address & 255;
    if (found >>> 31 !== 0)
      return (
        (this.#bytes[this.#pages4 + (found & 0x7fffffff) * 64 + (octet >>> 2)] >>> ((octet & 3) << 1)) & 3
      );
    if (octet >= ((found >>> 12) & 255)) return (found >>> 20) & 3;
    return octet >= ((found >>> 2) & 255) ? (found >>> 10) & 3 : found & 3;
  }

  /** What is said of an IPv6 address: its four words, signed or not. */
  of6(w0: number, w1: number, w2: number, w3: number): number {
    if (this.#top6 === 0) return L.LISTED_NONE;
    const words = this.#words;
    // As of now: src/lists/compile.ts asks while it fills one length after another.
    const lengths = words[L.LISTS_LENGTHS / 4];
    const hash32 = listsHash32(this.#seed, w0);
    if ((lengths & (1 << L.LISTS_64)) !== 0) {
      const hash = listsHash(hash32, w1);
      const entry = this.#maybe(hash) ? this.#find(hash, w0, w1, L.LISTS_64) : -1;
      if (entry >= 0) return this.#wide(words[entry + ENTRY_WHERE], words[entry + ENTRY_WHAT], w2, w3);
    }
    if ((lengths & (1 << L.LISTS_48)) !== 0) {
      const hash = listsHash(hash32, w1 >>> 16);
      const entry = this.#maybe(hash) ? this.#find(hash, w0, w1 & -0x10000, L.LISTS_48) : -1;
      if (entry >= 0) return this.#bound(words[entry + ENTRY_WHERE], words[entry + ENTRY_WHAT], w1 & 0xffff);
    }
    if ((lengths & (1 << L.LISTS_32)) !== 0) {
      const hash = listsHash(hash32, L.LISTS_32_SALT);
      const entry = this.#maybe(hash) ? this.#find(hash, w0, 0, L.LISTS_32) : -1;
      if (entry >= 0) return this.#bound(words[entry + ENTRY_WHERE], words[entry + ENTRY_WHAT], w1 >>> 16);
    }
    const top = this.#top6 + (w0 >>> 16) * TOP_WORDS;
    return this.#bound(words[top + TOP_WHERE], words[top + TOP_WHAT], w0 & 0xffff);
  }

  /** Whether there may be a group with this hash. */
  #maybe(hash: number): boolean {
    const spread = Math.imul(hash, L.LISTS_SPREAD_FACTOR);
    const word = this.#filter6 + ((hash >>> 13) & this.#filterMask);
    return (
      this.#isSet(word, spread >>> 8) && this.#isSet(word, spread >>> 14) && this.#isSet(word, spread >>> 20)
    );
  }

  #isSet(word: number, bit: number): boolean {
    return ((this.#words[word + ((bit >>> 5) & 1)] >>> (bit & 31)) & 1) !== 0;
  }

  /** Index of a group's entry, or -1. */
  #find(hash: number, high: number, low: number, length: number): number {
    const words = this.#words;
    let place = hash;
    for (let tried = 0; tried < 2; tried++) {
      const bucket = this.#table6 + listsBucket(place, this.#buckets) * BUCKET_WORDS;
      for (let at = bucket; at < bucket + BUCKET_WORDS; at += ENTRY_WORDS) {
        if (words[at] === low >>> 0 && words[at + 1] === high >>> 0) {
          if (((words[at + ENTRY_WHAT] >>> 2) & 3) === length) return at;
        }
      }
      if (words[bucket + BUCKET_WORDS - ENTRY_WORDS + ENTRY_WHAT] === 0) return -1;
      place = Math.imul(place, L.LISTS_SPREAD_FACTOR);
    }
    return -1;
  }

  /** What holds in a group from the last bound on that is not above `wanted`, 16 bits. */
  #bound(where: number, what: number, wanted: number): number {
    const words = this.#words;
    const start = where * 2;
    const most = (wanted << 2) | 3;
    const count = what >>> 4;
    let first = 0;
    for (let left = count; left > 1; ) {
      const step = left >>> 1;
      if (words[start + first + step] <= most) first += step;
      left -= step;
    }
    return count === 0 || words[start + first] > most ? what & 3 : words[start + first] & 3;
  }

  /** The same where bounds are halves of an address. */
  #wide(where: number, what: number, high: number, low: number): number {
    const start = where * 2;
    const count = what >>> 4;
    let first = 0;
    for (let left = count; left > 1; ) {
      const step = left >>> 1;
      if (this.#isAtMost(start + (first + step) * 2, high >>> 0, low >>> 0)) first += step;
      left -= step;
    }
    if (count === 0 || !this.#isAtMost(start + first * 2, high >>> 0, low >>> 0)) return what & 3;
    return this.#bytes[(start + count * 2) * 4 + first];
  }

  #isAtMost(word: number, high: number, low: number): boolean {
    const bound = this.#words[word + 1];
    return bound < high || (bound === high && this.#words[word] <= low);
  }
}

/** Nothing is listed. */
export const NO_LISTS = new Lists(new ArrayBuffer(L.SIZEOF_LISTS));

export function listsHash32(seed: number, first: number): number {
  const h = Math.imul(first ^ seed, L.LISTS_SEED_FACTOR);
  return h ^ (h >>> 15);
}

/** The hash of a group's first bits. @param more what follows the first 32 of them, or LISTS_32_SALT */
export function listsHash(hash32: number, more: number): number {
  let h = Math.imul(hash32 ^ more, L.LISTS_MIX_FACTOR);
  h = Math.imul(h ^ (h >>> 13), L.LISTS_SEED_FACTOR);
  return h ^ (h >>> 16);
}

/** The place of a hash among the buckets. Exact: below 2^53. */
export function listsBucket(hash: number, buckets: number): number {
  return Math.floor(((hash >>> 0) * buckets) / 2 ** 32);
}

/** How many of a word's pairs of bits are both set. */
function parts(pairs: number): number {
  return popcount(pairs & (pairs >>> 1) & 0x55555555);
}

export function popcount(bits: number): number {
  let n = bits - ((bits >>> 1) & 0x55555555);
  n = (n & 0x33333333) + ((n >>> 2) & 0x33333333);
  n = (n + (n >>> 4)) & 0x0f0f0f0f;
  return Math.imul(n, 0x01010101) >>> 24;
}
