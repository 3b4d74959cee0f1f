/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * The flow hash: HalfSipHash-1-3 with 32 bits of output (Aumasson and Bernstein; the variant of Linux's `hsiphash`).
 *
 * What it is given is written down in src/hash/flow.ts, its reference; the vectors of all languages are
 * test/vectors/flow-hash.json. It takes its input as little-endian words, so a word is a raw load from the packet.
 */
#ifndef ANYHOP_FLOW_HASH_H
#define ANYHOP_FLOW_HASH_H

#include <linux/types.h>

#include "bytes.h"

struct anyhop_sip {
	__u32 v0, v1, v2, v3;
};

anyhop_inline __u32 anyhop_rotl(__u32 x, __u32 bits)
{
	return x << bits | x >> (32 - bits);
}

/* The same, for the three rotations of a round that little waits for. BPF has no rotate instruction, and takes four for it; by way
 * of a product, whose halves are both x, it takes two, which come later but leave the processor's shifters to the others. */
anyhop_inline __u32 anyhop_rotl_later(__u32 x, __u32 bits)
{
#ifdef __bpf__
	__u64 twice = 0x100000001;

	__asm__("" : "+r"(twice)); /* or the compiler makes shifts of it again */
	twice *= x;
	__asm__("" : "+r"(twice));
	return (__u32)(twice >> (32 - bits));
#else
	return anyhop_rotl(x, bits);
#endif
}

anyhop_inline void anyhop_sip_round(struct anyhop_sip *s)
{
	s->v0 += s->v1;
	s->v1 = anyhop_rotl_later(s->v1, 5) ^ s->v0;
	s->v0 = anyhop_rotl_later(s->v0, 16);
	s->v2 += s->v3;
	s->v3 = anyhop_rotl(s->v3, 8) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = anyhop_rotl(s->v3, 7) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = anyhop_rotl(s->v1, 13) ^ s->v2;
	s->v2 = anyhop_rotl_later(s->v2, 16);
}

anyhop_inline void anyhop_sip_word(struct anyhop_sip *s, __u32 word)
{
	s->v3 ^= word;
	anyhop_sip_round(s);
	s->v0 ^= word;
}

/* The hash of `count` raw words under a 64-bit key, given as its two little-endian words. */
anyhop_inline __u32 anyhop_flow_hash(const __u32 key[2], const __u32 *words, __u32 count)
{
	struct anyhop_sip s = {key[0], key[1], key[0] ^ 0x6c796765u, key[1] ^ 0x74656462u};

	for (__u32 i = 0; i < count; i++)
		anyhop_sip_word(&s, words[i]);
	anyhop_sip_word(&s, count << 26); /* the length in bytes, in the top byte: 4 * count << 24 */
	s.v2 ^= 0xff;
	anyhop_sip_round(&s);
	anyhop_sip_round(&s);
	anyhop_sip_round(&s);
	return s.v1 ^ s.v3;
}

/* The slot of a hash: floor(hash * M / 2^32). It takes the high bits; the low ones are left for entropy on the
 * underlay. */
anyhop_inline __u32 anyhop_slot(__u32 hash, __u32 slots)
{
	return (__u32)((__u64)hash * slots >> 32);
}

#endif
