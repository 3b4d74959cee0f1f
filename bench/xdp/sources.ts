/**
 * Sources that spread over the networks, one for each number, as native/dev/bench.bpf.c makes them: what a list has
 * to contain so that the packets of a bench are on it, or next to it.
 */

/** Both as bytes of an address: 4 or 16. */
export interface SourceSpread {
  /** What the number decides. */
  readonly bits: Uint8Array;
  /** The rest. */
  readonly fixed: Uint8Array;
}

/** As anyhop_mix of native/dev/flows.h. */
function mix(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

/** The bytes of the source that has this number. IPv4 ones are unicast. */
export function sourceOf({ bits, fixed }: SourceSpread, number: number): Uint8Array {
  // Raw words, as the kernel's side has them on a machine that has the lowest byte first.
  const words = [mix(number), mix(~number)];
  const bytes = fixed.map((byte, i) => byte | (bits[i] & (words[(i >> 2) & 1] >>> (8 * (i & 3)))));
  if (bytes.length === 4 && bytes[0] >= 224) bytes[0] -= 128;
  if (bytes.length === 4 && bytes[0] === 0) bytes[0] = 2;
  return bytes;
}
