/** The order of many IPv6 prefixes: by address, then the shorter first, then block before allow. */
import { L } from '../core/layout.gen.js';
import type { Prefixes } from './columns.js';

const DIGITS = 65536;
const HALVES = 8;

export interface Sorted6 {
  /** Four words for each. */
  readonly words: Uint32Array;
  /** Length * 2, and one more for allow. */
  readonly tags: Uint16Array;
}

/** @param lists the prefixes of each, by LISTED_BLOCK and LISTED_ALLOW */
export function sort6(lists: readonly (readonly [listed: number, prefixes: Prefixes])[]): Sorted6 {
  const count = lists.reduce((sum, [, { lengths6 }]) => sum + lengths6.length, 0);
  const words = new Uint32Array(count * 4);
  const tags = new Uint16Array(count);
  let at = 0;
  for (const [listed, { words6, lengths6 }] of lists) {
    words.set(words6, at * 4);
    for (let i = 0; i < lengths6.length; i++) tags[at++] = lengths6[i] * 2 + (listed - L.LISTED_BLOCK);
  }
  const halves = new Uint16Array(words.buffer);
  let order = new Uint32Array(count);
  for (let i = 0; i < count; i++) order[i] = i;
  let spare = new Uint32Array(count);
  // By 16 bits at a time, the last ones first: each pass keeps the order of the one before.
  for (let pass = 0; pass <= HALVES; pass++) {
    // Of each word, the low half comes first in memory.
    const isSorted =
      pass === 0
        ? sortBy(tags, 1, 0, order, spare)
        : sortBy(halves, HALVES, (HALVES - pass) ^ 1, order, spare);
    if (isSorted) [order, spare] = [spare, order];
  }
  return inOrder(words, tags, order);
}

function inOrder(words: Uint32Array, tags: Uint16Array, order: Uint32Array): Sorted6 {
  const sorted = { words: new Uint32Array(words.length), tags: new Uint16Array(tags.length) };
  for (let i = 0; i < order.length; i++) {
    const from = order[i] * 4;
    const to = i * 4;
    sorted.words[to] = words[from];
    sorted.words[to + 1] = words[from + 1];
    sorted.words[to + 2] = words[from + 2];
    sorted.words[to + 3] = words[from + 3];
    sorted.tags[i] = tags[order[i]];
  }
  return sorted;
}

/** One pass. @returns whether `to` has the order now: not when all digits are the same */
function sortBy(
  digits: Uint16Array,
  step: number,
  first: number,
  from: Uint32Array,
  to: Uint32Array,
): boolean {
  const count = from.length;
  const places = new Uint32Array(DIGITS);
  for (let i = 0, at = first; i < count; i++, at += step) places[digits[at]]++;
  if (count === 0 || places[digits[first]] === count) return false;
  for (let digit = 0, sum = 0; digit < DIGITS; digit++) {
    const here = places[digit];
    places[digit] = sum;
    sum += here;
  }
  for (let i = 0; i < count; i++) {
    const number = from[i];
    to[places[digits[number * step + first]]++] = number;
  }
  return true;
}
