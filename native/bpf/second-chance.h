/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Second chance: a TCP packet with a key whose socket is not here goes to the alternate that the key names, once.
 *
 *   Ethernet | outer IP | GRE, key | inner   ->   Ethernet | outer IP | GRE | inner   ->   the alternate
 *
 * Once, because what is sent on has no key, and what has no key is delivered wherever it arrives: no loop is possible. It
 * takes the inner packet as the forwarder left it, with the same TTL.
 *
 * A flow is here when the kernel has a socket of its own for it: established, closing, a request, or time-wait. A listening
 * socket has all flows and none; it alone counts when the packet brings a SYN cookie that is valid here, since a handshake
 * under SYN cookies leaves nothing else, or when the flow has just brought one. Cookies are asked for last: a secret is one
 * per kernel, so of two backends in namespaces of one machine each takes the other's for its own.
 */
#ifndef ANYHOP_SECOND_CHANCE_H
#define ANYHOP_SECOND_CHANCE_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "anyhop/agent.h"
#include "anyhop/encapsulate.h"
#include "anyhop/parse.h"

/* 200,000 packets a second on each CPU, 20,000 at once: at some 250 ns each, 5 % of the CPU. A flood that matches no socket
 * costs the fleet that much and no more; what a change moves stays below, unless a new backend takes over a very busy one. */
const volatile struct anyhop_agent_rate rate SEC(".rodata.rate") = {.cost_ns = 5000, .burst_ns = 100000000};

/* The paths are not in the hash itself: the kernel reuses a replaced entry of a hash at once (preallocated or, since Linux 6.1,
 * not), so a reader could get another backend's path. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} keys SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct anyhop_agent_peer);
} peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct anyhop_agent_budget);
} budget SEC(".maps");

/* When a flow brought a SYN cookie that is valid here. Only the segment that ends the handshake has one, and the kernel hands
 * XDP a whole burst of packets before the first of them makes a socket: what follows in it would be taken for the
 * alternate's, which answers RST. No connection table: it is a second's memory of handshakes, only a listening socket's packets
 * are looked up in it, and what is forgotten has a socket by then. That is also why the next program starts without it. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, ANYHOP_AGENT_HANDSHAKES_MAX);
	__type(key, struct bpf_sock_tuple);
	__type(value, __u64); /* by the kernel's coarse monotonic clock, in ns */
} handshakes SEC(".maps");

/* The flow of a packet as the socket on the VIP sees it. */
struct flow {
	struct bpf_sock_tuple tuple;
	__u32 family;    /* 4 or 6; 0 for a packet that has no second chance */
	const __u8 *ip;  /* the packet's own headers, for its SYN cookie; NULL for an ICMP error */
	const __u8 *tcp;
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

/* Whether the packet's SYN cookie is one that this host gave out through the listening socket. */
static __always_inline int brings_cookie(struct xdp_md *ctx, const struct flow *flow, struct bpf_sock *listener)
{
	const __u8 *ip = flow->ip, *tcp = flow->tcp, *end = (const __u8 *)(long)ctx->data_end;

	if (!ip || !tcp || tcp + 20 > end)
		return 0;
	if (flow->family == 4)
		return ip + 20 <= end && !bpf_tcp_check_syncookie(listener, (void *)ip, 20, (void *)tcp, 20);
	return ip + 40 <= end && !bpf_tcp_check_syncookie(listener, (void *)ip, 40, (void *)tcp, 20);
}

/* Whether the flow has a handshake under a SYN cookie behind it that the listening socket may not have heard of yet. */
static __always_inline int is_admitted(struct xdp_md *ctx, const struct flow *flow, struct bpf_sock *listener)
{
	__u64 now, *since;

	if (brings_cookie(ctx, flow, listener)) {
		now = bpf_ktime_get_coarse_ns();
		bpf_map_update_elem(&handshakes, &flow->tuple, &now, BPF_ANY);
		return 1;
	}
	since = bpf_map_lookup_elem(&handshakes, &flow->tuple);
	return since && bpf_ktime_get_coarse_ns() < *since + ANYHOP_AGENT_HANDSHAKE_NS;
}

/* Whether the flow's socket is on this host, in the network namespace of the interface. */
static __noinline int is_here(struct xdp_md *ctx, struct flow *flow)
{
	struct bpf_sock *socket;
	int here;

	if (flow->family == 4)
		socket = bpf_skc_lookup_tcp(ctx, &flow->tuple, sizeof(flow->tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	else
		socket = bpf_skc_lookup_tcp(ctx, &flow->tuple, sizeof(flow->tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
	if (!socket)
		return 0;
	here = socket->state != BPF_TCP_LISTEN || is_admitted(ctx, flow, socket);
	bpf_sk_release(socket);
	return here;
}

/* Takes one packet off this CPU's budget; 0 when there is not enough. */
static __always_inline int afford(void)
{
	__u32 first = 0;
	struct anyhop_agent_budget *own = bpf_map_lookup_elem(&budget, &first);
	__u64 now = bpf_ktime_get_coarse_ns(), saved;

	if (!own)
		return 0;
	saved = own->saved_ns + (now - own->counted_ns);
	if (saved > rate.burst_ns)
		saved = rate.burst_ns;
	own->counted_ns = now;
	own->saved_ns = saved < rate.cost_ns ? saved : saved - rate.cost_ns;
	return saved >= rate.cost_ns;
}

/* The path in force to the backend that a key names; NULL for a key that names none. */
static __always_inline const struct anyhop_agent_path *find_path(__u32 key)
{
	const __u32 *row = bpf_map_lookup_elem(&keys, &key);
	const struct anyhop_agent_peer *peer = row ? bpf_map_lookup_elem(&peers, row) : NULL;

	if (!peer)
		return NULL;
	return *(const volatile __u32 *)&peer->in_force ? &peer->paths[1] : &peer->paths[0];
}

/* The verdict on a packet of `length` bytes that would be delivered, under `delivered`, if it had no key; `path` is set for
 * SENT_ON. */
static __always_inline int give_second_chance(struct xdp_md *ctx, struct flow *flow, __u32 key, __u32 length, int delivered,
					      const struct anyhop_agent_path **path)
{
	const struct anyhop_agent_path *found;

	if (flow->family == 0 || is_here(ctx, flow))
		return delivered;
	found = find_path(key);
	if (!found)
		return ANYHOP_AGENT_V_DROP_PEER_UNKNOWN;
	if (found->standing == ANYHOP_AGENT_PEER_HERE)
		return delivered;
	if (found->standing != ANYHOP_AGENT_PEER_PATH)
		return ANYHOP_AGENT_V_DROP_PEER_NO_NEXT_HOP;
	if (length + (found->path.flags & ANYHOP_PATH_OUTER_IPV6 ? 44 : 24) > found->path.mtu)
		return ANYHOP_AGENT_V_DROP_PEER_TOO_BIG;
	if (!afford())
		return ANYHOP_AGENT_V_DROP_PEER_RATE;
	*path = found;
	return ANYHOP_AGENT_V_SENT_ON;
}

static __always_inline int wrap_shape(struct xdp_md *ctx, const struct anyhop_choice *choice, const struct anyhop_inner *inner,
				      __u32 l2_length, __u32 ip_length, __u32 keyed)
{
	__u32 length = ANYHOP_OUTER_LENGTH(l2_length, ip_length, keyed);
	__u8 *out;

	if (bpf_xdp_adjust_head(ctx, 14 - (int)length))
		return -1;
	out = (__u8 *)(long)ctx->data;
	if (out + length > (__u8 *)(long)ctx->data_end)
		return -1;
	anyhop_write_outer(out, choice, inner, l2_length, ip_length, keyed);
	return 0;
}

/* Wraps a packet of `length` bytes that stands bare behind 14 bytes of Ethernet. Its padding goes: it would count against the
 * MTU of a larger outer header. */
static __always_inline int wrap(struct xdp_md *ctx, const struct anyhop_agent_path *to, __u32 family, __u32 length, __u32 label)
{
	const struct anyhop_choice choice = {.path = &to->path, .template = to->template, .hash = label};
	struct anyhop_inner inner = {.family = family, .length = length};
	const __u8 *frame = (const __u8 *)(long)ctx->data, *end = (const __u8 *)(long)ctx->data_end;
	__u32 padding = anyhop_distance(frame, end) - 14 - length;

	if (frame + 16 > end)
		return -1;
	inner.tos = family == 4 ? frame[15] : anyhop_load16(frame + 14) >> 4 & 0xff;
	if (padding && bpf_xdp_adjust_tail(ctx, -(int)padding))
		return -1;
#define WRAP(l2_length, ip_length, keyed) wrap_shape(ctx, &choice, &inner, l2_length, ip_length, keyed)
	ANYHOP_BY_SHAPE(&choice, WRAP);
#undef WRAP
}

#endif
