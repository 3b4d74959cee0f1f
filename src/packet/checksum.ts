/** The Internet checksum (RFC 1071) and its incremental update (RFC 1624), over a DataView. */

/** Sum of `length` bytes, an even number, as big-endian 16-bit words. Not folded: below 2^32 for 64 KiB. */
export function sumWords(view: DataView, offset: number, length: number): number {
  let sum = 0;
  for (let at = offset; at < offset + length; at += 2) sum += view.getUint16(at);
  return sum;
}

/** The checksum of a sum: folded to 16 bits and inverted. */
export function finish(sum: number): number {
  // Two folds are enough: for any sum below 2^32, the first leaves at most 0x1fffe.
  const once = (sum & 0xffff) + (sum >>> 16);
  return ~(once + (once >>> 16)) & 0xffff;
}

/**
 * The checksum after a covered word has decreased by `by` (RFC 1141). RFC 1624's equation gives 0 instead of 0xffff if all
 * covered words may be zero, as in ICMPv4.
 */
export function adjustFallen(checksum: number, by: number): number {
  const sum = checksum + by;
  return (sum + (sum >>> 16)) & 0xffff;
}

/**
 * The checksum after a covered word has increased by `by` (RFC 1624, equation 3). Another covered word must not be zero, such as
 * one of the pseudo-header.
 */
export function adjustRisen(checksum: number, by: number): number {
  return finish((~checksum & 0xffff) + by);
}
