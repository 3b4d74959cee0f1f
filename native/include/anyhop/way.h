/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * From a service to the way that a packet takes: flow hash, slot, owner, alternate, and whether it may and fits. Only
 * reads. The reference is the first half of src/forward/encapsulate.ts.
 */
#ifndef ANYHOP_WAY_H
#define ANYHOP_WAY_H

#include "flow_hash.h"
#include "packet.h"

/* The flow's hash by the service's kind: of the client's address, and of the ports where these count. */
anyhop_inline __u32 anyhop_hash_flow(const struct anyhop_packet *p, const struct anyhop_match *m)
{
	const struct anyhop_service *service = m->service;

	if (anyhop_likely(service->hash_mode == ANYHOP_HASH_5_TUPLE)) {
		__u32 words[5] = {m->client[0], m->ports};

		if (p->family == 4)
			return anyhop_flow_hash(service->key, words, 2);
		words[1] = m->client[1];
		words[2] = m->client[2];
		words[3] = m->client[3];
		words[4] = m->ports;
		return anyhop_flow_hash(service->key, words, 5);
	}
	return p->family == 4 ? anyhop_flow_hash(service->key, m->client, 1) :
				anyhop_flow_hash(service->key, m->client, 4);
}

anyhop_inline const struct anyhop_path *anyhop_path_at(const struct anyhop_view *view, __u32 backend)
{
	return anyhop_at(view, anyhop_header(view)->path_offset + backend * (__u32)sizeof(struct anyhop_path));
}

/* A slot's entry of a table of 16-bit indexes. */
anyhop_inline __u32 anyhop_table_at(const struct anyhop_view *view, __u32 table_offset, __u32 slot)
{
	const __u8 *entry = anyhop_at(view, table_offset + 2 * slot);

	return entry ? anyhop_get16(entry) : ANYHOP_NONE;
}

/* The way of a matched packet. Returns `verdict`, which it was matched with, or another one; TOO_BIG_ANSWERED is yet to be
 * admitted (anyhop_may_tell, anyhop_budget_admits). */
anyhop_inline int anyhop_choose_way(const struct anyhop_packet *p, const struct anyhop_match *m, int verdict,
				    struct anyhop_way *way)
{
	const struct anyhop_service *service = m->service;
	__u32 owner, ip_and_gre = 4;

	way->hash = anyhop_hash_flow(p, m);
	way->slot = anyhop_slot(way->hash, service->slots);
	way->alternate = -1;
	way->keyed = 0;
	way->key = 0;
	owner = anyhop_table_at(&p->view, service->owners_offset, way->slot);
	if (owner == ANYHOP_NONE)
		return ANYHOP_V_DROP_NO_BACKEND;
	way->backend = service->backend_first + owner;
	way->path = anyhop_path_at(&p->view, way->backend);
	way->template = anyhop_at(&p->view, anyhop_header(&p->view)->template_offset + way->backend * ANYHOP_TEMPLATE_SIZE);
	if (!way->path || !way->template)
		return ANYHOP_V_DROP_NO_BACKEND;

	/* The key names the backend that may hold the slot's older connections. */
	if (service->flags & ANYHOP_SERVICE_SECOND_CHANCE && way->path->flags & ANYHOP_PATH_AGENT) {
		__u32 alternate = anyhop_table_at(&p->view, service->alternates_offset, way->slot);

		if (alternate != ANYHOP_NONE) {
			const struct anyhop_path *path = anyhop_path_at(&p->view, service->backend_first + alternate);

			if (!path)
				return ANYHOP_V_DROP_NO_BACKEND;
			way->alternate = (__s32)(service->backend_first + alternate);
			way->keyed = 1;
			way->key = path->key;
			ip_and_gre = 8;
		}
	}

	if (p->l3[p->family == 4 ? 8 : 7] <= 1)
		return ANYHOP_V_DROP_TTL_EXPIRED;
	ip_and_gre += way->path->flags & ANYHOP_PATH_OUTER_IPV6 ? 40 : 20;
	if (anyhop_unlikely(p->length + ip_and_gre > way->path->mtu)) {
		way->answer_mtu = (way->path->mtu - ip_and_gre) & 0xffff;
		if (p->family == 6 && way->answer_mtu < ANYHOP_IPV6_MTU_MIN)
			way->answer_mtu = ANYHOP_IPV6_MTU_MIN;
		/* An ICMP error is never answered by another; nor does an IPv6 sender make packets smaller than the least MTU. */
		return verdict == ANYHOP_V_FORWARDED_ICMP_ERROR || p->length <= way->answer_mtu ? ANYHOP_V_DROP_TOO_BIG :
												  ANYHOP_V_TOO_BIG_ANSWERED;
	}
	return verdict;
}

#endif
