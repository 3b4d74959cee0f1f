/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Second chance: a TCP packet whose socket is not here goes to the next alternate that its key names.
 *
 *   Ethernet | outer IP | GRE, key | inner   ->   Ethernet | outer IP | GRE, key with a higher index | inner   ->   the alternate
 *
 * The index only rises, and what has no alternate left is delivered: no loop is possible. Whoever gets a packet at index 1 or more
 * checks that the id there is its own, so that agents of different configs lose a packet and do not misdeliver it. An alternate
 * without an agent is sent to without the key, and so is each one by a key of the former format. The inner packet stays as the
 * forwarder left it, with the same TTL.
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
	__type(value, struct anyhop_agent_ids);
} ids SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct anyhop_agent_peer);
} peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ANYHOP_AGENT_BUDGETS);
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

enum key_format {
	KEY_NONE,
	KEY_ALTERNATES,
	KEY_ADDRESS, /* of the former version */
};

/* A packet's GRE key. */
struct key {
	enum key_format format;
	__u32 word; /* KEY_ALTERNATES: in host order; KEY_ADDRESS: raw */
};

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
static __always_inline int afford(__u32 which)
{
	struct anyhop_agent_budget *own = bpf_map_lookup_elem(&budget, &which);
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

/* GRE's bit 12: the key is of this format. */
#define GRE_ALTERNATES 0x0008u
#define ID_BITS 15
#define INDEX_SHIFT (2 * ID_BITS)

/* The id at index 1 or 2 of a key. */
static __always_inline __u32 id_at(__u32 word, __u32 index)
{
	return word >> (index == 1 ? ID_BITS : 0) & (ANYHOP_AGENT_IDS - 1);
}

/* enum anyhop_agent_place of the backend that has this id. */
static __always_inline __u32 place_of(__u32 id)
{
	__u32 first = 0;
	const struct anyhop_agent_ids *all = bpf_map_lookup_elem(&ids, &first);

	return all ? all->places[id & (ANYHOP_AGENT_IDS - 1)] : ANYHOP_AGENT_PLACE_NONE;
}

/* Whether the key names somebody behind its index. */
static __always_inline int has_next(const struct key *key)
{
	__u32 index = key->word >> INDEX_SHIFT;

	return key->format == KEY_ADDRESS ||
	       (key->format == KEY_ALTERNATES && index < 2 && id_at(key->word, index + 1));
}

/* The place of the next alternate on another host, to which the key's index is raised; PLACE_HERE when none is left. */
static __always_inline __u32 next_place(struct key *key)
{
	__u32 word = key->word, place;
	const __u32 *found;

	if (key->format == KEY_ADDRESS) {
		found = bpf_map_lookup_elem(&keys, &word);
		return found ? *found : ANYHOP_AGENT_PLACE_NONE;
	}
	for (__u32 index = 1; index <= 2; index++) {
		if (index <= word >> INDEX_SHIFT)
			continue;
		if (!id_at(word, index))
			break;
		place = place_of(id_at(word, index));
		if (place != ANYHOP_AGENT_PLACE_HERE) {
			key->word = (word & ((1u << INDEX_SHIFT) - 1)) | index << INDEX_SHIFT;
			return place;
		}
	}
	return ANYHOP_AGENT_PLACE_HERE;
}

/* The path in force to the backend of a row of `peers`. */
static __always_inline const struct anyhop_agent_path *path_of(__u32 row)
{
	const struct anyhop_agent_peer *peer = bpf_map_lookup_elem(&peers, &row);

	if (!peer)
		return NULL;
	return *(const volatile __u32 *)&peer->in_force ? &peer->paths[1] : &peer->paths[0];
}

/* Whether a packet goes to the path's backend with its key. */
static __always_inline __u32 goes_keyed(const struct key *key, const struct anyhop_agent_path *path)
{
	return key->format == KEY_ALTERNATES && path->path.flags & ANYHOP_PATH_AGENT;
}

/* The verdict on a packet of `length` bytes that would be delivered, under `delivered`, if it had no key. For SENT_ON, `path` is
 * set, and the key becomes what is sent. */
static __always_inline int give_second_chance(struct xdp_md *ctx, struct flow *flow, struct key *key, __u32 length, int delivered,
					      const struct anyhop_agent_path **path)
{
	__u32 index = key->format == KEY_ALTERNATES ? key->word >> INDEX_SHIFT : 0, place;
	const struct anyhop_agent_path *found;

	if (index) {
		if (index == 3 || !id_at(key->word, index))
			return ANYHOP_AGENT_V_DROP_KEY;
		if (place_of(id_at(key->word, index)) != ANYHOP_AGENT_PLACE_HERE)
			return ANYHOP_AGENT_V_DROP_ID_STALE;
	}
	if (flow->family == 0 || !has_next(key) || is_here(ctx, flow))
		return delivered;
	place = next_place(key);
	if (place == ANYHOP_AGENT_PLACE_HERE)
		return delivered;
	found = place ? path_of(place - ANYHOP_AGENT_PLACE_ROWS) : NULL;
	if (!found)
		return ANYHOP_AGENT_V_DROP_PEER_UNKNOWN;
	if (!found->path.mtu)
		return ANYHOP_AGENT_V_DROP_PEER_NO_NEXT_HOP;
	if (length + (found->path.flags & ANYHOP_PATH_OUTER_IPV6 ? 44 : 24) + (goes_keyed(key, found) ? 4 : 0) > found->path.mtu)
		return ANYHOP_AGENT_V_DROP_PEER_TOO_BIG;
	if (!afford(index ? ANYHOP_AGENT_BUDGET_RELAYED : ANYHOP_AGENT_BUDGET_FORWARDED))
		return ANYHOP_AGENT_V_DROP_PEER_RATE;
	*path = found;
	return ANYHOP_AGENT_V_SENT_ON;
}

static __always_inline int rewrite_shape(struct xdp_md *ctx, struct anyhop_choice *choice, struct anyhop_inner *inner,
					 __u32 l2_length, __u32 ip_length)
{
	__u32 length = ANYHOP_OUTER_LENGTH(l2_length, ip_length, 1), first;
	__u8 *out = (__u8 *)(long)ctx->data;

	if (out + length > (__u8 *)(long)ctx->data_end)
		return -1;
	if (ip_length == 20) {
		inner->tos = out[l2_length + 1];
	} else {
		first = anyhop_load16(out + l2_length) << 16 | anyhop_load16(out + l2_length + 2);
		inner->tos = first >> 20 & 0xff;
		choice->hash = first & 0xfffff;
	}
	anyhop_write_outer(out, choice, inner, l2_length, ip_length, 1);
	return 0;
}

/* Sends a frame on by other outer headers in the place of its own, which have the same shape: nothing moves. What was marked on the
 * way stays (DSCP, ECN, flow label); the last host brings it into the inner packet. */
static __always_inline int rewrite(struct xdp_md *ctx, const struct anyhop_agent_path *to, __u32 family, __u32 length, __u32 word)
{
	struct anyhop_choice choice = {.path = &to->path, .template = to->template, .key = word};
	struct anyhop_inner inner = {.family = family, .length = length};

#define REWRITE(l2_length, ip_length, keyed) rewrite_shape(ctx, &choice, &inner, l2_length, ip_length)
	ANYHOP_BY_SHAPE(&choice, REWRITE);
#undef REWRITE
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
static __always_inline int wrap(struct xdp_md *ctx, const struct anyhop_agent_path *to, __u32 family, __u32 length,
				const struct key *key, __u32 label)
{
	const struct anyhop_choice choice = {
		.path = &to->path,
		.template = to->template,
		.hash = label,
		.key = goes_keyed(key, to) ? key->word : 0,
	};
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
