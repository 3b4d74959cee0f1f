/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * Writing what goes in front of a packet (RFC 2784, with RFC 2890's key where the service has a second chance). The
 * reference is the second half of src/forward/encapsulate.ts.
 *
 *   out                                                   out + outer_length
 *   +-----------------------------------------------------+-----------------------+
 *   | Ethernet (, VLAN) | IPv4 or IPv6 | GRE (, key)       | the packet, TTL less 1 |
 *   +-----------------------------------------------------+-----------------------+
 *
 * The TTL is written before the frame is moved, while its place is known; the rest after, at places that the compiler
 * knows for each of the eight shapes of header.
 */
#ifndef ANYHOP_ENCAPSULATE_H
#define ANYHOP_ENCAPSULATE_H

#include "checksum.h"
#include "packet.h"

#define ANYHOP_GRE_FLAG_KEY 0x2000u

/* The inner packet's part in the outer header. */
struct anyhop_inner {
	__u32 family;
	__u32 length;
	__u32 tos; /* TOS or traffic class: DSCP and ECN (RFC 6040) */
	__u32 source4_hosts; /* of the image: the bits of the outer IPv4 source that carry entropy */
};

/* Lowers TTL or hop limit by one and tells what of the packet goes into the outer header. */
anyhop_inline struct anyhop_inner anyhop_age(struct anyhop_packet *p)
{
	struct anyhop_inner inner = {
		.family = p->family,
		.length = p->length,
		.source4_hosts = anyhop_header(&p->view)->source4_hosts,
	};
	__u8 *ip = p->l3;

	if (p->family == 4) {
		/* TTL, protocol and checksum are one raw word, lowest byte first. The TTL falls by one, so the checksum rises
		 * by one at the TTL's place: RFC 1141's update, with the carry as in RFC 1624. */
		__u64 word = (__u64)anyhop_get32(ip + 8) - 1 + 0x10000;

		if (anyhop_unlikely(word >> 16 >= 0xffff))
			word += 0x10000;
		anyhop_put32(ip + 8, (__u32)word);
		inner.tos = ip[1];
	} else {
		ip[7]--;
		inner.tos = anyhop_get16be(ip) >> 4 & 0xff;
	}
	return inner;
}

/* The fields that differ from packet to packet, over the template's. */
anyhop_inline void anyhop_write_fields4(__u8 *ip, const struct anyhop_way *way, const struct anyhop_inner *inner,
					const __u8 *template, __u32 total)
{
	__u32 host = way->hash & inner->source4_hosts;

	ip[1] = (__u8)inner->tos;
	anyhop_put16be(ip + 2, total);
	anyhop_put16be(ip + 10, anyhop_finish32(way->path->checksum + total + inner->tos + (host >> 16) + (host & 0xffff)));
	anyhop_put32(ip + 12, anyhop_get32(template + 12) | __builtin_bswap32(host));
}

anyhop_inline void anyhop_write_fields6(__u8 *ip, const struct anyhop_way *way, const struct anyhop_inner *inner,
					__u32 payload)
{
	anyhop_put32be(ip, 0x60000000u | inner->tos << 20 | (way->hash & 0xfffff));
	anyhop_put16be(ip + 4, payload);
}

/* Writes an outer header of one shape at `out`, where there is room for it: the last three arguments are constants. */
anyhop_inline void anyhop_write_outer(__u8 *out, const struct anyhop_way *way, const struct anyhop_inner *inner,
				      __u32 l2_length, __u32 ip_length, __u32 keyed)
{
	__u32 gre = l2_length + ip_length;
	__u32 at = 0;

	/* Up to the GRE header's flags, which end on a multiple of four. */
	for (; at + 8 <= gre + 2; at += 8)
		anyhop_put64(out + at, anyhop_get64(way->template + at));
	if (at < gre + 2)
		anyhop_put32(out + at, anyhop_get32(way->template + at));
	anyhop_put16be(out + gre + 2, inner->family == 4 ? ANYHOP_ETHERTYPE_IPV4 : ANYHOP_ETHERTYPE_IPV6);
	if (keyed) {
		anyhop_put16be(out + gre, ANYHOP_GRE_FLAG_KEY);
		anyhop_put32(out + gre + 4, way->key);
	}
	if (ip_length == 20)
		anyhop_write_fields4(out + l2_length, way, inner, way->template + l2_length,
				     inner->length + 24 + 4 * keyed);
	else
		anyhop_write_fields6(out + l2_length, way, inner, inner->length + 4 + 4 * keyed);
}

/* The length of a shape, in bytes. */
#define ANYHOP_OUTER_LENGTH(l2_length, ip_length, keyed) ((l2_length) + (ip_length) + 4 + 4 * (keyed))

/* Returns each(l2_length, ip_length, keyed) for the shape that `way` asks for, with constants. Branches, and no arithmetic on
 * lengths: where the frame's head goes is then predicted, and does not wait for the flow hash. */
#define ANYHOP_BY_SHAPE(way, each) \
	do { \
		if ((way)->path->l2_length == 14) { \
			if (!((way)->path->flags & ANYHOP_PATH_OUTER_IPV6)) { \
				if (!(way)->keyed) \
					return each(14, 20, 0); \
				return each(14, 20, 1); \
			} \
			if (!(way)->keyed) \
				return each(14, 40, 0); \
			return each(14, 40, 1); \
		} \
		if (!((way)->path->flags & ANYHOP_PATH_OUTER_IPV6)) { \
			if (!(way)->keyed) \
				return each(18, 20, 0); \
			return each(18, 20, 1); \
		} \
		if (!(way)->keyed) \
			return each(18, 40, 0); \
		return each(18, 40, 1); \
	} while (0)

#endif
