/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * SYN cookies of the fleet, as the agent's XDP program sees them: whether a packet ends a handshake that a forwarder answered, and
 * the mark by which the program at tc ingress (cookies.bpf.c) makes the kernel take it.
 *
 * Only the agent's variant with ANYHOP_AGENT_WITH_COOKIES has this: it needs a kernel that knows its own types (BTF).
 */
#ifndef ANYHOP_FLEET_COOKIE_H
#define ANYHOP_FLEET_COOKIE_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "anyhop/agent.h"
#include "anyhop/cookie.h"
#include "cookie-counts.h"
#include "flow.h"

const volatile struct anyhop_agent_cookie_keys cookie_keys SEC(".rodata.keys") = {};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct anyhop_agent_clock);
} clock SEC(".maps");

/* The kernel's own, by their names. */
struct tcp_sock {
	__u32 snd_una, snd_nxt;
} __attribute__((preserve_access_index));

#define TCP_RST_FLAG 0x04u
#define TCP_ACK_FLAG 0x10u

static __always_inline __u32 load32(const __u8 *at)
{
	return __builtin_bswap32(anyhop_get32(at));
}

/* Milliseconds of the fleet's clock. */
static __always_inline __u64 fleet_ms(void)
{
	__u32 first = 0;
	const struct anyhop_agent_clock *found = bpf_map_lookup_elem(&clock, &first);

	return found ? (bpf_ktime_get_coarse_ns() + found->offset_ns) / 1000000 : 0;
}

/* How far the timestamp that a client repeats may lie behind the clock, and ahead of it, if it is a cookie's: its lifetime, and
 * some more. In ms. */
#define AGE_MAX 70000u
#define AGE_AHEAD 20000u

/* Whether a packet could end a handshake, by itself: what comes behind reads more of the socket, or looks for one. Most packets of clients
 * with timestamps cannot: each server's own clock of them starts anywhere. */
static __always_inline int may_end_handshake(const __u8 *tcp, const __u8 *end)
{
	if ((tcp[13] & (TCP_ACK_FLAG | TCP_RST_FLAG)) != TCP_ACK_FLAG)
		return 0;
	if (tcp[12] < 0x80 || tcp + 32 > end || anyhop_get32(tcp + 20) != __builtin_bswap32(0x0101080a))
		return 1;
	return (__u32)fleet_ms() + AGE_AHEAD - load32(tcp + 28) <= AGE_AHEAD + AGE_MAX;
}

/* Whether the packet's acknowledgment is a cookie of this fleet, for this backend. */
static __noinline int brings_fleet_cookie(struct xdp_md *ctx, const struct flow *flow)
{
	const __u8 *ip = flow->ip, *tcp = flow->tcp, *end = (const __u8 *)(long)ctx->data_end;
	struct anyhop_cookie_flow handshake = {.family = flow->family, .owner = flow->owner};
	__u32 epoch = (__u32)(fleet_ms() >> ANYHOP_COOKIE_EPOCH_SHIFT), cookie;

	if (!ip || !tcp || tcp + 20 > end || (tcp[13] & (TCP_ACK_FLAG | TCP_RST_FLAG)) != TCP_ACK_FLAG)
		return 0;
	/* The program at tc ingress knows no other place of the header; no forwarder answers a SYN with options of IP. */
	if (ip + 40 > end || tcp != ip + (flow->family == 4 ? 20 : 40))
		return 0;
	if (flow->family == 4) {
		handshake.addresses[0] = anyhop_get64(ip + 12);
	} else {
		for (int i = 0; i < 4; i++)
			handshake.addresses[i] = anyhop_get64(ip + 8 + 8 * i);
	}
	handshake.ports = anyhop_get32(tcp);
	handshake.isn = load32(tcp + 4) - 1;
	cookie = load32(tcp + 8) - 1;
	for (__u32 i = 0; i < 2 && i < cookie_keys.count; i++) {
		const __u64 key[2] = {cookie_keys.words[i][0], cookie_keys.words[i][1]};

		if (anyhop_cookie_check(key, &handshake, epoch, cookie))
			return 1;
	}
	return 0;
}

/* How far beyond what a connection waits for an acknowledgment still counts as its own: more than packets overtake each other. Beyond
 * it only costs a look for a cookie; of clients that open anew, one in 30,000 has a cookie within it, and its first attempt fails. */
#define NEAR (1u << 16)

/* Whether a packet may belong to a connection that its socket knows nothing of, since its client has opened it anew, or a SYN
 * that came through was sent again and answered. */
static __always_inline int may_be_anew(struct xdp_md *ctx, const struct flow *flow, struct bpf_sock *socket)
{
	const __u8 *tcp = flow->tcp;
	struct tcp_sock *full;
	__u32 una;

	if (!tcp || tcp + 20 > (const __u8 *)(long)ctx->data_end)
		return 0;
	if (socket->state == BPF_TCP_LISTEN || socket->state == BPF_TCP_TIME_WAIT || socket->state == BPF_TCP_NEW_SYN_RECV)
		return 1;
	/* What is read of the socket from here on are two more cache lines of it: 50 ns where TCP has not read them yet. */
	if (!may_end_handshake(tcp, (const __u8 *)(long)ctx->data_end))
		return 0;
	full = bpf_skc_to_tcp_sock(socket);
	if (!full)
		return 0;
	una = full->snd_una;
	return load32(tcp + 8) - (una - NEAR) > full->snd_nxt - una + NEAR;
}

/* enum anyhop_agent_mark_kind of a packet that may belong to such a connection. */
static __always_inline __u32 mark_of(struct xdp_md *ctx, const struct flow *flow)
{
	const struct anyhop_agent_handshake *brought = bpf_map_lookup_elem(&handshakes, &flow->tuple);
	__u64 now = bpf_ktime_get_coarse_ns(), age = brought ? now - brought->at_ns : ~0ull;
	const __u8 *tcp = flow->tcp;
	__u32 acknowledgment;

	if (!tcp || tcp + 20 > (const __u8 *)(long)ctx->data_end)
		return ANYHOP_AGENT_MARK_NONE;
	acknowledgment = anyhop_get32(tcp + 8);
	/* Another acknowledgment may be of a client that has opened anew already. */
	if (brought && age < ANYHOP_AGENT_BURST_NS && acknowledgment == brought->acknowledgment)
		return ANYHOP_AGENT_MARK_FOLLOWS;
	if (brings_fleet_cookie(ctx, flow)) {
		remember_handshake(flow, now, acknowledgment);
		return ANYHOP_AGENT_MARK_COOKIE;
	}
	return age < ANYHOP_AGENT_HANDSHAKE_NS ? ANYHOP_AGENT_MARK_FOLLOWS : ANYHOP_AGENT_MARK_NONE;
}

/* Marks a packet that stands bare. Many drivers have no room for that, and only by trying one finds out: SYNs try it before the first
 * cookie comes. */
static __always_inline int leave_mark(struct xdp_md *ctx, __u32 kind)
{
	__u32 refused = ANYHOP_AGENT_C_REFUSED_DRIVER;
	struct anyhop_agent_mark *mark;
	__u64 *counter;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*mark))) {
		counter = bpf_map_lookup_elem(&cookies, &refused);
		if (counter)
			++*counter;
		return kind == ANYHOP_AGENT_MARK_TRIAL ? 0 : -1;
	}
	if (kind == ANYHOP_AGENT_MARK_TRIAL)
		return bpf_xdp_adjust_meta(ctx, sizeof(*mark));
	mark = (struct anyhop_agent_mark *)(long)ctx->data_meta;
	if ((void *)(mark + 1) > (void *)(long)ctx->data)
		return -1;
	mark->magic = ANYHOP_AGENT_MARK_MAGIC;
	mark->kind = kind;
	return 0;
}

#endif
