/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * Reading packets with a cursor, for the host and for BPF alike: each step checks the bound, advances, and
 * returns what comes next, or a negative number when it does not fit.
 *
 * What to know:
 *  - Nothing here judges. A header that is odd but readable is reported in anyhop_ip, and the caller decides:
 *    a forwarder, an agent and an ICMP quote have different rules.
 *  - Lengths come from the IP header and may promise more than there is; compare them with anyhop_left.
 *  - The verifier needs every pointer to stay within 65535 bytes of the frame's start, and counts the most that each
 *    step could move: a walk over extension headers counts for some 18,000.
 */
#ifndef ANYHOP_PARSE_H
#define ANYHOP_PARSE_H

#include <linux/types.h>

#include "bytes.h"
#include "image.h"

enum {
	ANYHOP_ETHERTYPE_IPV4 = 0x0800,
	ANYHOP_ETHERTYPE_VLAN = 0x8100,  /* 802.1Q */
	ANYHOP_ETHERTYPE_IPV6 = 0x86dd,
	ANYHOP_ETHERTYPE_QINQ = 0x88a8,  /* 802.1ad */
};

/* IP protocol and next-header numbers. */
enum {
	ANYHOP_IP_HOP_BY_HOP = 0,
	ANYHOP_IP_ICMP = 1,
	ANYHOP_IP_TCP = 6,
	ANYHOP_IP_UDP = 17,
	ANYHOP_IP_ROUTING = 43,
	ANYHOP_IP_FRAGMENT = 44,
	ANYHOP_IP_GRE = 47,
	ANYHOP_IP_AH = 51,
	ANYHOP_IP_ICMPV6 = 58,
	ANYHOP_IP_DESTINATION_OPTIONS = 60,
};

/* IPv4 flags and fragment offset, one half-word (RFC 791 section 3.1). */
enum {
	ANYHOP_IPV4_DONT_FRAGMENT = 0x4000,
	ANYHOP_IPV4_MORE_FRAGMENTS = 0x2000,
	ANYHOP_IPV4_OFFSET = 0x1fff,
};

enum anyhop_fragment {
	ANYHOP_WHOLE,
	ANYHOP_FIRST, /* offset zero, more to come: the transport header is here */
	ANYHOP_LATER, /* payload only */
};

/* From a step that cannot go on: it ends too early, it has too many extension headers (or any behind a real fragment's),
 * it is on its way to another node by a routing header, its first fragment leaves some of its headers to the others. */
enum { ANYHOP_CUT_SHORT = -1, ANYHOP_TOO_MANY = -2, ANYHOP_ELSEWHERE = -3, ANYHOP_HIDDEN = -4 };

struct anyhop_cursor {
	const __u8 *at;
	const __u8 *end;
};

/* What an IP header said. The cursor then stands at the payload. */
struct anyhop_ip {
	const __u8 *source;      /* 4 or 16 bytes */
	const __u8 *destination;
	__u32 family;            /* 4 or 6 */
	__u32 length;            /* of the whole packet by its header, in bytes */
	__u32 header_length;     /* options and extension headers included */
	__u32 fragment;          /* enum anyhop_fragment */
	__u8 protocol;           /* behind all extension headers; unset when the parse fails */
	__u8 ecn;                /* 0 to 3 (RFC 3168) */
};

/* A 16-bit field. The verifier of Linux 6.1 (Debian 12) loses the bounds of two bytes that are put together, and refuses
 * the program; the mask, which the compiler must not see through, gives them back. */
anyhop_inline __u32 anyhop_load16(const __u8 *p)
{
	__u32 value = (__u32)p[0] << 8 | p[1];

	__asm__ volatile("" : "+r"(value));
	return value & 0xffff;
}

/* Bytes from one place of a frame to a later one, as a number that the compiler cannot take apart again: the verifier
 * refuses 32-bit arithmetic on pointers. */
anyhop_inline __u32 anyhop_distance(const __u8 *from, const __u8 *to)
{
	__u64 bytes = (__u64)(to - from);

	__asm__ volatile("" : "+r"(bytes));
	return (__u32)bytes;
}

/* Bytes from the cursor to the end. */
anyhop_inline __u32 anyhop_left(const struct anyhop_cursor *c)
{
	return anyhop_distance(c->at, c->end);
}

/* Whether `size` bytes lie at the cursor. */
anyhop_inline int anyhop_fits(const struct anyhop_cursor *c, __u32 size)
{
	return c->at + size <= c->end;
}

/* Makes the verifier forget by which way the cursor came to where it is, at most `max` bytes behind the frame's start. It then
 * checks what follows once, and not for each number of VLAN tags and extension headers: for the agent's program 50,000 steps and
 * not 360,000. Returns 0 when the cursor is further on.
 *
 * The new place is one that the compiler cannot take apart again either: it would keep the offset on the stack, where the verifier
 * of Linux 6.1 does not know that it has been compared. */
anyhop_inline int anyhop_settle(struct anyhop_cursor *c, const __u8 *frame, __u32 max)
{
	__u64 offset = (__u64)(c->at - frame);
	const __u8 *at;

	__asm__ volatile("" : "+r"(offset));
	if (offset > max)
		return 0;
	at = frame + offset;
	__asm__ volatile("" : "+r"(at));
	c->at = at;
	return 1;
}

anyhop_inline int anyhop_is_vlan(int ethertype)
{
	return ethertype == ANYHOP_ETHERTYPE_VLAN || ethertype == ANYHOP_ETHERTYPE_QINQ;
}

/* Ethernet and up to ANYHOP_VLAN_TAGS_MAX tags: the EtherType behind them, which is a VLAN's when there are more. */
anyhop_inline int anyhop_parse_ethernet(struct anyhop_cursor *c)
{
	int type;

	if (!anyhop_fits(c, 14))
		return ANYHOP_CUT_SHORT;
	type = (int)anyhop_load16(c->at + 12);
	c->at += 14;
	for (__u32 tag = 0; tag < ANYHOP_VLAN_TAGS_MAX; tag++) {
		if (!anyhop_is_vlan(type))
			break;
		if (!anyhop_fits(c, 4))
			return ANYHOP_CUT_SHORT;
		type = (int)anyhop_load16(c->at + 2);
		c->at += 4;
	}
	return type;
}

/* The same for further tags, up to ANYHOP_VLAN_TAGS_READ. Linux takes off as many priority tags (of VLAN 0) as there are, so a packet
 * behind any number of tags can reach its sockets.
 * One bound for all of them, or the verifier checks what follows once for each number of tags: an IPv4 header behind one tag more than
 * MAX ends where the last tag does that is read, so a frame without that many bytes has nothing in it. */
anyhop_inline int anyhop_parse_deep_tags(struct anyhop_cursor *c, const __u8 *frame, int type)
{
	__u32 max = 14 + 4 * ANYHOP_VLAN_TAGS_READ;

	if (frame + max > c->end)
		return ANYHOP_CUT_SHORT;
	for (__u32 tag = ANYHOP_VLAN_TAGS_MAX; tag < ANYHOP_VLAN_TAGS_READ && anyhop_is_vlan(type); tag++) {
		type = (int)anyhop_load16(c->at + 2);
		c->at += 4;
	}
	return anyhop_settle(c, frame, max) ? type : ANYHOP_CUT_SHORT;
}

_Static_assert(14 + 4 * (ANYHOP_VLAN_TAGS_MAX + 1) + 20 == 14 + 4 * ANYHOP_VLAN_TAGS_READ, "see anyhop_parse_deep_tags");

/* RFC 791: the protocol. A wrong version or a header length below 20 counts as cut short. */
anyhop_inline int anyhop_parse_ipv4(struct anyhop_cursor *c, struct anyhop_ip *ip)
{
	const __u8 *header = c->at;
	__u32 bits, size;

	if (!anyhop_fits(c, 20) || header[0] >> 4 != 4)
		return ANYHOP_CUT_SHORT;
	size = (header[0] & 15u) * 4;
	if (size < 20 || !anyhop_fits(c, size))
		return ANYHOP_CUT_SHORT;
	bits = anyhop_load16(header + 6);
	ip->source = header + 12;
	ip->destination = header + 16;
	ip->family = 4;
	ip->length = anyhop_load16(header + 2);
	ip->header_length = size;
	ip->fragment = bits & ANYHOP_IPV4_OFFSET	 ? ANYHOP_LATER :
		       bits & ANYHOP_IPV4_MORE_FRAGMENTS ? ANYHOP_FIRST :
							   ANYHOP_WHOLE;
	ip->protocol = header[9];
	ip->ecn = header[1] & 3;
	c->at += size;
	return ip->protocol;
}

/* Extension headers (RFC 8200 section 4, RFC 4302) as bits by their number, all below 64. */
#define ANYHOP_EXTENSIONS \
	(1ull << ANYHOP_IP_HOP_BY_HOP | 1ull << ANYHOP_IP_ROUTING | 1ull << ANYHOP_IP_FRAGMENT | 1ull << ANYHOP_IP_AH | \
	 1ull << ANYHOP_IP_DESTINATION_OPTIONS)

/* Whether bit `type` of the mask is set, by a shift that the compiler cannot turn into a branch. */
anyhop_inline __u32 anyhop_has(__u64 mask, __u32 type)
{
	__asm__ volatile("" : "+r"(mask));
	return (__u32)(mask >> type) & 1;
}

/* RFC 8200: the fixed header alone, and what follows it: a protocol or the first extension header. */
anyhop_inline int anyhop_parse_ipv6_fixed(struct anyhop_cursor *c, struct anyhop_ip *ip)
{
	const __u8 *header = c->at;

	if (!anyhop_fits(c, 40) || header[0] >> 4 != 6)
		return ANYHOP_CUT_SHORT;
	ip->source = header + 8;
	ip->destination = header + 24;
	ip->family = 6;
	ip->length = 40 + anyhop_load16(header + 4);
	ip->header_length = 40;
	ip->fragment = ANYHOP_WHOLE;
	ip->ecn = header[1] >> 4 & 3;
	c->at += 40;
	return header[6];
}

/* Which rules a walk over extension headers follows. */
enum anyhop_walk {
	ANYHOP_WALK_RECEIVED, /* of a packet that was received */
	ANYHOP_WALK_QUOTED,   /* of one that an ICMP error quotes: it went another way, and was judged by others */
	ANYHOP_WALK_OUTER,    /* of one that a host received, who may reassemble it: it is for its own sockets unless found otherwise */
};

/* The upper-layer protocol behind at most ANYHOP_EXTENSION_HEADERS_MAX extension headers, the first of them of `type`.
 * For a forwarder there is nothing to walk over behind the header of a real fragment: the other fragments do not have it. For the
 * host that reassembles it a first fragment goes on, and must have all headers (RFC 7112), in the packet and not in what lies
 * behind it in the frame; behind a later one's header is data, and the protocol may be an extension header's number.
 *
 * The loop branches only to leave: with a branch for each kind of header the verifier sees 5^8 ways through one
 * walk and gives up after its million instructions. */
anyhop_inline int anyhop_walk_extensions(struct anyhop_cursor *c, struct anyhop_ip *ip, __u32 type, enum anyhop_walk walk)
{
	__u32 fragment = 0;

	for (__u32 walked = 0; walked <= ANYHOP_EXTENSION_HEADERS_MAX; walked++) {
		__u32 is_extension, is_fragment, is_ah, size;

		is_extension = type < 64 && anyhop_has(ANYHOP_EXTENSIONS, type);
		if (!is_extension || (walk == ANYHOP_WALK_OUTER && fragment & 0xfff8)) {
			if (walk == ANYHOP_WALK_OUTER && fragment & 0xfff9 && ip->header_length > ip->length)
				return ANYHOP_HIDDEN;
			/* An atomic fragment (RFC 6946) is a whole packet. */
			ip->fragment = fragment & 0xfff8 ? ANYHOP_LATER : fragment & 1 ? ANYHOP_FIRST : ANYHOP_WHOLE;
			ip->protocol = (__u8)type;
			return (int)type;
		}
		if (walk == ANYHOP_WALK_RECEIVED && fragment & 0xfff9)
			return ANYHOP_TOO_MANY;
		if (!anyhop_fits(c, 8))
			return walk == ANYHOP_WALK_OUTER && fragment & 0xfff9 ? ANYHOP_HIDDEN : ANYHOP_CUT_SHORT;
		is_fragment = anyhop_has(1ull << ANYHOP_IP_FRAGMENT, type);
		is_ah = anyhop_has(1ull << ANYHOP_IP_AH, type);
		/* With segments left, this is not where the packet is going (RFC 8200 section 4.4, RFC 5095); a fragment is
		 * reassembled before it goes on. */
		if (walk != ANYHOP_WALK_QUOTED && c->at[3] & (0 - anyhop_has(1ull << ANYHOP_IP_ROUTING, type)) &&
		    !(fragment & 0xfff9))
			return ANYHOP_ELSEWHERE;
		fragment |= anyhop_load16(c->at + 2) & (0 - is_fragment);
		/* 8 for a fragment header, 4 x (length + 2) for AH, 8 x (length + 1) for the others. */
		size = ((c->at[1] & (is_fragment - 1)) + 1 + is_ah) << (3 - is_ah);
		__asm__ volatile("" : "+r"(size)); /* at most 2056; as in anyhop_load16 */
		size &= 0xfff;
		type = c->at[0];
		if (!anyhop_fits(c, size))
			return walk == ANYHOP_WALK_OUTER && fragment & 0xfff9 ? ANYHOP_HIDDEN : ANYHOP_CUT_SHORT;
		c->at += size;
		ip->header_length += size;
	}
	return ANYHOP_TOO_MANY;
}

/* RFC 8200: the upper-layer protocol behind all extension headers. */
anyhop_inline int anyhop_parse_ipv6(struct anyhop_cursor *c, struct anyhop_ip *ip, enum anyhop_walk walk)
{
	int type = anyhop_parse_ipv6_fixed(c, ip);

	return type < 0 ? type : anyhop_walk_extensions(c, ip, (__u32)type, walk);
}

/* The header that an EtherType announces, ANYHOP_ETHERTYPE_IPV4 or ANYHOP_ETHERTYPE_IPV6. */
anyhop_inline int anyhop_parse_ip(struct anyhop_cursor *c, struct anyhop_ip *ip, int ethertype, enum anyhop_walk walk)
{
	return ethertype == ANYHOP_ETHERTYPE_IPV4 ? anyhop_parse_ipv4(c, ip) : anyhop_parse_ipv6(c, ip, walk);
}

#endif
