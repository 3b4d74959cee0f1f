/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * From a service to the backend that gets the packet: flow hash, slot, owner, key, and whether the packet may be
 * sent and fits. It only reads. The reference is src/forward/encapsulate.ts.
 */
#ifndef ANYHOP_CHOOSE_H
#define ANYHOP_CHOOSE_H

#include "flow_hash.h"
#include "packet.h"

/* The flow's hash with a key, in the service's mode: of the client's address, and of the ports where these count. */
anyhop_inline __u32 anyhop_hash_flow(const struct anyhop_packet *p, const struct anyhop_match *m, const __u32 *key)
{
	if (anyhop_likely(m->service->hash_mode == ANYHOP_HASH_5_TUPLE)) {
		__u32 words[5] = {m->client[0], m->ports};

		if (p->family == 4)
			return anyhop_flow_hash(key, words, 2);
		words[1] = m->client[1];
		words[2] = m->client[2];
		words[3] = m->client[3];
		words[4] = m->ports;
		return anyhop_flow_hash(key, words, 5);
	}
	return p->family == 4 ? anyhop_flow_hash(key, m->client, 1) : anyhop_flow_hash(key, m->client, 4);
}

anyhop_inline const struct anyhop_path *anyhop_path_at(const struct anyhop_view *view, __u32 backend)
{
	return anyhop_at(view, anyhop_header(view)->path_offset + backend * (__u32)sizeof(struct anyhop_path));
}

anyhop_inline __u32 anyhop_owner_at(const struct anyhop_view *view, __u32 owners_offset, __u32 slot)
{
	const __u8 *owner = anyhop_at(view, owners_offset + 2 * slot);

	return owner ? anyhop_get16(owner) : ANYHOP_NONE;
}

anyhop_inline __u32 anyhop_key_at(const struct anyhop_view *view, __u32 keys_offset, __u32 slot)
{
	const __u8 *key = anyhop_at(view, keys_offset + 4 * slot);

	return key ? anyhop_get32(key) : 0;
}

/* The first two of the ids in two GRE keys, without `own` and without repeats, as a GRE key. */
anyhop_inline __u32 anyhop_join_keys(__u32 own, __u32 former, __u32 present)
{
	__u32 first = 0, second = 0;

#define NEXT(id) \
	do { \
		__u32 each = (id) & 0x7fff; \
\
		if (each && each != own && each != first) { \
			if (!first) \
				first = each; \
			else if (!second) \
				second = each; \
		} \
	} while (0)
	NEXT(former >> 15);
	NEXT(former);
	NEXT(present >> 15);
	NEXT(present);
#undef NEXT
	return first << 15 | second;
}

/* The GRE key of a packet whose service has another flow hash key than before: who may hold the flow by the former one comes first. */
anyhop_rare __u32 anyhop_rekeyed(const struct anyhop_packet *p, const struct anyhop_match *m, const struct anyhop_choice *choice)
{
	__u64 number = (__u64)((const __u8 *)m->service - p->view.image) - anyhop_header(&p->view)->service_offset;
	const struct anyhop_former *former = anyhop_at(&p->view, anyhop_header(&p->view)->former_offset + number);
	__u32 slot;

	if (!former || !(choice->path->flags & ANYHOP_PATH_AGENT))
		return choice->key;
	slot = anyhop_slot(anyhop_hash_flow(p, m, former->key), m->service->slots);
	return anyhop_join_keys(choice->path->id, anyhop_key_at(&p->view, former->holders_offset, slot), choice->key);
}

/* Chooses the backend of a matched packet. Returns `verdict`, which it was matched with, or another one; TOO_BIG_ANSWERED
 * still has to be admitted (anyhop_may_tell, anyhop_budget_admits). */
anyhop_inline int anyhop_choose(const struct anyhop_packet *p, const struct anyhop_match *m, int verdict,
				    struct anyhop_choice *choice)
{
	const struct anyhop_service *service = m->service;
	__u32 owner, ip_and_gre = 4;

	choice->hash = anyhop_hash_flow(p, m, service->key);
	choice->slot = anyhop_slot(choice->hash, service->slots);
	owner = anyhop_owner_at(&p->view, service->owners_offset, choice->slot);
	if (owner == ANYHOP_NONE)
		return ANYHOP_V_DROP_NO_BACKEND;
	choice->backend = service->backend_first + owner;
	choice->path = anyhop_path_at(&p->view, choice->backend);
	choice->template = anyhop_at(&p->view, anyhop_header(&p->view)->template_offset + choice->backend * ANYHOP_TEMPLATE_SIZE);
	if (!choice->path || !choice->template)
		return ANYHOP_V_DROP_NO_BACKEND;

	/* The key names the backends that may hold the slot's older connections. */
	choice->key = service->keys_offset ? anyhop_key_at(&p->view, service->keys_offset, choice->slot) : 0;
	if (anyhop_unlikely(service->is_rekeyed))
		choice->key = anyhop_rekeyed(p, m, choice);
	if (choice->key)
		ip_and_gre = 8;

	if (p->l3[p->family == 4 ? 8 : 7] <= 1)
		return ANYHOP_V_DROP_TTL_EXPIRED;
	ip_and_gre += choice->path->flags & ANYHOP_PATH_OUTER_IPV6 ? 40 : 20;
	if (anyhop_unlikely(p->length + ip_and_gre > choice->path->mtu)) {
		choice->answer_mtu = (choice->path->mtu - ip_and_gre) & 0xffff;
		if (p->family == 6 && choice->answer_mtu < ANYHOP_IPV6_MTU_MIN)
			choice->answer_mtu = ANYHOP_IPV6_MTU_MIN;
		/* An ICMP error is never answered by another; nor does an IPv6 sender make packets smaller than the least MTU. */
		return verdict == ANYHOP_V_FORWARDED_ICMP_ERROR || p->length <= choice->answer_mtu ? ANYHOP_V_DROP_TOO_BIG :
												  ANYHOP_V_TOO_BIG_ANSWERED;
	}
	return verdict;
}

#endif
