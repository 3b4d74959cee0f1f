/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Whether the flow of a packet is on this host: whether the kernel has a socket of its own for it, established, closing, a request, or
 * time-wait. A listening socket has all flows and none; it alone counts when the packet brings a SYN cookie that is valid here,
 * since a handshake under SYN cookies leaves nothing else, or when the flow has just brought one. Cookies of the fleet come
 * first, then the kernel's own: its secret is one per kernel, so of two backends in namespaces of one machine each takes the
 * other's for its own.
 */
#ifndef ANYHOP_PRESENCE_H
#define ANYHOP_PRESENCE_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "flow.h"
#ifdef ANYHOP_AGENT_WITH_COOKIES
#include "fleet-cookie.h"
#endif

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
	const struct anyhop_agent_handshake *brought;
	const __u8 *tcp = flow->tcp;

	if (brings_cookie(ctx, flow, listener)) {
		if (tcp && tcp + 20 <= (const __u8 *)(long)ctx->data_end)
			remember_handshake(flow, bpf_ktime_get_coarse_ns(), anyhop_get32(tcp + 8));
		return 1;
	}
	brought = bpf_map_lookup_elem(&handshakes, &flow->tuple);
	return brought && bpf_ktime_get_coarse_ns() < brought->at_ns + ANYHOP_AGENT_HANDSHAKE_NS;
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
	here = socket->state != BPF_TCP_LISTEN;
#ifdef ANYHOP_AGENT_WITH_COOKIES
	if (may_be_anew(ctx, flow, socket))
		flow->mark = mark_of(ctx, flow);
	here = here || flow->mark != ANYHOP_AGENT_MARK_NONE;
#endif
	here = here || is_admitted(ctx, flow, socket);
	bpf_sk_release(socket);
	return here;
}

#endif
