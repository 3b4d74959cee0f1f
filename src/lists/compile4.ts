/**
 * Prefixes of IPv4, compiled: what native/include/anyhop/lists.h calls bits4, ranks4, records4 and pages4.
 *
 * Short prefixes are painted over one another, the shortest first, as two bits for each /24. What is longer than that is sorted, so that
 * the prefixes of one /24 stand together, and becomes a record of it.
 */
import { L } from '../core/layout.gen.js';
import { popcount } from '../forward/lists.js';
import type { Prefixes } from './columns.js';
import { filterOf } from './filter4.js';

const NETS = 1 << 24;
const NET_BITS = 24;
const NETS_PER_WORD = 16;
const NETS_PER_RANK = 64;
const PAGE_BYTES = 64;
const OCTETS = 256;
/** Bits of a long prefix in its sort key, from the lowest: last octet, list, length less 24. */
const KEY_LIST = OCTETS;
const KEY_LENGTH = KEY_LIST * 2;
const KEY_NET = KEY_LENGTH * 16;

export interface Compiled4 {
  readonly bits: Uint32Array;
  readonly ranks: Uint32Array;
  readonly records: Uint32Array;
  readonly pages: Uint8Array;
  readonly filter: Uint32Array;
  readonly seed: number;
}

/**
 * @param lists the prefixes of each, by LISTED_BLOCK and LISTED_ALLOW
 * @param seed of the filter
 */
export function compile4(
  lists: readonly (readonly [listed: number, prefixes: Prefixes])[],
  seed: number,
): Compiled4 {
  const bits = new Uint32Array(NETS / NETS_PER_WORD);
  // Of equal length, allow comes after block and so wins.
  const ordered = lists.toSorted(([a], [b]) => a - b);
  for (let length = 0; length <= NET_BITS; length++) {
    for (const [listed, { words4, lengths4 }] of ordered) {
      for (let i = 0; i < lengths4.length; i++)
        if (lengths4[i] === length) paint(bits, words4[i] >>> 8, 1 << (NET_BITS - length), listed);
    }
  }
  const { records, pages, nets } = new Records(bits).addAll(longPrefixes(ordered));
  return { bits, ranks: ranksOf(bits), records, pages, filter: filterOf(nets, records, seed), seed };
}

/** Sort keys of prefixes longer than a /24: by /24, length, list. */
function longPrefixes(lists: readonly (readonly [listed: number, prefixes: Prefixes])[]): Float64Array {
  let count = 0;
  for (const [, { lengths4 }] of lists) for (const length of lengths4) if (length > NET_BITS) count++;
  const keys = new Float64Array(count);
  let at = 0;
  for (const [listed, { words4, lengths4 }] of lists) {
    const list = (listed - L.LISTED_BLOCK) * KEY_LIST;
    for (let i = 0; i < lengths4.length; i++) {
      if (lengths4[i] <= NET_BITS) continue;
      const word = words4[i];
      keys[at++] = (word >>> 8) * KEY_NET + (lengths4[i] - NET_BITS) * KEY_LENGTH + list + (word & 255);
    }
  }
  return keys.sort();
}

/** Sets the two bits of `count` /24s, a power of two that `first` is a multiple of. */
function paint(bits: Uint32Array, first: number, count: number, listed: number): void {
  if (count >= NETS_PER_WORD) {
    const at = first / NETS_PER_WORD;
    bits.fill(listed * 0x55555555, at, at + count / NETS_PER_WORD);
    return;
  }
  for (let net = first; net < first + count; net++) put(bits, net, listed);
}

function put(bits: Uint32Array, net: number, listed: number): void {
  const shift = (net & (NETS_PER_WORD - 1)) * 2;
  const at = net >>> 4;
  bits[at] = (bits[at] & ~(3 << shift)) | (listed << shift);
}

/** How many /24s with a record stand before each 64 of them. */
function ranksOf(bits: Uint32Array): Uint32Array {
  const ranks = new Uint32Array(NETS / NETS_PER_RANK);
  const words = NETS_PER_RANK / NETS_PER_WORD;
  let rank = 0;
  for (let line = 0; line < ranks.length; line++) {
    ranks[line] = rank;
    for (let at = line * words; at < (line + 1) * words; at++) {
      const pairs = bits[at];
      if (pairs !== 0) rank += popcount(pairs & (pairs >>> 1) & 0x55555555);
    }
  }
  return ranks;
}

class Records {
  readonly #bits: Uint32Array;
  readonly #octets = new Uint8Array(OCTETS);
  #records = new Uint32Array();
  /** Of each record. */
  #nets = new Uint32Array();
  #count = 0;
  #pages = new Uint8Array(16 * PAGE_BYTES);
  #pageCount = 0;

  constructor(bits: Uint32Array) {
    this.#bits = bits;
  }

  get records(): Uint32Array {
    return this.#records.subarray(0, this.#count);
  }

  get nets(): Uint32Array {
    return this.#nets.subarray(0, this.#count);
  }

  get pages(): Uint8Array {
    return this.#pages.subarray(0, this.#pageCount * PAGE_BYTES);
  }

  /** @param keys sorted; each /24 of them gets its record, where its addresses differ after all */
  addAll(keys: Float64Array): this {
    this.#records = new Uint32Array(keys.length);
    this.#nets = new Uint32Array(keys.length);
    for (let from = 0, to = 0; from < keys.length; from = to) {
      const net = Math.floor(keys[from] / KEY_NET);
      while (to < keys.length && keys[to] < (net + 1) * KEY_NET) to++;
      const base = (this.#bits[net >>> 4] >>> ((net & (NETS_PER_WORD - 1)) * 2)) & 3;
      const record = to === from + 1 ? this.#one(keys[from], base) : this.#several(net, keys, from, to, base);
      if (record === undefined) continue;
      put(this.#bits, net, L.LISTED_PART);
      this.#nets[this.#count] = net;
      this.#records[this.#count++] = record;
    }
    return this;
  }

  /** The record of a /24 with one prefix in it; undefined when that says what holds anyway. */
  #one(key: number, base: number): number | undefined {
    const rest = key % KEY_NET;
    const listed = listedOf(rest);
    if (listed === base) return undefined;
    const start = rest % OCTETS;
    const end = start + sizeOf(rest);
    if (start === 0) return inline(listed, end, base, OCTETS - 1, base);
    if (end === OCTETS) return inline(base, start, listed, OCTETS - 1, listed);
    return inline(base, start, listed, end, base);
  }

  /** The same of several, which are painted over one another. */
  #several(net: number, keys: Float64Array, from: number, to: number, base: number): number | undefined {
    const octets = this.#octets.fill(base);
    for (let i = from; i < to; i++) {
      const rest = keys[i] % KEY_NET;
      const start = rest % OCTETS;
      octets.fill(listedOf(rest), start, start + sizeOf(rest));
    }
    let [bounds, first, second] = [0, 0, 0];
    for (let octet = 1; octet < OCTETS; octet++) {
      if (octets[octet] === octets[octet - 1]) continue;
      if (bounds === 0) first = octet;
      else second = octet;
      bounds++;
    }
    if (bounds === 0) put(this.#bits, net, octets[0]);
    if (bounds === 0) return undefined;
    if (bounds === 1) return inline(octets[0], first, octets[first], OCTETS - 1, octets[OCTETS - 1]);
    if (bounds === 2) return inline(octets[0], first, octets[first], second, octets[second]);
    return this.#page(octets);
  }

  #page(octets: Uint8Array): number {
    const start = this.#pageCount * PAGE_BYTES;
    if (start === this.#pages.length) {
      const larger = new Uint8Array(start * 2);
      larger.set(this.#pages);
      this.#pages = larger;
    }
    for (let octet = 0; octet < OCTETS; octet++)
      this.#pages[start + (octet >>> 2)] |= octets[octet] << ((octet & 3) * 2);
    return L.LISTS_PAGE + this.#pageCount++;
  }
}

function listedOf(rest: number): number {
  return L.LISTED_BLOCK + (Math.floor(rest / KEY_LIST) & 1);
}

/** Addresses of a prefix. */
function sizeOf(rest: number): number {
  return 1 << (32 - NET_BITS - Math.floor(rest / KEY_LENGTH));
}

/** From octet 0 on `base` holds; from `first` on, 1 at least, and from `second` on, not below it, the other two. */
function inline(base: number, first: number, then: number, second: number, last: number): number {
  return base | (first << 2) | (then << 10) | (second << 12) | (last << 20);
}
