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
  /** Of the first word of an address and of the second, the bits that are a group's key. */
  readonly mask0: number;
  readonly mask1: number;
}

/** The shortest first: what a longer group starts from, the shorter ones say. */
const KINDS: readonly GroupKind[] = [
  { length: 0, from: 16, below: 32, mask0: -0x10000, mask1: 0 },
  { length: L.LISTS_32, from: 32, below: 48, mask0: -1, mask1: 0 },
  { length: L.LISTS_48, from: 48, below: 64, mask0: -1, mask1: -0x10000 },
  { length: L.LISTS_64, from: 64, below: 129, mask0: -1, mask1: -1 },
];

/** The prefixes of one kind of group, in their order, and where each group of them begins. */
export interface Members {
  readonly kind: GroupKind;
  /** Numbers of prefixes. */
  readonly order: Uint32Array;
  /** Indexes into `order`, and its length. */
  readonly starts: Uint32Array;
}

export function groups6(sorted: Sorted6): Members[] {
  return KINDS.map((kind) => membersOf(kind, sorted));
}

function membersOf(kind: GroupKind, { words, tags }: Sorted6): Members {
  const [from, below] = [kind.from * 2, kind.below * 2];
  const members = new Uint32Array(tags.length);
  const starts = new Uint32Array(tags.length + 1);
  let count = 0;
  let groups = 0;
  let before = -1;
  for (let i = 0; i < tags.length; i++) {
    if (tags[i] < from || tags[i] >= below) continue;
    if (before < 0 || !isSameGroup(kind, words, before * 4, i * 4)) starts[groups++] = count;
    members[count++] = i;
    before = i;
  }
  starts[groups++] = count;
  return { kind, order: members.slice(0, count), starts: starts.slice(0, groups) };
}

function isSameGroup({ mask0, mask1 }: GroupKind, words: Uint32Array, a: number, b: number): boolean {
  return ((words[a] ^ words[b]) & mask0) === 0 && ((words[a + 1] ^ words[b + 1]) & mask1) === 0;
}
