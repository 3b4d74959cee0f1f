/**
 * The Internet checksum (RFC 1071) and its incremental update (RFC 1624), over a DataView, for the packet side.
 */

/** Sum of `length` bytes as big-endian 16-bit words, an odd last byte padded with zero; not folded, below 2^32 for 64 KiB. */
export function sumWords(view: DataView, offset: number, length: number): number {
  let sum = 0;
  const even = offset + (length & ~1);
  for (let at = offset; at < even; at += 2) sum += view.getUint16(at);
  return (length & 1) === 0 ? sum : sum + (view.getUint8(even) << 8);
}

/** The checksum of a sum: folded to 16 bits and inverted. */
export function finish(sum: number): number {
  // Two folds are enough for any sum below 2^32: the first leaves at most 0x1fffe.
  const once = (sum & 0xffff) + (sum >>> 16);
  return ~(once + (once >>> 16)) & 0xffff;
}

/** The checksum after one of the words that it covers has changed (RFC 1624, equation 3). */
export function adjust(checksum: number, from: number, to: number): number {
  return finish((~checksum & 0xffff) + (~from & 0xffff) + to);
}
