/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * From a frame to the service that answers for it, or to another verdict: is it for a VIP, is it sound, what does it
 * carry, and whose port is that. The rules and their order are those of
 * src/forward/ipv4.ts, ipv6.ts and service.ts.
 */
#ifndef ANYHOP_MATCH_H
#define ANYHOP_MATCH_H

#include "icmp.h"
#include "packet.h"

/* A frame that is not for the interface's own MAC address: a verdict, or -1 when it is for another one of this host, or for a
 * single machine where the image does not say which. */
anyhop_rare int anyhop_judge_other_mac(const struct anyhop_header *header, const __u8 *frame)
{
	if (frame[0] & 1)
		return ANYHOP_V_DROP_GROUP_MAC;
	if (!(header->flags & ANYHOP_IMAGE_CHECK_MAC))
		return -1;
	for (__u32 i = 0; i < ANYHOP_OTHER_MACS_MAX && i < header->other_mac_count; i++) {
		const __u8 *mac = header->other_macs[i];

		if (anyhop_get32(frame) == anyhop_get32(mac) && anyhop_get16(frame + 4) == anyhop_get16(mac + 4))
			return -1;
	}
	return ANYHOP_V_PASS_OTHER_HOST;
}

/* A frame with a packet for a VIP: a verdict when the frame is not for this host alone, or -1. */
anyhop_inline int anyhop_judge_mac(const struct anyhop_header *header, const __u8 *frame)
{
	if (anyhop_likely(anyhop_get32(frame) == anyhop_get32(header->mac) &&
			  anyhop_get16(frame + 4) == anyhop_get16(header->mac + 4)))
		return -1;
	return anyhop_judge_other_mac(header, frame);
}

/* Not 0.0.0.0/8, 127.0.0.0/8, multicast or broadcast (RFC 1122 section 3.2.1.3). The rest of 240.0.0.0/4 is reserved, but some
 * networks use it as private addresses. */
anyhop_inline int anyhop_can_be_client4(const __u8 *source)
{
	return source[0] != 0 && source[0] != 127 && (source[0] < 224 || source[0] >= 240) && anyhop_get32(source) != 0xffffffffu;
}

/* The raw word of a source that can be a client for certain, by fewer tests. */
anyhop_inline int anyhop_is_plain_source4(__u32 source)
{
	__u32 first = source & 0xff;

	return first - 1 < 223 && first != 127 && (source & 0xffff) != 0xfea9;
}

/* Not multicast or link-local (fe80::/10), and outside of ::/96: unspecified, loopback and the deprecated IPv4-compatible addresses.
 * Nor IPv4-mapped, which is never on the wire (RFC 4291 section 2.5). */
anyhop_inline int anyhop_can_be_client6(const __u8 *source)
{
	if (source[0] >= 0xfe && (source[0] == 0xff || (source[1] & 0xc0) == 0x80))
		return 0;
	return (anyhop_get32(source) | anyhop_get32(source + 4)) != 0 ||
	       (anyhop_get32(source + 8) != 0 && anyhop_get32(source + 8) != 0xffff0000u);
}

/* Whether a client's address (raw words) is the VIP's own. */
anyhop_inline int anyhop_is_vip(const struct anyhop_vip *vip, const __u32 client[4], __u32 family)
{
	return client[family == 4 ? 0 : 3] == vip->address[3] &&
	       (family == 4 || (client[2] == vip->address[2] && client[1] == vip->address[1] && client[0] == vip->address[0]));
}

/* Whether a packet claims to come from here. From a VIP to a VIP: over UDP, one such packet would go round between two
 * services for ever. TCP does not, and may. */
anyhop_inline int anyhop_is_own(const struct anyhop_packet *p, const struct anyhop_match *m)
{
	if (p->protocol == ANYHOP_IP_TCP)
		return anyhop_is_vip(p->vip, m->client, p->family);
	return anyhop_find_vip_at(&p->view, p->family, p->l3 + (p->family == 4 ? 12 : 8)) != 0;
}

/* A whole TCP or UDP packet; the cursor stands at its transport header. */
anyhop_inline int anyhop_match_transport(const struct anyhop_packet *p, struct anyhop_match *m)
{
	if (p->left < (p->protocol == ANYHOP_IP_TCP ? 20u : 8u) || !anyhop_fits(&p->at, 4))
		return ANYHOP_V_DROP_TRUNCATED;
	m->service = anyhop_service_of(&p->view, p->vip, p->protocol, anyhop_get16be(p->at.at + 2));
	if (!m->service)
		return ANYHOP_V_DROP_NO_SERVICE;
	m->ports = anyhop_get32(p->at.at);
	return ANYHOP_V_FORWARDED;
}

/* A fragment of TCP or UDP. The first one (offset 0) shows its ports: they must be a service's, or the whole datagram would
 * reach a port of the backend that is nobody's service. They are never hashed, because the others do not have them. */
anyhop_inline int anyhop_match_fragment(const struct anyhop_packet *p, struct anyhop_match *m)
{
	__u32 tcp = p->protocol == ANYHOP_IP_TCP;
	__u32 entry = tcp ? p->vip->tcp_fragment : p->vip->udp_fragment;

	if ((tcp ? p->vip->tcp_count : p->vip->udp_count) == 0)
		return ANYHOP_V_DROP_NO_SERVICE;
	if (p->fragment == ANYHOP_FIRST) {
		int verdict = anyhop_match_transport(p, m);

		if (verdict != ANYHOP_V_FORWARDED)
			return verdict;
	}
	if (entry == ANYHOP_FRAGMENT_NEEDS_PORTS)
		return ANYHOP_V_DROP_FRAGMENT_TCP;
	if (entry == ANYHOP_FRAGMENT_AMBIGUOUS)
		return ANYHOP_V_DROP_FRAGMENT_AMBIGUOUS;
	m->service = anyhop_service_at(&p->view, entry);
	m->ports = 0;
	return m->service ? ANYHOP_V_FORWARDED_FRAGMENT : ANYHOP_V_DROP_NO_SERVICE;
}

/* Everything but whole TCP and UDP packets without extension headers; the cursor stands behind the fixed part of the IP
 * header or its options. */
anyhop_rare int anyhop_match_rare(struct anyhop_packet *p, struct anyhop_match *m)
{
	int is_transport;

	if (p->family == 6) {
		struct anyhop_ip ip = {.header_length = 40};
		int protocol = anyhop_walk_extensions(&p->at, &ip, p->protocol, ANYHOP_WALK_RECEIVED);

		if (protocol < 0 || ip.header_length > p->length ||
		    !anyhop_settle(&p->at, p->frame, ANYHOP_TRANSPORT_MAX))
			return ANYHOP_V_DROP_EXTENSION_HEADER;
		p->left = p->length - ip.header_length;
		p->protocol = (__u32)protocol;
		p->fragment = ip.fragment;
	}
	is_transport = p->protocol == ANYHOP_IP_TCP || p->protocol == ANYHOP_IP_UDP;
	if (!is_transport && p->protocol != (p->family == 4 ? ANYHOP_IP_ICMP : ANYHOP_IP_ICMPV6))
		return ANYHOP_V_DROP_PROTOCOL;
	if (anyhop_is_own(p, m))
		return ANYHOP_V_DROP_BAD_SOURCE;
	if (!is_transport)
		return p->fragment == ANYHOP_WHOLE ? anyhop_match_icmp(p, m) : ANYHOP_V_DROP_FRAGMENT_ICMP;
	return p->fragment == ANYHOP_WHOLE ? anyhop_match_transport(p, m) : anyhop_match_fragment(p, m);
}

/* The IPv4 header at the cursor (RFC 791): a verdict, or -1 to go on. */
anyhop_inline int anyhop_read_ipv4(struct anyhop_packet *p, struct anyhop_match *m)
{
	__u32 there = anyhop_left(&p->at);
	struct anyhop_ip ip;
	int protocol, verdict;

	if (!anyhop_fits(&p->at, 20) || p->l3[0] >> 4 != 4)
		return ANYHOP_V_PASS_NOT_IP;
	p->vip = anyhop_find_vip(&p->view, 4, 0, 0, 0, anyhop_get32(p->l3 + 16));
	if (!p->vip)
		return ANYHOP_V_PASS_NOT_VIP;
	verdict = anyhop_judge_mac(anyhop_header(&p->view), p->frame);
	if (verdict >= 0)
		return verdict;
	protocol = anyhop_parse_ipv4(&p->at, &ip);
	if (protocol < 0 || ip.length < ip.header_length || ip.length > there)
		return ANYHOP_V_DROP_BAD_LENGTH;
	if (!anyhop_can_be_client4(p->l3 + 12) ||
	    (anyhop_is_link_local4(p->l3 + 12) && protocol != ANYHOP_IP_ICMP)) /* see anyhop_match_icmp */
		return ANYHOP_V_DROP_BAD_SOURCE;
	p->family = 4;
	p->length = ip.length;
	p->left = ip.length - ip.header_length;
	p->protocol = (__u32)protocol;
	p->fragment = ip.fragment;
	m->client[0] = anyhop_get32(p->l3 + 12);
	return -1;
}

/* The IPv6 header at the cursor (RFC 8200): a verdict, or -1 to go on. */
anyhop_inline int anyhop_read_ipv6(struct anyhop_packet *p, struct anyhop_match *m)
{
	__u32 there = anyhop_left(&p->at);
	struct anyhop_ip ip;
	int next = anyhop_parse_ipv6_fixed(&p->at, &ip), verdict;

	if (next < 0)
		return ANYHOP_V_PASS_NOT_IP;
	p->vip = anyhop_find_vip_at(&p->view, 6, ip.destination);
	if (!p->vip)
		return ANYHOP_V_PASS_NOT_VIP;
	verdict = anyhop_judge_mac(anyhop_header(&p->view), p->frame);
	if (verdict >= 0)
		return verdict;
	/* From a link-local address, usually. */
	if (next == ANYHOP_IP_ICMPV6 && anyhop_is_neighbour_discovery(p->l3, p->at.end))
		return ANYHOP_V_PASS_NEIGHBOUR;
	if (ip.length > there)
		return ANYHOP_V_DROP_BAD_LENGTH;
	for (int i = 0; i < 4; i++)
		m->client[i] = anyhop_get32(ip.source + 4 * i);
	if (!anyhop_can_be_client6(ip.source) || anyhop_is_vip(p->vip, m->client, 6))
		return ANYHOP_V_DROP_BAD_SOURCE;
	p->family = 6;
	p->length = ip.length;
	p->left = ip.length - 40;
	p->protocol = (__u32)next;
	p->fragment = ANYHOP_WHOLE;
	return -1;
}

/* What lies behind more VLAN tags than are forwarded, the next of them announced by `type`: a verdict. When nobody reads them to their
 * end, the frame must not reach the host, which would: a VIP may be behind them. */
anyhop_rare int anyhop_judge_deep(const struct anyhop_view *view, const __u8 *frame, struct anyhop_cursor *c, int type)
{
	__u32 family;

	type = anyhop_parse_deep_tags(c, frame, type);
	if (!anyhop_is_vlan(type)) {
		family = type == ANYHOP_ETHERTYPE_IPV4 ? 4 : type == ANYHOP_ETHERTYPE_IPV6 ? 6 : 0;
		if (family == 0 || !anyhop_fits(c, family == 4 ? 20 : 40) || c->at[0] >> 4 != family)
			return ANYHOP_V_PASS_NOT_IP;
		if (!anyhop_find_vip_at(view, family, c->at + (family == 4 ? 16 : 24)))
			return ANYHOP_V_PASS_NOT_VIP;
	}
	return anyhop_judge_mac(anyhop_header(view), frame) == ANYHOP_V_PASS_OTHER_HOST ? ANYHOP_V_PASS_OTHER_HOST :
											   ANYHOP_V_DROP_VLAN_TAGS;
}

/* A frame that starts at p->frame, where the cursor stands. Forwarding verdicts leave service and flow in `m`; ECHO_ANSWERED
 * leaves the cursor at the request. */
anyhop_inline int anyhop_match(struct anyhop_packet *p, struct anyhop_match *m)
{
	int type = anyhop_parse_ethernet(&p->at), verdict;

	if (anyhop_is_vlan(type))
		return anyhop_judge_deep(&p->view, p->frame, &p->at, type);
	if (type < 0 || !anyhop_settle(&p->at, p->frame, 22))
		return ANYHOP_V_PASS_NOT_IP;
	p->l3 = (__u8 *)p->at.at;
	if (type == ANYHOP_ETHERTYPE_IPV4)
		verdict = anyhop_read_ipv4(p, m);
	else if (type == ANYHOP_ETHERTYPE_IPV6)
		verdict = anyhop_read_ipv6(p, m);
	else
		return ANYHOP_V_PASS_NOT_IP;
	if (verdict >= 0)
		return verdict;
	if ((p->protocol == ANYHOP_IP_TCP || p->protocol == ANYHOP_IP_UDP) && p->fragment == ANYHOP_WHOLE)
		return anyhop_is_own(p, m) ? ANYHOP_V_DROP_BAD_SOURCE : anyhop_match_transport(p, m);
	return anyhop_match_rare(p, m);
}

#endif
