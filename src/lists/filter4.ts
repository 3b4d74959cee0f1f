/**
 * The filter in front of the search for an IPv4 address whose /24 has addresses of different kinds: filter4 of
 * native/include/anyhop/lists.h. Only C asks it; TypeScript searches at once, to the same answer.
 */
import { L } from '../core/layout.gen.js';
import { listsHash32 } from '../forward/lists.js';

/** /24s that share a word of 64 bits: with one address each that something is said of, one of 35 others passes the filter. */
const NETS_PER_WORD = 6;
const OCTETS = 256;
const ONES = 0xffffffff;
/** Where an address's two bits come from. */
const SHIFTS = [26, 20];
/** So many addresses of a /24 fill its word anyway. */
const ADDRESSES_MAX = 32;

/**
 * @param nets the /24s, each with its record
 * @returns words of 64 bits, a power of two of them
 */
export function filterOf(nets: Uint32Array, records: Uint32Array, seed: number): Uint32Array {
  const words = 2 ** Math.ceil(Math.log2(Math.max(8, nets.length / NETS_PER_WORD)));
  const filter = new Uint32Array(words * 2);
  for (let i = 0; i < nets.length; i++) {
    const record = records[i];
    const hash = listsHash32(seed, nets[i]);
    const word = ((hash >>> 3) & (words - 1)) * 2;
    const [first, second] = [(record >>> 2) & 255, (record >>> 12) & 255];
    const says = (shift: number, addresses: number): number =>
      ((record >>> shift) & 3) === L.LISTED_NONE ? 0 : addresses;
    const count = says(0, first) + says(10, second - first) + says(20, OCTETS - second);
    if (record >>> 31 !== 0 || count > ADDRESSES_MAX) {
      filter[word] = filter[word + 1] = ONES;
      continue;
    }
    for (let octet = 0; octet < says(0, first); octet++) add(filter, word, hash, octet);
    for (let octet = first; octet < first + says(10, second - first); octet++) add(filter, word, hash, octet);
    for (let octet = second; octet < second + says(20, OCTETS - second); octet++)
      add(filter, word, hash, octet);
  }
  return filter;
}

function add(filter: Uint32Array, word: number, hash: number, octet: number): void {
  const which = Math.imul(hash ^ octet, L.LISTS_MIX_FACTOR);
  for (const shift of SHIFTS) {
    const bit = (which >>> shift) & 63;
    filter[word + (bit >>> 5)] |= 1 << (bit & 31);
  }
}
