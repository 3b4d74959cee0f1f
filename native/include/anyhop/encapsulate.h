/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * Writes what goes in front of a packet: the outer headers, with GRE (RFC 2784) and a key (RFC 2890) where the slot has
 * alternates. The reference is src/forward/encapsulate.ts.
 *
 *   out                                                   out + outer_length
 *   +-----------------------------------------------------+-----------------------+
 *   | Ethernet (, VLAN) | IPv4 or IPv6 | GRE (, key)       | the packet, TTL less 1 |
 *   +-----------------------------------------------------+-----------------------+
 *
 * The TTL is written before the frame is moved, while its place is known; the outer headers after that, at places that
 * the compiler knows for each of the eight shapes.
 */
#ifndef ANYHOP_ENCAPSULATE_H
#define ANYHOP_ENCAPSULATE_H

#include "checksum.h"
#include "packet.h"

/* With a key, whose format bit 12 tells: index (2 bits) | id 1 (15) | id 2 (15); see src/packet/second-chance-key.ts. */
#define ANYHOP_GRE_FLAGS_KEYED 0x2008u

/* The inner packet's part in the outer header. */
struct anyhop_inner {
	__u32 family;
	__u32 length;
	__u32 tos; /* TOS or traffic class: DSCP and ECN (RFC 6040) */
	__u32 source4_hosts; /* of the image: the bits of the outer IPv4 source that carry entropy */
};

/* Lowers TTL or hop limit by one. */
anyhop_inline void anyhop_age(__u8 *ip, __u32 family)
{
	__u64 word;

	if (family == 6) {
		ip[7]--;
		return;
	}
	/* TTL, protocol and checksum are one raw word, lowest byte first. The TTL falls by one, so the checksum rises by one at the
	 * TTL's place: RFC 1141's update, with the carry as in RFC 1624. */
	word = (__u64)anyhop_get32(ip + 8) - 1 + 0x10000;
	if (anyhop_unlikely(word >> 16 >= 0xffff))
		word += 0x10000;
	anyhop_put32(ip + 8, (__u32)word);
}

/* The inner packet's part in the outer header. */
anyhop_inline struct anyhop_inner anyhop_inner_of(const struct anyhop_packet *p)
{
	return (struct anyhop_inner){
		.family = p->family,
		.length = p->length,
		.tos = p->family == 4 ? p->l3[1] : anyhop_get16be(p->l3) >> 4 & 0xff,
		.source4_hosts = anyhop_header(&p->view)->source4_hosts,
	};
}

/* Sets 16 raw bits that the template leaves zero; `at` is even and a constant. */
anyhop_inline void anyhop_set16(__u64 *words, __u32 at, __u32 raw)
{
	words[at / 8] |= (__u64)(__u16)raw << at % 8 * 8;
}

/* Writes an outer header of one shape at `out`, where there is room for it: the last three arguments are constants. It is put
 * together in registers. */
anyhop_inline void anyhop_write_outer(__u8 *out, const struct anyhop_choice *choice, const struct anyhop_inner *inner,
				      __u32 l2_length, __u32 ip_length, __u32 keyed)
{
	__u32 ip = l2_length, gre = l2_length + ip_length, whole = (gre + 2) / 8, at = 0;
	__u64 words[8] = {};

	for (; at < whole; at++)
		words[at] = anyhop_get64(choice->template + 8 * at);
	if (8 * whole < gre + 2)
		words[whole] = anyhop_get32(choice->template + 8 * whole);
	if (ip_length == 20) {
		__u32 total = inner->length + 24 + 4 * keyed, host = choice->hash & inner->source4_hosts;
		__u32 sum = choice->path->checksum + total + inner->tos + (host >> 16) + (host & 0xffff);

		anyhop_set16(words, ip, inner->tos << 8);
		anyhop_set16(words, ip + 2, __builtin_bswap16((__u16)total));
		anyhop_set16(words, ip + 10, __builtin_bswap16((__u16)anyhop_finish32(sum)));
		host = __builtin_bswap32(host);
		anyhop_set16(words, ip + 12, host);
		anyhop_set16(words, ip + 14, host >> 16);
	} else {
		__u32 first = __builtin_bswap32(inner->tos << 20 | (choice->hash & 0xfffff));

		anyhop_set16(words, ip, first);
		anyhop_set16(words, ip + 2, first >> 16);
		anyhop_set16(words, ip + 4, __builtin_bswap16((__u16)(inner->length + 4 + 4 * keyed)));
	}
	if (keyed)
		anyhop_set16(words, gre, __builtin_bswap16(ANYHOP_GRE_FLAGS_KEYED));
	for (at = 0; at < whole; at++)
		anyhop_put64(out + 8 * at, words[at]);
	if (8 * whole < gre + 2)
		anyhop_put32(out + 8 * whole, (__u32)words[whole]);
	anyhop_put16be(out + gre + 2, inner->family == 4 ? ANYHOP_ETHERTYPE_IPV4 : ANYHOP_ETHERTYPE_IPV6);
	if (keyed)
		anyhop_put32(out + gre + 4, __builtin_bswap32(choice->key));
}

/* The length of a shape, in bytes. */
#define ANYHOP_OUTER_LENGTH(l2_length, ip_length, keyed) ((l2_length) + (ip_length) + 4 + 4 * (keyed))

/* Returns each(l2_length, ip_length, keyed) for the shape that `choice` asks for, with constants. Branches, and no arithmetic on
 * lengths: where the frame's head goes is then predicted, and does not wait for the flow hash. */
#define ANYHOP_BY_SHAPE(choice, each) \
	do { \
		if ((choice)->path->l2_length == 14) { \
			if (!((choice)->path->flags & ANYHOP_PATH_OUTER_IPV6)) { \
				if (!(choice)->key) \
					return each(14, 20, 0); \
				return each(14, 20, 1); \
			} \
			if (!(choice)->key) \
				return each(14, 40, 0); \
			return each(14, 40, 1); \
		} \
		if (!((choice)->path->flags & ANYHOP_PATH_OUTER_IPV6)) { \
			if (!(choice)->key) \
				return each(18, 20, 0); \
			return each(18, 20, 1); \
		} \
		if (!(choice)->key) \
			return each(18, 40, 0); \
		return each(18, 40, 1); \
	} while (0)

#endif
