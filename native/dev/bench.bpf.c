// SPDX-License-Identifier: Dual MIT/GPL
/*
 * Measures an XDP program that changes its packet, by BPF_PROG_TEST_RUN.
 *
 * A test run repeats a program on one frame and does not undo what the program did. So a wrapper runs first: it takes off
 * what was added in front, writes again what was overwritten, makes it a packet of the next flow, and tail-calls the
 * program that is measured, the subject. The wrapper is part of every figure, so it is as short as can be: it writes only
 * what a forwarder destroys (Ethernet, TTL, checksum) and what tells the flows apart (addresses, ports).
 *
 *   subject     any program, in `subject[0]`
 *   floor       bench_grow: moves the packet's start 24 bytes ahead, cuts padding off, and sends it back: what no forwarder can
 *               do without
 *   do nothing  bench_pass: XDP_PASS, which also is what the host's packets are measured against
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bench.h"
#include "flows.h"

#define ETHERNET 14
#define IPV4 20
#define IPV6 40
#define GROWN 24 /* IPv4 and GRE */

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} subject SEC(".maps");

struct anyhop_bench_plan plan;

/* The packet as it came in, at least `size` bytes of it. */
static __always_inline __u8 *restore(struct xdp_md *ctx, __u32 size)
{
	__u32 there = (__u32)(ctx->data_end - ctx->data), added;
	__u8 *packet;

	asm volatile("" : "+r"(there)); /* or the sum is made with a pointer, which the verifier refuses */
	added = there + plan.cut_off - plan.length;
	if (added && bpf_xdp_adjust_head(ctx, (int)added))
		return NULL;
	if (plan.cut_off && bpf_xdp_adjust_tail(ctx, (int)plan.cut_off))
		return NULL;
	plan.cut_off = plan.padding;
	packet = (void *)(long)ctx->data;
	if (packet + size > (__u8 *)(long)ctx->data_end)
		return NULL;
	*(__u64 *)packet = plan.macs;
	*(__u32 *)(packet + 8) = plan.mac_tail;
	*(__u16 *)(packet + 12) = plan.ethertype;
	return packet;
}

struct flow {
	__u32 client;
	__u16 port; /* network order */
	const struct anyhop_bench_target *target;
};

static __always_inline struct flow next_flow(void)
{
	__u32 number = anyhop_scatter(plan.next++) & plan.flow_mask;

	return (struct flow) {
		.client = anyhop_client(plan.client, number, ANYHOP_CLIENT_PORTS_BITS),
		.port = __builtin_bswap16(anyhop_client_port(number, ANYHOP_CLIENT_PORTS_BITS)),
		.target = &plan.targets[anyhop_scatter(number) >> 27],
	};
}
_Static_assert(ANYHOP_BENCH_TARGETS == 1u << (32 - 27), "the top bits choose");

/* Both ports, for one store, as everything else that a subject may read as one word: it would otherwise wait until both stores, and
 * all that came before them, had reached the cache. No packet that a card has written makes anybody wait so. */
static __always_inline __u32 ports_of(const struct flow *flow)
{
	return flow->port | (__u32)flow->target->port << 16;
}

SEC("xdp")
int bench_ipv4(struct xdp_md *ctx)
{
	__u8 *packet = restore(ctx, ETHERNET + IPV4 + 4);
	struct flow flow;
	__u8 *ip;

	if (!packet)
		return XDP_ABORTED;
	flow = next_flow();
	ip = packet + ETHERNET;
	*(__u32 *)(ip + 8) = plan.ttl_protocol | (__u32)flow.target->checksum << 16;
	*(__u32 *)(ip + 12) = flow.client;
	*(__u32 *)(ip + 16) = *(const __u32 *)flow.target->address;
	*(__u32 *)(ip + 20) = ports_of(&flow);
	bpf_tail_call(ctx, &subject, 0);
	return XDP_ABORTED;
}

SEC("xdp")
int bench_ipv6(struct xdp_md *ctx)
{
	__u8 *packet = restore(ctx, ETHERNET + IPV6 + 4);
	struct flow flow;
	__u8 *ip;

	if (!packet)
		return XDP_ABORTED;
	flow = next_flow();
	ip = packet + ETHERNET;
	*(__u64 *)ip = plan.ipv6_start;
	*(__u32 *)(ip + 20) = flow.client;
	*(__u64 *)(ip + 24) = *(const __u64 *)flow.target->address;
	*(__u64 *)(ip + 32) = *(const __u64 *)(flow.target->address + 8);
	*(__u32 *)(ip + 40) = ports_of(&flow);
	bpf_tail_call(ctx, &subject, 0);
	return XDP_ABORTED;
}

SEC("xdp")
int bench_grow(struct xdp_md *ctx)
{
	if (plan.padding && bpf_xdp_adjust_tail(ctx, -(int)plan.padding))
		return XDP_ABORTED;
	return bpf_xdp_adjust_head(ctx, -GROWN) ? XDP_ABORTED : XDP_TX;
}

SEC("xdp")
int bench_pass(struct xdp_md *ctx)
{
	return plan.padding && bpf_xdp_adjust_tail(ctx, -(int)plan.padding) ? XDP_ABORTED : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
