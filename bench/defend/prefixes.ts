/**
 * A block list of a million prefixes, and sources of every kind that packets may have: on it as a whole network, on it as a single address, or
 * on neither while others of their network may be.
 *
 * Three octets of eight decide: networks that are blocked as a whole are odd in their last octet, single addresses that are blocked are odd in
 * the last octet of all and lie in even networks, and who is even in both passes. Of a million sources that pass, one in ten has a blocked
 * address in its /24, and one in 16 in its /64. Of the first 4,096, all have: the worst case.
 */
import { addressFromBytes } from '#anyhop/packet/address.js';
import { type SourceSpread, sourceOf } from '../xdp/sources.js';

/** Unicast all over, in the /8s that are even: 127.0.0.0/8 and 169.254.0.0/16 are no sources. */
const BITS4 = [0xfe, 0xff, 0xfe, 0xfe];
const FIXED4 = [0, 0, 0, 0];
/** 2a00:0::/26, by 22 bits of the /48 and 31 of the interface. */
const BITS6 = [0, 0, 0, 0x3f, 0xff, 0xfe, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xfe];
const FIXED6 = [0x2a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

export type SourceKind = 'passes' | 'network' | 'single';

/** The sources of one kind. */
export function spreadOf(family: 4 | 6, kind: SourceKind): SourceSpread {
  const [bits, fixed, networkAt] = family === 4 ? [BITS4, FIXED4, 2] : [BITS6, FIXED6, 5];
  const spread = { bits: Uint8Array.from(bits), fixed: Uint8Array.from(fixed) };
  if (kind === 'network') spread.fixed[networkAt] |= 1;
  if (kind === 'single') spread.fixed[bits.length - 1] |= 1;
  return spread;
}

/** How many of a list's prefixes are of one kind; half are single addresses, and a quarter are IPv6. */
const shareOf = (family: 4 | 6): number => (family === 4 ? 3 / 8 : 1 / 8);

/** The list as the text of a file, one prefix a line. */
export function listText(prefixes: number): string {
  const lines: string[] = [];
  for (const family of [4, 6] as const) {
    for (const kind of ['network', 'single'] as const) {
      const spread = spreadOf(family, kind);
      for (let number = 0; number < prefixes * shareOf(family); number++)
        lines.push(lineOf(sourceOf(spread, number), kind));
    }
  }
  return `${lines.join('\n')}\n`;
}

function lineOf(source: Uint8Array, kind: 'network' | 'single'): string {
  const bits = source.length === 4 ? 24 : 48;
  if (kind === 'network') source.fill(0, bits / 8);
  const { text } = addressFromBytes(source);
  return kind === 'network' ? `${text}/${bits}` : text;
}

/** The most flows, a power of two, that a list of so many prefixes has a source of one blocked kind for. */
export const flowsOnList = (family: 4 | 6, prefixes: number): number =>
  2 ** Math.floor(Math.log2(prefixes * shareOf(family)));
