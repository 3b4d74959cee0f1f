/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The flow of a packet, by which its socket is looked up, and the memory of flows that have just brought a SYN cookie.
 */
#ifndef ANYHOP_FLOW_H
#define ANYHOP_FLOW_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "anyhop/agent.h"
#include "anyhop/bytes.h"
#include "anyhop/encapsulate.h"

/* The flow of a packet as the socket on the VIP sees it. */
struct flow {
	struct bpf_sock_tuple tuple;
	__u32 family;    /* 4 or 6; 0 for a packet whose socket nothing asks for */
	__u32 mark;      /* enum anyhop_agent_mark_kind: what is_here found out beside */
	const __u8 *ip;  /* the packet's own headers, for its SYN cookie; NULL for an ICMP error */
	const __u8 *tcp;
	__u64 owner;     /* of a SYN cookie of the fleet: the outer destination */
};

/* Addresses and ports as they lie in a packet; `ports` is a raw word: of the client, of the service. An IPv4 flow has all of the
 * tuple's other bytes zero, as a key; no IPv6 flow looks like it, whose port of the service lies there. */
static __always_inline void set_flow(struct flow *flow, __u32 family, const __u8 *client, const __u8 *vip, __u32 ports)
{
	flow->family = family;
	if (family == 4) {
		__builtin_memset(&flow->tuple, 0, sizeof(flow->tuple));
		flow->tuple.ipv4.saddr = anyhop_get32(client);
		flow->tuple.ipv4.daddr = anyhop_get32(vip);
		flow->tuple.ipv4.sport = (__u16)ports;
		flow->tuple.ipv4.dport = (__u16)(ports >> 16);
		return;
	}
	for (int i = 0; i < 4; i++) {
		flow->tuple.ipv6.saddr[i] = anyhop_get32(client + 4 * i);
		flow->tuple.ipv6.daddr[i] = anyhop_get32(vip + 4 * i);
	}
	flow->tuple.ipv6.sport = (__u16)ports;
	flow->tuple.ipv6.dport = (__u16)(ports >> 16);
}

/* What spreads flows in the underlay: the flow label of an outer IPv6 header. Nothing is kept by it, so it needs no secret. */
static __always_inline __u32 label_of(const struct flow *flow)
{
	if (flow->family == 4)
		return anyhop_vip_hash(flow->tuple.ipv4.saddr, flow->tuple.ipv4.sport, 0, 0);
	return anyhop_vip_hash(flow->tuple.ipv6.saddr[1], flow->tuple.ipv6.saddr[3], flow->tuple.ipv6.sport, 0);
}

/* Flows that brought a SYN cookie that is valid here, and when. Only the segment that ends the handshake has one, and the kernel hands
 * XDP a whole burst of packets before the first of them makes a socket: what follows in it would be taken for the
 * alternate's, which answers RST. No connection table: it is a second's memory of handshakes, only a listening socket's packets
 * are looked up in it, and what is forgotten has a socket by then. That is also why the next program starts without it. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, ANYHOP_AGENT_HANDSHAKES_MAX);
	__type(key, struct bpf_sock_tuple);
	__type(value, struct anyhop_agent_handshake);
} handshakes SEC(".maps");

/* `acknowledgment`: raw. */
static __always_inline void remember_handshake(const struct flow *flow, __u64 now, __u32 acknowledgment)
{
	const struct anyhop_agent_handshake brought = {.at_ns = now, .acknowledgment = acknowledgment};

	bpf_map_update_elem(&handshakes, &flow->tuple, &brought, BPF_ANY);
}

#endif
