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
 */
#ifndef ANYHOP_SECOND_CHANCE_H
#define ANYHOP_SECOND_CHANCE_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "anyhop/agent.h"
#include "anyhop/encapsulate.h"
#include "anyhop/parse.h"
#include "presence.h"

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
#ifdef ANYHOP_AGENT_WITH_COOKIES
	int here;
#endif

	if (index) {
		if (index == 3 || !id_at(key->word, index))
			return ANYHOP_AGENT_V_DROP_KEY;
		if (place_of(id_at(key->word, index)) != ANYHOP_AGENT_PLACE_HERE)
			return ANYHOP_AGENT_V_DROP_ID_STALE;
	}
#ifdef ANYHOP_AGENT_WITH_COOKIES
	here = flow->family == 0 || is_here(ctx, flow);
	if (flow->mark == ANYHOP_AGENT_MARK_COOKIE)
		return ANYHOP_AGENT_V_DELIVERED_COOKIE;
	if (here || !has_next(key))
		return delivered;
#else
	if (flow->family == 0 || !has_next(key) || is_here(ctx, flow))
		return delivered;
#endif
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
