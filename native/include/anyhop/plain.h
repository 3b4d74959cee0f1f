/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * The straight line: phase 1 for most packets. A plain packet is a whole TCP or UDP packet without VLAN tag, IP options or
 * extension headers, and is forwarded.
 *
 * Any other packet, even one that is dropped, starts over in anyhop_decide, which knows all the rules; so each test here
 * asks only whether the packet is plain. The gain: nothing that only other packets need is kept in registers or on the stack.
 */
#ifndef ANYHOP_PLAIN_H
#define ANYHOP_PLAIN_H

#include "match.h"
#include "choose.h"

/* The verdict of the frame that starts at p->frame and has at least an Ethernet header, of IPv4 or IPv6 as `family` says, a
 * constant: FORWARDED, PASS_NOT_VIP, or -1 for a packet that is not plain. */
anyhop_inline int anyhop_decide_plain(struct anyhop_packet *p, struct anyhop_match *m, struct anyhop_choice *choice,
				      __u32 family)
{
	__u32 header_length = family == 4 ? 20 : 40;

	p->l3 = p->frame + 14;
	p->at.at = p->l3 + header_length;
	p->family = family;
	p->fragment = ANYHOP_WHOLE;
	if (!anyhop_fits(&p->at, 4))
		return -1;
	if (family == 4 ? p->l3[0] != 0x45 : p->l3[0] >> 4 != 6)
		return -1;
	p->vip = anyhop_find_vip_at(&p->view, family, p->l3 + (family == 4 ? 16 : 24));
	if (!p->vip)
		return ANYHOP_V_PASS_NOT_VIP;
	p->protocol = p->l3[family == 4 ? 9 : 6];
	if (p->protocol != ANYHOP_IP_TCP && p->protocol != ANYHOP_IP_UDP)
		return -1;
	if (family == 4) {
		if (anyhop_get16be(p->l3 + 6) & (ANYHOP_IPV4_MORE_FRAGMENTS | ANYHOP_IPV4_OFFSET) ||
		    !anyhop_is_plain_source4(p->l3 + 12))
			return -1;
		p->length = anyhop_get16be(p->l3 + 2);
		m->client[0] = anyhop_get32(p->l3 + 12);
	} else {
		if (!anyhop_can_be_client6(p->l3 + 8))
			return -1;
		p->length = 40 + anyhop_get16be(p->l3 + 4);
		for (int i = 0; i < 4; i++)
			m->client[i] = anyhop_get32(p->l3 + 8 + 4 * i);
	}
	if (anyhop_judge_mac(anyhop_header(&p->view), p->frame) >= 0 || p->length < header_length ||
	    p->length > anyhop_distance(p->l3, p->at.end) || anyhop_is_own(p, m))
		return -1;
	p->left = p->length - header_length;
	if (anyhop_match_transport(p, m) != ANYHOP_V_FORWARDED ||
	    anyhop_choose(p, m, ANYHOP_V_FORWARDED, choice) != ANYHOP_V_FORWARDED || choice->path->l2_length != 14)
		return -1;
	return ANYHOP_V_FORWARDED;
}

#endif
