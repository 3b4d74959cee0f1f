/**
 * The lists `allow` and `block` become one flat memory that every engine reads: native/include/anyhop/lists.h. A million prefixes take
 * some 0.3 s for IPv4 and 1 s for IPv6, so this runs in a worker thread (worker.ts).
 *
 * The memory is bounded by the number of prefixes: 5.3 MiB and 5 to 39 bytes for each of IPv4; 0.5 MiB and 20 to 60 bytes for each of
 * IPv6.
 */
import { randomInt } from 'node:crypto';
import { L } from '../core/layout.gen.js';
import { type Prefixes, prefixCount } from './columns.js';
import { type Compiled4, compile4 } from './compile4.js';
import { boundBytesMax, Compiler6, type Places6, places6 } from './compile6.js';
import { groups6 } from './groups6.js';
import { sort6 } from './sort6.js';

const LINE_BYTES = 64;
const SEEDS = 2 ** 32;
/** With entries moved, a table two thirds full takes the first seed but for a few small ones. */
const TRIES_MAX = 100;

export interface ListsInput {
  readonly allow: readonly Prefixes[];
  readonly block: readonly Prefixes[];
}

/** @returns undefined when there is no prefix @param random from 0 to below the given number */
export function compileLists(
  { allow, block }: ListsInput,
  random: (below: number) => number = (below) => randomInt(below),
): SharedArrayBuffer | undefined {
  const lists = [
    ...block.map((prefixes) => [L.LISTED_BLOCK, prefixes] as const),
    ...allow.map((prefixes) => [L.LISTED_ALLOW, prefixes] as const),
  ];
  if (lists.every(([, prefixes]) => prefixCount(prefixes) === 0)) return undefined;
  const with4 = lists.filter(([, { lengths4 }]) => lengths4.length > 0);
  const part4 = with4.length > 0 ? compile4(with4, random(SEEDS)) : undefined;
  const at6 = L.SIZEOF_LISTS + (part4 === undefined ? 0 : bytesOf4(part4));
  const sorted = sort6(lists);
  if (sorted.tags.length === 0) return finished(newMemory(at6, part4), at6);
  const members = groups6(sorted);
  const places = places6(members, at6);
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const memory = newMemory(places.bounds + boundBytesMax(members), part4);
    writeHeader6(memory, places, random(SEEDS));
    const end = new Compiler6(memory, places).fill(sorted, members);
    if (end !== undefined) return finished(memory, end);
  }
  throw new RangeError(`lists: no seed of ${TRIES_MAX} gives a table`);
}

function bytesOf4({ bits, ranks, records, pages, filter }: Compiled4): number {
  const parts = [bits, ranks, records, pages, filter];
  return parts.reduce((sum, { byteLength }) => sum + lines(byteLength), 0);
}

function newMemory(bytes: number, part4: Compiled4 | undefined): ArrayBuffer {
  const memory = new ArrayBuffer(lines(bytes));
  if (part4 === undefined) return memory;
  const { bits, ranks, records, pages, filter, seed } = part4;
  const header = new Uint32Array(memory, 0, L.SIZEOF_LISTS / 4);
  const at = { next: L.SIZEOF_LISTS };
  const put = (field: number, part: Uint32Array | Uint8Array): void => {
    header[field / 4] = at.next;
    new Uint8Array(memory).set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), at.next);
    at.next += lines(part.byteLength);
  };
  put(L.LISTS_BITS4, bits);
  put(L.LISTS_RANKS4, ranks);
  put(L.LISTS_RECORDS4, records);
  put(L.LISTS_PAGES4, pages);
  put(L.LISTS_FILTER4, filter);
  header[L.LISTS_FILTER4_MASK / 4] = filter.byteLength - 8;
  header[L.LISTS_SEED4 / 4] = seed;
  return memory;
}

function writeHeader6(memory: ArrayBuffer, places: Places6, seed: number): void {
  const header = new Uint32Array(memory, 0, L.SIZEOF_LISTS / 4);
  header[L.LISTS_TOP6 / 4] = places.top;
  header[L.LISTS_FILTER6 / 4] = places.filter;
  header[L.LISTS_FILTER_MASK / 4] = places.filterBytes - 8;
  header[L.LISTS_TABLE6 / 4] = places.table;
  header[L.LISTS_BUCKETS / 4] = places.buckets;
  header[L.LISTS_SEED / 4] = seed;
}

/** A copy of what is used, which threads may share. Behind it, as much as may be read at any offset. */
function finished(memory: ArrayBuffer, end: number): SharedArrayBuffer {
  const size = lines(end) + L.READ_MAX;
  new Uint32Array(memory, 0, L.SIZEOF_LISTS / 4)[L.LISTS_SIZE / 4] = size;
  const shared = new SharedArrayBuffer(size);
  new Uint8Array(shared).set(new Uint8Array(memory, 0, Math.min(memory.byteLength, lines(end))));
  return shared;
}

function lines(bytes: number): number {
  return Math.ceil(bytes / LINE_BYTES) * LINE_BYTES;
}
