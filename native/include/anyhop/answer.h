/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * Answers that the node makes itself, from the VIP, in place, with the frame's MAC addresses swapped and its VLAN tags
 * kept: echo replies, and the two messages that make path MTU discovery work through a tunnel (RFC 1191, RFC 8201). The
 * reference is src/forward/answer.ts.
 *
 * An answer is made in three steps, because moving a frame's ends invalidates every pointer into it: anyhop_prepare_answer
 * reads all that the answer takes from the packet and says where the frame's ends go, the caller moves them,
 * anyhop_write_answer writes.
 *
 *   echo, IPv4      | layer 2 | new IP header | ICMP as it came, type changed |          options are left out
 *   echo, IPv6      | layer 2 | new IP header | ICMP as it came, type changed |          extension headers are left out
 *   too big         | layer 2 | new IP header | ICMP | the packet's first bytes |        the head grows
 */
#ifndef ANYHOP_ANSWER_H
#define ANYHOP_ANSWER_H

#include "budget.h"
#include "flow_hash.h"
#include "icmp.h"
#include "packet.h"

#define ANYHOP_NODE_TTL 64u
/* Bytes of the offending packet's payload that an ICMPv4 error quotes (RFC 792). */
#define ANYHOP_QUOTE4_PAYLOAD 8u
/* Of the TOS or traffic class; ECN is about the path here, not the path back (RFC 3168). */
#define ANYHOP_DSCP 0xfcu

struct anyhop_answer {
	/* How the frame's ends move, in bytes: the head forward by `head`, which may be negative; then it is `length` long. */
	__s32 head;
	__u32 length;
	/* The frame's own layer-2 header, raw: MAC addresses and tags. */
	__u32 destination0, source1, tags[2];
	__u16 destination1, source0;
	__u32 l2_length; /* 14, 18 or 22 */
	__u32 family;
	__u32 client[4];
	__u32 tos;
	__u32 identification; /* IPv4: the second word, raw: identification, flags, offset 0 */
	__u32 payload;        /* behind the IP header, in bytes */
	__u32 mtu;            /* 0 for an echo reply */
};

/* Returns 0, or -1 when the frame is shorter than any with an IP packet. */
anyhop_inline int anyhop_take_l2(const struct anyhop_packet *p, struct anyhop_answer *a)
{
	const __u8 *frame = p->frame;

	if (frame + 22 > p->at.end)
		return -1;
	a->l2_length = anyhop_distance(frame, p->l3);
	a->destination0 = anyhop_get32(frame);
	a->destination1 = anyhop_get16(frame + 4);
	a->source0 = anyhop_get16(frame + 6);
	a->source1 = anyhop_get32(frame + 8);
	a->tags[0] = anyhop_get32(frame + 12);
	a->tags[1] = anyhop_get32(frame + 16);
	a->family = p->family;
	for (int i = 0; i < 4; i++)
		a->client[i] = i == 0 || p->family == 6 ? anyhop_get32(p->l3 + (p->family == 4 ? 12 : 8) + 4 * i) : 0;
	return 0;
}

/* The echo reply to the request at the cursor: the same message, behind a new IP header without options or extension
 * headers. It is sent whatever the request's TTL was. */
anyhop_inline int anyhop_prepare_echo(const struct anyhop_packet *p, struct anyhop_answer *a)
{
	__u32 header = p->family == 4 ? 20 : 40;

	if (anyhop_take_l2(p, a))
		return -1;
	a->head = (__s32)(p->length - p->left - header);
	a->payload = p->left;
	a->length = a->l2_length + header + p->left;
	a->tos = (p->family == 4 ? p->l3[1] : anyhop_get16be(p->l3) >> 4) & ANYHOP_DSCP;
	a->identification = anyhop_get32(p->l3 + 4); /* and DF as asked: the path back may be narrower */
	a->mtu = 0;
	return 0;
}

/* The packet's sender as the budgets know it: a hash of its address (of its /64 in IPv6) alone, so that no client can use up
 * another's share but by lying about its address. The key is the first service's, whatever the packet is for, so that a client
 * is one client. */
anyhop_inline __u32 anyhop_client_hash(const struct anyhop_packet *p)
{
	const struct anyhop_service *first = anyhop_service_at(&p->view, 0);
	const __u8 *source = p->l3 + (p->family == 4 ? 12 : 8);
	__u32 words[2] = {anyhop_get32(source), anyhop_get32(source + 4)};

	if (!first)
		return 0; /* a damaged image */
	return p->family == 4 ? anyhop_flow_hash(first->key, words, 1) : anyhop_flow_hash(first->key, words, 2);
}

/* Whether the sender of a packet that is too big may be told, by the packet: TOO_BIG_ANSWERED, which the budget is yet to admit,
 * or another verdict. */
anyhop_inline int anyhop_may_tell(const struct anyhop_packet *p)
{
	if (p->family == 4) {
		__u32 bits = anyhop_get16be(p->l3 + 6);

		if (!(bits & ANYHOP_IPV4_DONT_FRAGMENT) || bits & ANYHOP_IPV4_OFFSET)
			return ANYHOP_V_DROP_TOO_BIG;
		if (!anyhop_is_ipv4_sound(p->l3, p->at.end))
			return ANYHOP_V_DROP_CHECKSUM;
	}
	return ANYHOP_V_TOO_BIG_ANSWERED;
}

/* Tells the sender the size of an inner packet that fits. */
anyhop_inline int anyhop_prepare_too_big(const struct anyhop_packet *p, __u32 mtu, struct anyhop_answer *a)
{
	__u32 quote = p->family == 4 ? (p->l3[0] & 15u) * 4 + ANYHOP_QUOTE4_PAYLOAD : ANYHOP_QUOTE6;
	__u32 headers = (p->family == 4 ? 20 : 40) + 8;

	/* A damaged image: with a sound one, ANYHOP_PATH_MTU_MIN sees to it that the packet is longer. */
	if (p->length < quote || anyhop_take_l2(p, a))
		return -1;
	a->head = -(__s32)headers;
	a->payload = 8 + quote;
	a->length = a->l2_length + headers + quote;
	a->tos = 0;
	a->identification = __builtin_bswap32(ANYHOP_IPV4_DONT_FRAGMENT);
	a->mtu = mtu;
	return 0;
}

anyhop_inline void anyhop_write_l2(__u8 *out, const struct anyhop_answer *a)
{
	__u32 type = a->family == 4 ? ANYHOP_ETHERTYPE_IPV4 : ANYHOP_ETHERTYPE_IPV6;

	anyhop_put16(out, a->source0);
	anyhop_put32(out + 2, a->source1);
	anyhop_put32(out + 6, a->destination0);
	anyhop_put16(out + 10, a->destination1);
	/* At places that the compiler knows: the verifier does not take one counted back from the IP header. */
	if (a->l2_length == 14) {
		anyhop_put16be(out + 12, type);
	} else if (a->l2_length == 18) {
		anyhop_put32(out + 12, a->tags[0]);
		anyhop_put16be(out + 16, type);
	} else {
		anyhop_put32(out + 12, a->tags[0]);
		anyhop_put32(out + 16, a->tags[1]);
		anyhop_put16be(out + 20, type);
	}
}

/* The ICMP header of an echo reply over the request's. */
anyhop_inline void anyhop_turn_echo(__u8 *icmp, __u32 family)
{
	__u32 checksum = anyhop_get16be(icmp + 2);

	if (family == 4) {
		icmp[0] = ANYHOP_ICMP_ECHO_REPLY;
		checksum = anyhop_adjust_fallen(checksum, (ANYHOP_ICMP_ECHO_REQUEST - ANYHOP_ICMP_ECHO_REPLY) << 8);
	} else {
		/* Swapping the addresses leaves the pseudo-header's sum as it is. */
		icmp[0] = ANYHOP_ICMPV6_ECHO_REPLY;
		checksum = anyhop_adjust_risen(checksum, (ANYHOP_ICMPV6_ECHO_REPLY - ANYHOP_ICMPV6_ECHO_REQUEST) << 8);
	}
	anyhop_put16be(icmp + 2, checksum);
}

/* An answer's IPv4 and ICMP headers, the latter before the echoed message or the quote, which are there. Returns 0, or -1 when
 * it ends early. */
anyhop_inline int anyhop_write_answer4(__u8 *ip, const __u8 *end, const struct anyhop_vip *vip,
				       const struct anyhop_answer *a)
{
	__u8 *icmp = ip + 20;
	__u64 sum = 0;

	if (icmp + 8 > end)
		return -1;
	anyhop_put16be(ip, 0x4500 | a->tos);
	anyhop_put16be(ip + 2, 20 + a->payload);
	anyhop_put32(ip + 4, a->identification);
	anyhop_put32be(ip + 8, ANYHOP_NODE_TTL << 24 | ANYHOP_IP_ICMP << 16);
	anyhop_put32(ip + 12, vip->address[3]);
	anyhop_put32(ip + 16, a->client[0]);
	anyhop_put16(ip + 10, anyhop_finish(anyhop_sum(ip, 20)));
	if (!a->mtu) {
		anyhop_turn_echo(icmp, 4);
		return 0;
	}
	anyhop_put32be(icmp, (ANYHOP_ICMP_UNREACHABLE << 8 | ANYHOP_ICMP_FRAGMENTATION_NEEDED) << 16);
	anyhop_put32be(icmp + 4, a->mtu);
	for (__u32 at = 0; at < 8 + 60 + ANYHOP_QUOTE4_PAYLOAD && at < a->payload; at += 4) {
		if (icmp + at + 4 > end)
			return -1;
		sum += anyhop_get32(icmp + at);
	}
	anyhop_put16(icmp + 2, anyhop_finish(sum));
	return 0;
}

/* The same for IPv6 and ICMPv6. */
anyhop_inline int anyhop_write_answer6(__u8 *ip, const __u8 *end, const struct anyhop_vip *vip,
				       const struct anyhop_answer *a)
{
	__u8 *icmp = ip + 40;

	if (icmp + 8 > end)
		return -1;
	anyhop_put32be(ip, 0x60000000u | a->tos << 20);
	anyhop_put32be(ip + 4, a->payload << 16 | ANYHOP_IP_ICMPV6 << 8 | ANYHOP_NODE_TTL);
	for (int i = 0; i < 4; i++) {
		anyhop_put32(ip + 8 + 4 * i, vip->address[i]);
		anyhop_put32(ip + 24 + 4 * i, a->client[i]);
	}
	if (!a->mtu) {
		anyhop_turn_echo(icmp, 6);
		return 0;
	}
	if (icmp + 8 + ANYHOP_QUOTE6 > end)
		return -1;
	anyhop_put32be(icmp, ANYHOP_ICMPV6_TOO_BIG << 24);
	anyhop_put32be(icmp + 4, a->mtu);
	/* The pseudo-header (RFC 8200 section 8.1): both addresses, length, protocol. */
	anyhop_put16(icmp + 2, anyhop_finish(anyhop_sum(ip + 8, 32 + 8 + ANYHOP_QUOTE6) + __builtin_bswap32(a->payload) +
					     __builtin_bswap32(ANYHOP_IP_ICMPV6)));
	return 0;
}

/* Writes an answer into the frame whose ends have been moved. Returns 0, or -1 when it does not fit, which the move rules
 * out. */
anyhop_inline int anyhop_write_answer(__u8 *out, const __u8 *end, const struct anyhop_vip *vip,
				      const struct anyhop_answer *a)
{
	__u8 *ip = out + (a->l2_length & 31); /* at most 22; the verifier wants to see it small */

	if (out + 22 > end)
		return -1;
	anyhop_write_l2(out, a);
	__asm__ volatile("" : "+r"(ip)); /* one register, whose bound is then found once */
	return a->family == 4 ? anyhop_write_answer4(ip, end, vip, a) : anyhop_write_answer6(ip, end, vip, a);
}

#endif
