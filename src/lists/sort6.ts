/** The order of many IPv6 prefixes: by address, then the shorter first, then block before allow. */
import { L } from '../core/layout.gen.js';
import type { Prefixes } from './columns.js';

const DIGITS = 65536;

export interface Sorted6 {
  /** Four words for each, in the order in which they were given. */
  readonly words: Uint32Array;
  /** Length * 2, and one more for allow. */
  readonly tags: Uint16Array;
  /** The numbers of the prefixes in their order. */
  readonly order: Uint32Array;
}

/** @param lists the prefixes of each, by LISTED_BLOCK and LISTED_ALLOW */
export function sort6(lists: readonly (readonly [listed: number, prefixes: Prefixes])[]): Sorted6 {
  const count = lists.reduce((sum, [, { lengths6 }]) => sum + lengths6.length, 0);
  const words = new Uint32Array(count * 4);
  const tags = new Uint16Array(count);
  let at = 0;
  for (const [listed, { words6, lengths6 }] of lists) {
    words.set(words6, at * 4);
    for (const length of lengths6) tags[at++] = length * 2 + (listed - L.LISTED_BLOCK);
  }
  let order = Uint32Array.from({ length: count }, (_, i) => i);
  let spare = new Uint32Array(count);
  const counts = new Uint32Array(DIGITS);
  // By 16 bits at a time, the last ones first: each pass keeps the order of the one before.
  for (let pass = 0; pass <= 8; pass++) {
    const half = 8 - pass;
    const shift = half % 2 === 0 ? 16 : 0;
    const word = half >> 1;
    const digit = (i: number): number => (pass === 0 ? tags[i] : (words[i * 4 + word] >>> shift) & 0xffff);
    counts.fill(0);
    for (let i = 0; i < count; i++) counts[digit(i)]++;
    if (count > 0 && counts[digit(0)] === count) continue; // all the same
    let sum = 0;
    for (let value = 0; value < DIGITS; value++) {
      const here = counts[value];
      counts[value] = sum;
      sum += here;
    }
    for (let i = 0; i < count; i++) spare[counts[digit(order[i])]++] = order[i];
    [order, spare] = [spare, order];
  }
  return { words, tags, order };
}
