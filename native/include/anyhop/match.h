/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * From a frame to the service that answers for it, or to another verdict: is it for a VIP, is it sound, what does it
 * carry, and whose port is that. The rules and their order are those of src/forward/{pipeline,ipv4,ipv6,service}.ts.
 */
#ifndef ANYHOP_MATCH_H
#define ANYHOP_MATCH_H

#include "icmp.h"
#include "packet.h"

/* Whether a frame is for this interface; where the image does not say which it is, at least for a single machine. */
anyhop_inline int anyhop_accepts_mac(const struct anyhop_header *header, const __u8 *frame)
{
	if (!(header->flags & ANYHOP_IMAGE_CHECK_MAC))
		return (frame[0] & 1) == 0;
	return anyhop_get32(frame) == anyhop_get32(header->mac) && anyhop_get16(frame + 4) == anyhop_get16(header->mac + 4);
}

/* Not 0.0.0.0/8, 127.0.0.0/8, multicast, reserved or broadcast (RFC 1122 section 3.2.1.3). */
anyhop_inline int anyhop_can_be_client4(const __u8 *source)
{
	return source[0] != 0 && source[0] != 127 && source[0] < 224;
}

/* Not multicast, and outside of ::/96: unspecified, loopback and the deprecated IPv4-compatible addresses. Nor
 * IPv4-mapped, which is never on the wire (RFC 4291 section 2.5). */
anyhop_inline int anyhop_can_be_client6(const __u8 *source)
{
	if (source[0] == 0xff)
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
	int protocol;

	if (!anyhop_fits(&p->at, 20) || p->l3[0] >> 4 != 4)
		return ANYHOP_V_PASS_NOT_IP;
	p->vip = anyhop_find_vip(&p->view, 4, 0, 0, 0, anyhop_get32(p->l3 + 16));
	if (!p->vip)
		return ANYHOP_V_PASS_NOT_VIP;
	if (!anyhop_accepts_mac(anyhop_header(&p->view), p->frame))
		return ANYHOP_V_PASS_OTHER_HOST;
	protocol = anyhop_parse_ipv4(&p->at, &ip);
	if (protocol < 0 || ip.length < ip.header_length || ip.length > there)
		return ANYHOP_V_DROP_BAD_LENGTH;
	if (!anyhop_can_be_client4(p->l3 + 12))
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
	int next = anyhop_parse_ipv6_fixed(&p->at, &ip);

	if (next < 0)
		return ANYHOP_V_PASS_NOT_IP;
	p->vip = anyhop_find_vip_at(&p->view, 6, ip.destination);
	if (!p->vip)
		return ANYHOP_V_PASS_NOT_VIP;
	if (!anyhop_accepts_mac(anyhop_header(&p->view), p->frame))
		return ANYHOP_V_PASS_OTHER_HOST;
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

/* A frame that starts at p->frame, where the cursor stands. Forwarding verdicts leave service and flow in `m`; ECHO_ANSWERED
 * leaves the cursor at the request. */
anyhop_inline int anyhop_match(struct anyhop_packet *p, struct anyhop_match *m)
{
	int type = anyhop_parse_ethernet(&p->at), verdict;

	if (!anyhop_settle(&p->at, p->frame, 22))
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
