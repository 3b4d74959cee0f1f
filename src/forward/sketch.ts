/**
 * Counts over a sliding window, and the sketch that has them for every source. What they are and what their limits are is said in
 * native/include/anyhop/sketch.h, which this is the reference of.
 *
 * A count is two words of an Int32Array, which is laid out as struct anyhop_guard:
 *
 *   | former, low 8 bits | present 24 |     | window 16 | former, high 16 bits |
 */
import { L } from '../core/layout.gen.js';
import { highHalf } from '../hash/flow.js';

/** Of a count. Those of SYNs are in a table of their own. */
const COUNT_WORDS = 2;
const ROW_WORDS = L.SKETCH_WIDTH * COUNT_WORDS;
/** Of a cell, from where firstCell and secondCell say it is, where its counts are. */
export const PACKETS_WORD = L.CELL_PACKETS / 4;
export const SYNS_WORD = L.CELL_SYNS / 4;

/** The number of the window that a unit is in. @param reciprocal 2^32 over the window's length in units, rounded down */
export function windowAt(now: number, reciprocal: number): number {
  return highHalf(now, reciprocal);
}

/** What is left of that window, in 65,536th: 1 to 65,536. */
export function leftAt(now: number, reciprocal: number): number {
  return 65536 - (Math.imul(now, reciprocal) >>> 16);
}

/** What a count has in the window `window`. */
export function presentOf(words: Int32Array, at: number, window: number): number {
  return ((window ^ (words[at + 1] >>> 16)) & 0xffff) === 0 ? words[at] & L.COUNT_MAX : 0;
}

/** What a count has in the window before `window`. */
export function formerOf(words: Int32Array, at: number, window: number): number {
  const upper = words[at + 1];
  const age = (window - (upper >>> 16)) & 0xffff;
  if (age === 0) return (words[at] >>> 24) | ((upper & 0xffff) << 8);
  return age === 1 ? words[at] & L.COUNT_MAX : 0;
}

/** What came within the time of a window. */
export function slidingOf(present: number, former: number, left: number): number {
  return present + Math.floor((former * left) / 65536); // 41 bits
}

export function countSliding(words: Int32Array, at: number, window: number, left: number): number {
  return slidingOf(presentOf(words, at, window), formerOf(words, at, window), left);
}

/** Counts `more` in the present window. */
export function countPlus(words: Int32Array, at: number, window: number, more: number): void {
  const former = formerOf(words, at, window);
  const present = Math.min(presentOf(words, at, window) + more, L.COUNT_MAX);
  words[at] = present | (former << 24);
  words[at + 1] = (former >>> 8) | (window << 16);
}

/** A source's two cells, by its hash, as indexes into the words. @param sketch where the sketch begins */
export function firstCell(sketch: number, hash: number): number {
  return sketch + (hash & (L.SKETCH_WIDTH - 1)) * COUNT_WORDS;
}

export function secondCell(sketch: number, hash: number): number {
  return sketch + ROW_WORDS + (hash >>> 16) * COUNT_WORDS;
}

/** What two counts say together in the present window: the lesser. */
export function pairPresent(words: Int32Array, first: number, second: number, window: number): number {
  const one = presentOf(words, first, window);
  const other = presentOf(words, second, window);
  return one < other ? one : other;
}

/** What they say together of the time of a window. */
export function pairSliding(
  words: Int32Array,
  first: number,
  second: number,
  window: number,
  left: number,
): number {
  const one = formerOf(words, first, window);
  const other = formerOf(words, second, window);
  return slidingOf(pairPresent(words, first, second, window), one < other ? one : other, left);
}

/** Raises both counts to one more than the lesser says. */
export function pairRaise(words: Int32Array, first: number, second: number, window: number): void {
  const one = presentOf(words, first, window);
  const other = presentOf(words, second, window);
  if (one <= other && one < L.COUNT_MAX) countPlus(words, first, window, 1);
  if (other <= one && other < L.COUNT_MAX) countPlus(words, second, window, 1);
}
