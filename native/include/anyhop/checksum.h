/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
 *
 * A sum of raw words is a raw sum: one's complement addition does not mind the order of the bytes, so long as it is
 * the same everywhere (RFC 1071 section 2, B). Checksums that are adjusted are in host order.
 */
#ifndef ANYHOP_CHECKSUM_H
#define ANYHOP_CHECKSUM_H

#include <linux/types.h>

#include "bytes.h"

/* Raw sum of `size` bytes, a multiple of 4 known to the compiler; all of them must be there. */
anyhop_inline __u64 anyhop_sum(const __u8 *p, __u32 size)
{
	__u64 sum = 0;

	for (__u32 i = 0; i < size; i += 4)
		sum += anyhop_get32(p + i);
	return sum;
}

/* The checksum of a sum of up to 2^16 words of 32 bits: folded to 16 bits and inverted. */
anyhop_inline __u32 anyhop_finish(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(__u32)sum & 0xffff;
}

/* The same for a sum below 2^32, such as a few words of 16 bits. */
anyhop_inline __u32 anyhop_finish32(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(sum + (sum >> 16)) & 0xffff;
}

/* The checksum after a word that it covers has fallen by `by` (RFC 1141). Where all covered words may be zero, as in
 * ICMPv4, RFC 1624's equation would give 0 for what must be 0xffff. */
anyhop_inline __u32 anyhop_adjust_fallen(__u32 checksum, __u32 by)
{
	__u32 sum = checksum + by;

	return (sum + (sum >> 16)) & 0xffff;
}

/* The checksum after a word that it covers has risen by `by` (RFC 1624, equation 3). Some other covered word must not be
 * zero: a pseudo-header's, say. */
anyhop_inline __u32 anyhop_adjust_risen(__u32 checksum, __u32 by)
{
	return anyhop_finish32((~checksum & 0xffff) + by);
}

#endif
