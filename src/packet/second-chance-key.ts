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
 * The key that a forwarder sends to the owner of a slot; 0: none, and the header has no key.
 *
 * An owner without an agent reads no key. A candidate without one ends the way of a packet, so it stands last, and a second such
 * candidate is never reached. A candidate with the id of the owner, or of one before it, is the same machine under another name.
 *
 * @param first and `second` are the candidates in order; undefined for none
 */
export function slotKey(
  owner: KeyMember | undefined,
  first: KeyMember | undefined,
  second: KeyMember | undefined,
): number {
  if (owner === undefined || !owner.agent) return 0;
  let id1 = first === undefined || first.id === owner.id ? 0 : first.id;
  let id2 = second === undefined || second.id === owner.id || second.id === id1 ? 0 : second.id;
  if (id1 === 0) [id1, id2] = [id2, 0];
  else if (id2 !== 0 && !first!.agent) [id1, id2] = second!.agent ? [id2, id1] : [id1, 0];
  return keyWord(0, id1, id2);
}
