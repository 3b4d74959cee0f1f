/**
 * The key of a GRE header (RFC 2890) under second chance: 32 bits that name the backends which may have the connection when the
 * receiver has no socket for it. As a number, and in network order on the wire:
 *
 *   index (2 bits) | id 1 (15 bits) | id 2 (15 bits)          an id of 0: none
 *
 * The index says where the packet is: 0 at the owner, 1 and 2 at the backends that id 1 and id 2 name. It only rises, so no packet loops.
 */
import type { IpAddress } from './address.js';

const ID_BITS = 15;
const ID_MASK = 0x7fff;
const INDEX_SHIFT = 2 * ID_BITS;

/** @param index 0 to 2 */
export function keyWord(index: number, id1: number, id2: number): number {
  return ((index << INDEX_SHIFT) | (id1 << ID_BITS) | id2) >>> 0;
}

export function keyIndex(word: number): number {
  return word >>> INDEX_SHIFT;
}

/** Those that a key names, in order. */
export function keyIds(word: number): number[] {
  return [(word >>> ID_BITS) & ID_MASK, word & ID_MASK].filter((id) => id !== 0);
}

/** The id of an address that was given no other: its low 15 bits. */
export function defaultId({ bytes }: IpAddress): number {
  return ((bytes[bytes.length - 2] << 8) | bytes[bytes.length - 1]) & ID_MASK;
}

/** What a key has to know of a backend. */
export interface KeyMember {
  /** 0: it has none. */
  readonly id: number;
  /** Whether it runs an agent. */
  readonly agent: boolean;
}

/**
 * The key that a forwarder sends to the owner of a slot; 0: none, and the header has no key. A candidate with the id of the owner, or of
 * the other one, is the same machine, and is left out.
 *
 * @param first and `second` are the candidates in order; undefined for none
 */
export function slotKey(
  owner: KeyMember | undefined,
  first: KeyMember | undefined,
  second: KeyMember | undefined,
): number {
  return keyOf(factsOf(owner), factsOf(first), factsOf(second));
}

/**
 * The keys of all slots: 0.8 ms for 65537 of 1000 backends, and 1.2 by their objects.
 *
 * @param owners indexes into `members`; an index of no member for none
 * @param alternates the first candidates of all slots, then the second ones
 */
export function slotKeys(
  members: readonly KeyMember[],
  owners: Uint16Array,
  alternates: Uint16Array,
): Uint32Array<ArrayBuffer> {
  const slots = owners.length;
  const facts = keyFacts(members);
  const keys = new Uint32Array(slots);
  for (let slot = 0; slot < slots; slot++)
    keys[slot] = keyOf(facts[owners[slot]], facts[alternates[slot]], facts[alternates[slots + slot]]);
  return keys;
}

/**
 * Who may hold the connections of each slot of a former flow hash key, as keys: ids of nobody, and of one machine twice, are left to
 * `joinKeys`.
 *
 * @param holders indexes into `members` as `alternates` of slotKeys
 */
export function holderKeys(members: readonly KeyMember[], holders: Uint16Array): Uint32Array<ArrayBuffer> {
  const slots = holders.length / 2;
  const facts = keyFacts(members);
  const keys = new Uint32Array(slots);
  for (let slot = 0; slot < slots; slot++) {
    const [first, second] = [facts[holders[slot]], facts[holders[slots + slot]]];
    const isLast = first < AGENT && second >= AGENT;
    keys[slot] = isLast ? keyWord(0, second & ID_MASK, first) : keyWord(0, first & ID_MASK, second & ID_MASK);
  }
  return keys;
}

/** What keys have to know of each member, by its index: its id, and AGENT if it runs one. All zero for an index of no member. */
export function keyFacts(members: readonly KeyMember[]): Uint16Array {
  const facts = new Uint16Array(0x10000);
  for (const [i, member] of members.entries()) facts[i] = factsOf(member);
  return facts;
}

/** The first two of the ids that two keys name, without `own` and without repeats, as a key. For every packet while a flow hash key changes. */
export function joinKeys(own: number, former: number, present: number): number {
  let first = 0;
  let second = 0;
  for (let i = 0; i < 4; i++) {
    const word = i < 2 ? former : present;
    const id = ((i & 1) === 0 ? word >>> ID_BITS : word) & ID_MASK;
    if (id === 0 || id === own || id === first) continue;
    if (first === 0) first = id;
    else if (second === 0) second = id;
  }
  return (first << ID_BITS) | second;
}

const AGENT = ID_MASK + 1;

function factsOf(member: KeyMember | undefined): number {
  return member === undefined ? 0 : member.agent ? member.id + AGENT : member.id;
}

/**
 * Which candidates get the packets of a slot that those before them have no socket for: 1 the first, 2 the second, 3 both. An owner
 * without an agent reads no key. A candidate without one ends the way of a packet, so it stands last, and a second such candidate
 * is never reached.
 */
export function namedAlternates(owner: number, first: number, second: number): number {
  if (owner < AGENT) return 0;
  const isFirst = (first & ID_MASK) !== 0;
  const isSecond = (second & ID_MASK) !== 0 && (!isFirst || first >= AGENT || second >= AGENT);
  return (isFirst ? 1 : 0) + (isSecond ? 2 : 0);
}

function keyOf(owner: number, first: number, second: number): number {
  const own = owner & ID_MASK;
  const other = (second & ID_MASK) === own || (second & ID_MASK) === (first & ID_MASK) ? 0 : second;
  const named = namedAlternates(owner, (first & ID_MASK) === own ? 0 : first, other);
  const id1 = (named & 1) === 0 ? 0 : first & ID_MASK;
  const id2 = (named & 2) === 0 ? 0 : second & ID_MASK;
  return id1 !== 0 && (id2 === 0 || first >= AGENT) ? keyWord(0, id1, id2) : keyWord(0, id2, id1);
}
