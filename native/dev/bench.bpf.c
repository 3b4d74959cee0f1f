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
 *   do nothing  bench_pass: XDP_PASS, which also is what the host's packets are measured against; bench_drop: XDP_DROP; bench_back: XDP_TX
 *
 * bench_ipv4 and bench_ipv6 have few clients with many ports each. bench_sources4 and 6 have another source for every packet, up to 2^20,
 * spread over as many networks: what lists and rates by source are measured with. bench_whole4 and 6 do the same with a subject
 * that turns the packet into an answer: they write the whole frame.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bench.h"
#include "flows.h"

#define ETHERNET 14
#define IPV4 20
#define IPV6 40
#define TCP 20
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

/* The source of a number; bench/xdp/sources.ts does the same. IPv4: octets of 224 to 255 in front become 96 to 127, and 0 becomes 2.
 * Branches would be mispredicted. */
static __always_inline __u32 source4(__u32 number)
{
	__u32 word = (__u32)plan.source_fixed[0] | ((__u32)plan.source_bits[0] & anyhop_mix(number));

	word ^= word & word << 1 & word << 2 & 0x80;
	return word | (((word & 0xff) - 1) >> 8 & 2);
}

/* The checksum of the IPv4 header with this source. */
static __always_inline __u16 checksum_with(__u32 source)
{
	__u32 sum = (__u16)~plan.targets[0].checksum + (source & 0xffff) + (source >> 16);

	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)~(sum + (sum >> 16));
}

static __always_inline void write_source6(__u8 *source, __u32 number)
{
	__u64 spread = (__u64)anyhop_mix(~number) << 32 | anyhop_mix(number);

	*(__u64 *)source = plan.source_fixed[0] | (plan.source_bits[0] & spread);
	*(__u64 *)(source + 8) = plan.source_fixed[1] | (plan.source_bits[1] & spread);
}

static __always_inline __u16 port_of_source(__u32 number)
{
	return __builtin_bswap16(anyhop_client_port(number, ANYHOP_CLIENT_PORTS_BITS));
}

/* TCP's checksums stay those of the first packet: no forwarder verifies them. */
SEC("xdp")
int bench_sources4(struct xdp_md *ctx)
{
	__u8 *packet = restore(ctx, ETHERNET + IPV4 + 4);
	__u32 number = plan.next++ & plan.flow_mask, source = source4(number);
	__u8 *ip;

	if (!packet)
		return XDP_ABORTED;
	ip = packet + ETHERNET;
	*(__u32 *)(ip + 8) = plan.ttl_protocol | (__u32)checksum_with(source) << 16;
	*(__u32 *)(ip + 12) = source;
	*(__u32 *)(ip + 20) = port_of_source(number) | (__u32)plan.targets[0].port << 16;
	bpf_tail_call(ctx, &subject, 0);
	return XDP_ABORTED;
}

SEC("xdp")
int bench_sources6(struct xdp_md *ctx)
{
	__u8 *packet = restore(ctx, ETHERNET + IPV6 + 4);
	__u32 number = plan.next++ & plan.flow_mask;
	__u8 *ip;

	if (!packet)
		return XDP_ABORTED;
	ip = packet + ETHERNET;
	*(__u64 *)ip = plan.ipv6_start;
	write_source6(ip + 8, number);
	*(__u32 *)(ip + 40) = port_of_source(number) | (__u32)plan.targets[0].port << 16;
	bpf_tail_call(ctx, &subject, 0);
	return XDP_ABORTED;
}

/* The frame as it came in, all of it, whichever end the subject has moved. */
static __always_inline __u8 *restore_whole(struct xdp_md *ctx)
{
	__u8 *packet, *end;
	__u32 there;

	*(volatile __u64 *)&plan.at = (__u64)(long)ctx->data; /* read again, it is a number */
	if (!plan.start)
		plan.start = plan.at;
	if (plan.at != plan.start && bpf_xdp_adjust_head(ctx, (int)(plan.start - plan.at)))
		return NULL;
	there = (__u32)(ctx->data_end - ctx->data);
	asm volatile("" : "+r"(there));
	if (there != plan.length && bpf_xdp_adjust_tail(ctx, (int)(plan.length - there)))
		return NULL;
	packet = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (packet + 60 > end)
		return NULL;
#pragma unroll
	for (__u32 at = 0; at < 56; at += 8)
		*(__u64 *)(packet + at) = plan.whole[at / 8];
	*(__u32 *)(packet + 56) = (__u32)plan.whole[7];
	if (packet + 62 > end)
		return packet;
	*(__u16 *)(packet + 60) = (__u16)(plan.whole[7] >> 32);
#pragma unroll
	for (__u32 at = 62; at + 4 <= ANYHOP_BENCH_WHOLE; at += 4) {
		if (packet + at + 4 > end)
			break;
		*(__u32 *)(packet + at) = *(__u32 *)((__u8 *)plan.whole + at);
	}
	return packet;
}

/* A frame that a card has written lies in the cache as a whole. So nobody may have to wait until what was written here in other words than
 * those that are read has got there: a locked operation waits for that, at the wrapper's expense. */
static __always_inline void settle(void)
{
	__sync_fetch_and_add(&plan.settled, 1);
}

SEC("xdp")
int bench_whole4(struct xdp_md *ctx)
{
	__u8 *packet = restore_whole(ctx);
	__u32 number = plan.next++ & plan.flow_mask, source = source4(number);

	if (!packet)
		return XDP_ABORTED;
	*(__u16 *)(packet + ETHERNET + 10) = checksum_with(source);
	*(__u32 *)(packet + ETHERNET + 12) = source;
	*(__u16 *)(packet + ETHERNET + IPV4) = port_of_source(number);
	*(__u32 *)(packet + ETHERNET + IPV4 + 4) = anyhop_mix(~number);
	settle();
	bpf_tail_call(ctx, &subject, 0);
	return XDP_ABORTED;
}

SEC("xdp")
int bench_whole6(struct xdp_md *ctx)
{
	__u8 *packet = restore_whole(ctx);
	__u32 number = plan.next++ & plan.flow_mask;

	if (!packet || packet + ETHERNET + IPV6 + TCP > (__u8 *)(long)ctx->data_end)
		return XDP_ABORTED;
	write_source6(packet + ETHERNET + 8, number);
	*(__u16 *)(packet + ETHERNET + IPV6) = port_of_source(number);
	*(__u32 *)(packet + ETHERNET + IPV6 + 4) = anyhop_mix(~number);
	settle();
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

SEC("xdp")
int bench_drop(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_DROP;
}

SEC("xdp")
int bench_back(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_TX;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
