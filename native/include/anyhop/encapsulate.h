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
	__u32 length;
	__u32 tos; /* TOS or traffic class: DSCP and ECN (RFC 6040) */
	__u32 ethertype;
	__u32 source4_hosts; /* of the image: the bits of the outer IPv4 source that carry entropy */
};

/* Lowers TTL or hop limit by one and tells what of the packet goes into the outer header. */
anyhop_inline struct anyhop_inner anyhop_age(struct anyhop_packet *p)
{
	struct anyhop_inner inner = {.length = p->length, .source4_hosts = anyhop_header(&p->view)->source4_hosts};
	__u8 *ip = p->l3;

	if (p->family == 4) {
		/* The TTL is the high byte of its word: RFC 1141's update, with the carry as in RFC 1624. */
		__u32 sum = anyhop_get16be(ip + 10) + 0x0100;

		inner.tos = ip[1];
		inner.ethertype = ANYHOP_ETHERTYPE_IPV4;
		ip[8]--;
		anyhop_put16be(ip + 10, sum + (sum >= 0xffff));
	} else {
		inner.tos = anyhop_get16be(ip) >> 4 & 0xff;
		inner.ethertype = ANYHOP_ETHERTYPE_IPV6;
		ip[7]--;
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

/* One shape of outer header: the last three arguments are constants wherever it is called. */
anyhop_inline void anyhop_write_shape(__u8 *out, const struct anyhop_way *way, const struct anyhop_inner *inner,
				      __u32 l2_length, __u32 ip_length, __u32 keyed)
{
	__u32 gre = l2_length + ip_length;
	__u32 at = 0;

	/* Up to the GRE header's flags, which end on a multiple of four. */
	for (; at + 8 <= gre + 2; at += 8)
		anyhop_put64(out + at, anyhop_get64(way->template + at));
	if (at < gre + 2)
		anyhop_put32(out + at, anyhop_get32(way->template + at));
	anyhop_put16be(out + gre + 2, inner->ethertype);
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

/* Writes way->outer_length bytes at `out`. Returns 0, or -1 when they would go past `end`, which the caller's move of the
 * frame's head rules out. */
anyhop_inline int anyhop_write_outer(__u8 *out, const __u8 *end, const struct anyhop_way *way,
				     const struct anyhop_inner *inner)
{
#define SHAPE(l2, ip, keyed) \
	case (l2) + (ip) + 4 + 4 * (keyed) + 100 * (keyed): \
		if (out + (l2) + (ip) + 4 + 4 * (keyed) > end) \
			return -1; \
		anyhop_write_shape(out, way, inner, l2, ip, keyed); \
		return 0;

	/* A VLAN tag and a key are four bytes each: the hundred tells them apart. */
	switch (way->outer_length + (way->alternate >= 0 ? 100 : 0)) {
		SHAPE(14, 20, 0)
		SHAPE(14, 20, 1)
		SHAPE(18, 20, 0)
		SHAPE(18, 20, 1)
		SHAPE(14, 40, 0)
		SHAPE(14, 40, 1)
		SHAPE(18, 40, 0)
		SHAPE(18, 40, 1)
	}
#undef SHAPE
	return -1;
}

#endif
