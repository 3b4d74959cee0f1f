/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * ICMP and ICMPv6 for a VIP: echo requests are answered by the node, errors follow the flow that they embed (without
 * this, path MTU discovery breaks), all else is dropped. The reference is src/forward/icmp.ts.
 *
 * An error's embedded packet is one that a backend sent: from the VIP's port to the client. Its flow is thus the
 * embedded one with addresses and ports swapped.
 *
 * Neighbour discovery is the host's: a VIP may be one of its addresses, which neighbours ask by unicast whether it is still there.
 */
#ifndef ANYHOP_ICMP_H
#define ANYHOP_ICMP_H

#include "checksum.h"
#include "packet.h"

/* Where a cursor can be at most behind a walk over extension headers, in bytes from the start of the frame. With another walk,
 * through an embedded packet, it stays below the verifier's 65535. */
#define ANYHOP_TRANSPORT_MAX 20479u

enum {
	ANYHOP_ICMP_ECHO_REPLY = 0,
	ANYHOP_ICMP_UNREACHABLE = 3,
	ANYHOP_ICMP_ECHO_REQUEST = 8,
	ANYHOP_ICMP_TIME_EXCEEDED = 11,
	ANYHOP_ICMP_PARAMETER_PROBLEM = 12,
	ANYHOP_ICMP_FRAGMENTATION_NEEDED = 4, /* code of unreachable (RFC 1191) */
	ANYHOP_ICMPV6_UNREACHABLE = 1,        /* errors are the types 1 to 4 (RFC 4443) */
	ANYHOP_ICMPV6_TOO_BIG = 2,
	ANYHOP_ICMPV6_PARAMETER_PROBLEM = 4,
	ANYHOP_ICMPV6_ECHO_REQUEST = 128,
	ANYHOP_ICMPV6_ECHO_REPLY = 129,
	ANYHOP_ICMPV6_ROUTER_SOLICITATION = 133, /* neighbour discovery is the types 133 to 137 (RFC 4861) */
	ANYHOP_ICMPV6_REDIRECT = 137,
};

#define ANYHOP_HOP_LIMIT_MAX 255u

/* Whether the IPv6 packet at `header` is neighbour discovery that its receiver would not discard unread (RFC 4861 section 6.1 and 7.1): whole,
 * code 0, and of hop limit 255, so that nobody beyond the link can have sent it. Extension headers are allowed there, but nobody sends
 * them. */
anyhop_inline int anyhop_is_neighbour_discovery(const __u8 *header, const __u8 *end)
{
	__u32 payload;

	if (header + 48 > end || header[6] != ANYHOP_IP_ICMPV6 || header[7] != ANYHOP_HOP_LIMIT_MAX)
		return 0;
	payload = anyhop_load16(header + 4);
	return payload >= 8 && 40 + payload <= anyhop_distance(header, end) && header[40] >= ANYHOP_ICMPV6_ROUTER_SOLICITATION &&
	       header[40] <= ANYHOP_ICMPV6_REDIRECT && header[41] == 0;
}

/* The service of a VIP's TCP or UDP port (host order), or NULL. */
anyhop_inline const struct anyhop_service *anyhop_service_of(const struct anyhop_view *view, const struct anyhop_vip *vip,
							     __u32 protocol, __u32 port)
{
	if (protocol == ANYHOP_IP_TCP)
		return anyhop_find_service(view, vip->tcp_first, vip->tcp_count, port);
	return anyhop_find_service(view, vip->udp_first, vip->udp_count, port);
}

/* Whether an IPv4 header's checksum is right: an answer must not make a sound packet out of a damaged one. */
anyhop_inline int anyhop_is_ipv4_sound(const __u8 *header, const __u8 *end)
{
	__u32 size = (header[0] & 15u) * 4;
	__u64 sum = anyhop_sum(header, 20);

	for (__u32 at = 20; at < 60 && at < size; at += 4) {
		if (header + at + 4 > end)
			return 0;
		sum += anyhop_get32(header + at);
	}
	return anyhop_finish(sum) == 0;
}

/* The embedded IP header, from the VIP to a client whose address is left in `client`: the protocol behind it, where the
 * cursor then stands, or a negative number. */
anyhop_inline int anyhop_read_embedded(struct anyhop_packet *p, __u32 client[4])
{
	struct anyhop_ip ip = {.header_length = 40};
	int protocol;

	if (p->left < (p->family == 4 ? 20u : 40u))
		return ANYHOP_CUT_SHORT;
	if (p->family == 4) {
		protocol = anyhop_parse_ipv4(&p->at, &ip);
		if (protocol < 0 || anyhop_get32(ip.source) != p->vip->address[3])
			return -1;
		client[0] = anyhop_get32(ip.destination);
	} else {
		protocol = anyhop_parse_ipv6_fixed(&p->at, &ip);
		if (protocol < 0)
			return protocol;
		for (int i = 0; i < 4; i++) {
			if (anyhop_get32(ip.source + 4 * i) != p->vip->address[i])
				return -1;
			client[i] = anyhop_get32(ip.destination + 4 * i);
		}
		protocol = anyhop_walk_extensions(&p->at, &ip, (__u32)protocol, ANYHOP_WALK_QUOTED);
	}
	if (ip.fragment == ANYHOP_LATER || p->left < ip.header_length || !anyhop_settle(&p->at, p->frame, 2 * ANYHOP_TRANSPORT_MAX))
		return -1;
	p->left -= ip.header_length;
	return protocol;
}

/* 169.254.0.0/16 (RFC 3927): no client beyond the link has such an address. Routers send ICMP errors from one when they have no
 * other. */
anyhop_inline int anyhop_is_link_local4(const __u8 *source)
{
	return source[0] == 169 && source[1] == 254;
}

/* An IPv4 echo request to a VIP: a verdict. */
anyhop_inline int anyhop_judge_echo4(const __u8 *header, const __u8 *end)
{
	if (anyhop_is_link_local4(header + 12))
		return ANYHOP_V_DROP_BAD_SOURCE;
	return anyhop_is_ipv4_sound(header, end) ? ANYHOP_V_ECHO_ANSWERED : ANYHOP_V_DROP_CHECKSUM;
}

/* A whole ICMP message; the cursor stands at its header. */
anyhop_inline int anyhop_match_icmp(struct anyhop_packet *p, struct anyhop_match *m)
{
	__u32 type, ports;
	int protocol;

	if (p->left < 8 || !anyhop_fits(&p->at, 8))
		return ANYHOP_V_DROP_TRUNCATED;
	type = p->at.at[0];
	if (p->family == 4) {
		if (type == ANYHOP_ICMP_ECHO_REQUEST)
			return anyhop_judge_echo4(p->l3, p->at.end);
		if (type != ANYHOP_ICMP_UNREACHABLE && type != ANYHOP_ICMP_TIME_EXCEEDED &&
		    type != ANYHOP_ICMP_PARAMETER_PROBLEM)
			return ANYHOP_V_DROP_ICMP_TYPE;
	} else {
		if (type == ANYHOP_ICMPV6_ECHO_REQUEST)
			return ANYHOP_V_ECHO_ANSWERED;
		if (type < ANYHOP_ICMPV6_UNREACHABLE || type > ANYHOP_ICMPV6_PARAMETER_PROBLEM)
			return ANYHOP_V_DROP_ICMP_TYPE;
	}
	p->at.at += 8;
	p->left -= 8;
	protocol = anyhop_read_embedded(p, m->client);
	/* RFC 792 promises 64 bits of the transport header. */
	if ((protocol != ANYHOP_IP_TCP && protocol != ANYHOP_IP_UDP) || p->left < 8 || !anyhop_fits(&p->at, 8))
		return ANYHOP_V_DROP_ICMP_UNMATCHED;
	m->service = anyhop_service_of(&p->view, p->vip, (__u32)protocol, anyhop_get16be(p->at.at));
	if (!m->service)
		return ANYHOP_V_DROP_ICMP_UNMATCHED;
	ports = anyhop_get32(p->at.at);
	m->ports = ports << 16 | ports >> 16;
	return ANYHOP_V_FORWARDED_ICMP_ERROR;
}

#endif
