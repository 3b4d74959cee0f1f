/**
 * Prefixes of IPv6, compiled: what native/include/anyhop/lists.h calls top6, filter6, table6 and bounds6. Groups are filled the shortest
 * first, and what one of them starts from is asked of those that are there already (src/forward/lists.ts).
 */
import { L } from '../core/layout.gen.js';
import { Lists, listsBucket, listsHash, listsHash32 } from '../forward/lists.js';
import type { GroupKind, Members } from './groups6.js';
import type { Sorted6 } from './sort6.js';
import { Sweep } from './sweep.js';

const TOPS = 65536;
const TOP_WORDS = L.SIZEOF_LISTS_TOP / 4;
const TOP_BITS = 16;
/** Groups for each bucket of the table, and for each word of 64 bits of the filter: one of a thousand strangers passes. */
const GROUPS_PER_BUCKET = 2.8;
const GROUPS_PER_WORD = 4;
const BUCKETS_MIN = 8;
const ENTRY_WORDS = L.SIZEOF_LISTS_ENTRY / 4;
const WHERE = L.LISTS_ENTRY_WHERE / 4;
const WHAT = L.LISTS_ENTRY_WHAT / 4;
/** Entries that make room for one another, before the table gets another seed. */
const MOVES_MAX = 500;
const ONES = 0xffffffff;

/** Where the parts are in the memory, in bytes. */
export interface Places6 {
  readonly top: number;
  readonly filter: number;
  readonly filterBytes: number;
  readonly table: number;
  readonly buckets: number;
  readonly bounds: number;
}

/** Sizes for so many groups and prefixes; bounds get as much as they may need. @param at where the first part may begin */
export function places6(members: readonly Members[], at: number): Places6 {
  const groups = members.reduce(
    (sum, { kind, starts }) => sum + (kind.length > 0 ? starts.length - 1 : 0),
    0,
  );
  const filterBytes = 8 * 2 ** Math.ceil(Math.log2(Math.max(1, groups / GROUPS_PER_WORD)));
  const buckets = Math.max(BUCKETS_MIN, Math.ceil(groups / GROUPS_PER_BUCKET));
  const filter = at + TOPS * L.SIZEOF_LISTS_TOP;
  const table = filter + Math.max(64, filterBytes);
  return {
    top: at,
    filter,
    filterBytes,
    table,
    buckets,
    bounds: table + buckets * L.LISTS_BUCKET * L.SIZEOF_LISTS_ENTRY,
  };
}

/** Bytes that bounds may take at most. */
export function boundBytesMax(members: readonly Members[]): number {
  return members.reduce(
    (sum, { kind, order, starts }) =>
      sum + order.length * 2 * (kind.length === L.LISTS_64 ? 9 : 4) + starts.length * 8,
    0,
  );
}

/** Fills the parts, in memory that is zero behind its header. One for each try with a seed. */
export class Compiler6 {
  readonly #places: Places6;
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #reader: Lists;
  readonly #seed: number;
  readonly #sweep = new Sweep();
  /** Where the next bounds go, in words of 8 bytes. */
  #next: number;

  /** @param memory with a header that names these places */
  constructor(memory: ArrayBufferLike, places: Places6) {
    this.#places = places;
    this.#words = new Uint32Array(memory, 0, memory.byteLength >>> 2);
    this.#bytes = new Uint8Array(memory);
    this.#reader = new Lists(memory);
    this.#seed = this.#words[L.LISTS_SEED / 4];
    this.#next = places.bounds / 8;
  }

  /** @returns where the bounds end, in bytes; undefined when the table needs another seed */
  fill(sorted: Sorted6, members: readonly Members[]): number | undefined {
    this.#paintTop(sorted);
    for (const { kind, order, starts } of members) {
      for (let group = 0; group + 1 < starts.length; group++)
        if (!this.#group(sorted, kind, order, starts[group], starts[group + 1])) return undefined;
      if (order.length > 0 && kind.length > 0) this.#words[L.LISTS_LENGTHS / 4] |= 1 << kind.length;
    }
    return this.#next * 8;
  }

  /** What is shorter than 16 bits, the shortest first. */
  #paintTop({ words, tags }: Sorted6): void {
    const short: number[] = [];
    for (let i = 0; i < tags.length; i++) if (tags[i] >>> 1 < TOP_BITS) short.push(i);
    for (const i of short.sort((a, b) => tags[a] - tags[b])) {
      const first = words[i * 4] >>> 16;
      const count = 1 << (TOP_BITS - (tags[i] >>> 1));
      for (let top = first; top < first + count; top++)
        this.#words[this.#top(top) + L.LISTS_TOP_WHAT / 4] = listedOf(tags[i]);
    }
  }

  #top(number: number): number {
    return this.#places.top / 4 + number * TOP_WORDS;
  }

  /** @returns false when the table has no room for it */
  #group({ words, tags }: Sorted6, kind: GroupKind, order: Uint32Array, from: number, to: number): boolean {
    const at = order[from] * 4;
    const w0 = words[at];
    const w1 = words[at + 1] & kind.mask1;
    const isWide = kind.length === L.LISTS_64;
    const sweep = this.#sweep;
    sweep.begin(this.#reader.of6(w0, w1, 0, 0));
    for (let i = from; i < to; i++) range(sweep, kind, words, order[i] * 4, tags[order[i]]);
    if (isWide) sweep.end(ONES, ONES);
    else sweep.end(0, 0xffff);
    const where = this.#next;
    if (sweep.count > 0) this.#write(isWide);
    const what = ((sweep.count << 4) | (kind.length << 2) | sweep.base) >>> 0;
    if (kind.length > 0) return this.#insert(kind.length, w0, w1, where, what);
    const top = this.#top(w0 >>> 16);
    this.#words[top + L.LISTS_TOP_WHERE / 4] = where;
    this.#words[top + L.LISTS_TOP_WHAT / 4] = what;
    return true;
  }

  /** The bounds of a group. */
  #write(isWide: boolean): void {
    const { bounds, values, count } = this.#sweep;
    const start = this.#next * 2;
    if (isWide) {
      for (let i = 0; i < count * 2; i++) this.#words[start + i] = bounds[i];
      const bytes = (start + count * 2) * 4;
      for (let i = 0; i < count; i++) this.#bytes[bytes + i] = values[i];
      this.#next += count + Math.ceil(count / 8);
    } else {
      for (let i = 0; i < count; i++) this.#words[start + i] = (bounds[i * 2] << 2) | values[i];
      this.#next += Math.ceil(count / 2);
    }
  }

  #insert(length: number, w0: number, w1: number, where: number, what: number): boolean {
    const hash = hashOf(this.#seed, length, w0, w1);
    const spread = Math.imul(hash, L.LISTS_SPREAD_FACTOR);
    const word = this.#places.filter / 4 + ((hash >>> 13) & ((this.#places.filterBytes - 8) >>> 2));
    for (let shift = 8; shift <= 20; shift += 6) {
      const bit = (spread >>> shift) & 63;
      this.#words[word + (bit >>> 5)] |= 1 << (bit & 31);
    }
    const first = this.#room(this.#bucket(hash));
    const at = first >= 0 ? first : this.#room(this.#bucket(spread));
    if (at < 0) return this.#makeRoom(this.#bucket(spread), [w1 >>> 0, w0, where, what]);
    this.#put(at, w1, w0, where, what);
    return true;
  }

  #put(at: number, low: number, high: number, where: number, what: number): void {
    const words = this.#words;
    words[at] = low;
    words[at + 1] = high;
    words[at + WHERE] = where;
    words[at + WHAT] = what;
  }

  /** Both places of an entry are full: it takes that of another one, which goes to its own other place, and so on. */
  #makeRoom(full: number, entry: readonly number[]): boolean {
    let [bucket, next] = [full, entry];
    for (let moves = 0; moves < MOVES_MAX; moves++) {
      const at = bucket + (moves % L.LISTS_BUCKET) * ENTRY_WORDS;
      const [low, high, where, what] = this.#words.subarray(at, at + ENTRY_WORDS);
      this.#put(at, next[0], next[1], next[WHERE], next[WHAT]);
      next = [low, high, where, what];
      const hash = hashOf(this.#seed, (what >>> 2) & 3, high, low);
      const [first, second] = [this.#bucket(hash), this.#bucket(Math.imul(hash, L.LISTS_SPREAD_FACTOR))];
      bucket = bucket === first ? second : first;
      const room = this.#room(bucket);
      if (room < 0) continue;
      this.#put(room, low, high, where, what);
      return true;
    }
    return false;
  }

  /** Where an entry is free in a place of the table; -1 when it is full. */
  #room(bucket: number): number {
    for (let at = bucket; at < bucket + L.LISTS_BUCKET * ENTRY_WORDS; at += ENTRY_WORDS)
      if (this.#words[at + WHAT] === 0) return at;
    return -1;
  }

  #bucket(hash: number): number {
    return this.#places.table / 4 + listsBucket(hash, this.#places.buckets) * L.LISTS_BUCKET * ENTRY_WORDS;
  }
}

function hashOf(seed: number, length: number, w0: number, w1: number): number {
  const hash32 = listsHash32(seed, w0);
  if (length === L.LISTS_64) return listsHash(hash32, w1);
  return listsHash(hash32, length === L.LISTS_48 ? w1 >>> 16 : L.LISTS_32_SALT);
}

function listedOf(tag: number): number {
  return L.LISTED_BLOCK + (tag & 1);
}

/** Adds the places of a prefix in its group. */
function range(
  sweep: Sweep,
  { length: kind, below }: GroupKind,
  words: Uint32Array,
  at: number,
  tag: number,
): void {
  const length = tag >>> 1;
  if (kind === L.LISTS_64) {
    const [high, low] = [words[at + 2], words[at + 3]];
    const highHosts = length >= 96 ? 0 : ONES >>> (length - 64);
    const lowHosts = length <= 96 ? ONES : length === 128 ? 0 : ONES >>> (length - 96);
    sweep.add(high, low, (high | highHosts) >>> 0, (low | lowHosts) >>> 0, listedOf(tag));
    return;
  }
  const word = kind === 0 ? words[at] : words[at + 1];
  const place = kind === L.LISTS_32 ? word >>> 16 : word & 0xffff;
  sweep.add(0, place, 0, place | ((1 << (below - length)) - 1), listedOf(tag));
}
