/**
 * IPv6 prefixes in groups, as native/include/anyhop/lists.h describes them: by the first 64, 48, 32 or 16 bits, the most of these that a
 * prefix covers. Each kind of group says where in an address its key and its places are.
 */
import { L } from '../core/layout.gen.js';
import type { Sorted6 } from './sort6.js';

export interface GroupKind {
  /** LISTS_32, LISTS_48 or LISTS_64; 0 for those of 16 bits, which need no entry. */
  readonly length: number;
  /** The prefixes that are in such groups: from this length on, and below the next. */
  readonly from: number;
  readonly below: number;
}

/** The shortest first: what a longer group starts from, the shorter ones say. */
export const GROUP_KINDS: readonly GroupKind[] = [
  { length: 0, from: 16, below: 32 },
  { length: L.LISTS_32, from: 32, below: 48 },
  { length: L.LISTS_48, from: 48, below: 64 },
  { length: L.LISTS_64, from: 64, below: 129 },
];

/** The prefixes of one kind of group, in their order, and where each group of them begins. */
export interface Members {
  readonly kind: GroupKind;
  /** Numbers of prefixes. */
  readonly order: Uint32Array;
  /** Indexes into `order`, and its length. */
  readonly starts: Uint32Array;
}

export function membersOf(kind: GroupKind, { words, tags, order }: Sorted6): Members {
  const isMember = (i: number): boolean => tags[i] >>> 1 >= kind.from && tags[i] >>> 1 < kind.below;
  const members = order.filter(isMember);
  const starts: number[] = [];
  for (let i = 0; i < members.length; i++)
    if (i === 0 || !isSameGroup(kind, words, members[i - 1] * 4, members[i] * 4)) starts.push(i);
  starts.push(members.length);
  return { kind, order: members, starts: Uint32Array.from(starts) };
}

/** The second word of a group's key. */
export function keyLow(kind: GroupKind, w1: number): number {
  if (kind.length === L.LISTS_64) return w1;
  return kind.length === L.LISTS_48 ? (w1 & -0x10000) >>> 0 : 0;
}

function isSameGroup(kind: GroupKind, words: Uint32Array, a: number, b: number): boolean {
  if (kind.length === 0) return words[a] >>> 16 === words[b] >>> 16;
  return words[a] === words[b] && keyLow(kind, words[a + 1]) === keyLow(kind, words[b + 1]);
}
