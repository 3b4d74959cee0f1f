// SPDX-License-Identifier: Dual MIT/GPL
/*
 * Measures the agent's program by BPF_PROG_TEST_RUN, as bench.bpf.c does a forwarder's: a wrapper puts the frame back as it came in,
 * makes it a packet of the next flow, and tail-calls the subject.
 *
 *   subject     any program, in `subject[0]`
 *   floor       bench_shrink: moves the packet's start behind the outer headers and passes it on: what no agent can do without
 *   do nothing  bench_nothing: XDP_PASS
 *
 * The agent leaves all of the packet behind the inner headers alone, so only its first bytes are written again.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bench-agent.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} subject SEC(".maps");

struct anyhop_agent_plan plan;

SEC("xdp")
int bench_agent(struct xdp_md *ctx)
{
	int added = (int)(ctx->data_end - ctx->data) - (int)plan.length;
	const struct anyhop_agent_flow *flow;
	__u8 *packet, *client, *port, *end;
	__u64 *words;

	if (added && bpf_xdp_adjust_head(ctx, added))
		return XDP_ABORTED;
	packet = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	client = packet + (plan.client_at & (ANYHOP_AGENT_OFFSET_MAX - 1));
	port = packet + (plan.port_at & (ANYHOP_AGENT_OFFSET_MAX - 1));
	if (packet + ANYHOP_AGENT_HEAD > end || client + 4 > end || port + 2 > end)
		return XDP_ABORTED;
	words = (__u64 *)packet;
	for (__u32 i = 0; i < ANYHOP_AGENT_HEAD / 8; i++)
		words[i] = plan.head[i];
	flow = &plan.flows[plan.next++ & plan.flow_mask & (ANYHOP_AGENT_FLOWS - 1)];
	*(__u32 *)client = flow->client;
	*(__u16 *)port = flow->port;
	bpf_tail_call(ctx, &subject, 0);
	return XDP_ABORTED;
}

SEC("xdp")
int bench_shrink(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_head(ctx, (int)(plan.outer & 63)) ? XDP_ABORTED : XDP_PASS;
}

SEC("xdp")
int bench_nothing(struct xdp_md *ctx __attribute__((unused)))
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
