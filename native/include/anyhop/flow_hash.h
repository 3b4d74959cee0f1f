/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * The flow hash: NH (RFC 4418) over pairs of words, then two keyed multiply-and-fold rounds.
 *
 * The algorithm and its input are written down in src/hash/flow.ts, its reference; the vectors of all languages are
 * test/vectors/flow-hash.json. It takes its input as little-endian words, so a word is a raw load from the packet.
 */
#ifndef ANYHOP_FLOW_HASH_H
#define ANYHOP_FLOW_HASH_H

#include <linux/types.h>

#include "bytes.h"
#include "image.h"

/* Two words of the input under two of the key. */
anyhop_inline __u64 anyhop_nh(const __u32 *key, __u32 first, __u32 second)
{
	return (__u64)(first + key[0]) * (second + key[1]);
}

/* What comes behind the sum, with the key's last four words as two: 32 bits. */
anyhop_inline __u64 anyhop_finish_hash(__u64 x, __u64 first, __u64 second)
{
	__u64 ones = 0xffffffff;

	__asm__("" : "+r"(ones)); /* in a register: clang for BPF would take two shifts for each low half */
	x ^= first;
	x ^= (x >> 32) * (x & ones) ^ second;
	x = (x >> 32) * (x & ones);
	return (x >> 32 ^ x) & ones;
}

/* The hash of `count` raw words, 1 to 5, under ANYHOP_FLOW_KEY_WORDS words; a zero goes with an odd last word. */
anyhop_inline __u32 anyhop_flow_hash(const __u32 *key, const __u32 *words, __u32 count)
{
	__u64 x = anyhop_nh(key, words[0], count > 1 ? words[1] : 0);

	if (count > 2)
		x += anyhop_nh(key + 2, words[2], count > 3 ? words[3] : 0);
	if (count > 4)
		x += anyhop_nh(key + 4, words[4], 0);
	return (__u32)anyhop_finish_hash(x, anyhop_get64(key + 6), anyhop_get64(key + 8));
}

/* The slot of a hash: floor(hash * M / 2^32). It takes the high bits; the low ones are left for entropy on the
 * underlay. */
anyhop_inline __u32 anyhop_slot(__u32 hash, __u32 slots)
{
	return (__u32)((__u64)hash * slots >> 32);
}

#endif
