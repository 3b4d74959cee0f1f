// SPDX-License-Identifier: Dual MIT/GPL
/*
 * Makes packets: run with BPF_F_TEST_XDP_LIVE_FRAMES, the kernel hands this program one frame after the other and sends
 * what it redirects out of an interface.
 *
 * Frames are used again without being put back, so every header is written anew. Which flow a packet belongs to, its
 * target and its kind follow from its number; a flow keeps its target. Spoofed packets belong to no flow: source, port and
 * sequence numbers are random. Checksums are right.
 *
 * With a rate, packets are due at fixed times, and a run that comes early makes none: smooth, at the price of a core that
 * never rests. Whoever is more than a millisecond late gives up what was missed.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "flows.h"
#include "generator.h"

struct anyhop_generator_plan plan;

static __always_inline int is_due(void)
{
	__u64 now, due;

	if (!plan.gap)
		return 1;
	now = bpf_ktime_get_ns();
	if (!plan.made)
		plan.due_from_ns = now;
	due = plan.due_from_ns + (plan.made * plan.gap >> 10);
	if (now < due)
		return 0;
	if (now - due > ANYHOP_GENERATOR_LATE_NS)
		plan.due_from_ns += now - due;
	return 1;
}

/* A look at the clock costs as much as half a packet, so it is one in many. */
static __always_inline __u32 next_number(void)
{
	__u32 number = (__u32)plan.made++;

	if (number % ANYHOP_GENERATOR_STAMP == 0 || plan.made == plan.count) {
		plan.last_ns = bpf_ktime_get_ns();
		if (!plan.first_ns)
			plan.first_ns = plan.last_ns;
	}
	return number;
}

/* All of the head, or the part of it that the shortest frame has. */
static __always_inline int write_head(__u8 *packet, const __u8 *end, const __u8 *head)
{
	if (packet + ANYHOP_GENERATOR_SHORTEST > end)
		return 0;
#pragma unroll
	for (__u32 at = 0; at < ANYHOP_GENERATOR_SHORTEST; at += 4)
		*(__u32 *)(packet + at) = *(const __u32 *)(head + at);
	if (packet + ANYHOP_GENERATOR_HEAD > end)
		return 1;
#pragma unroll
	for (__u32 at = ANYHOP_GENERATOR_SHORTEST; at < ANYHOP_GENERATOR_HEAD; at += 4)
		*(__u32 *)(packet + at) = *(const __u32 *)(head + at);
	return 1;
}

static __always_inline int write16(__u8 *packet, const __u8 *end, __u32 at, __u16 value)
{
	packet += at & 127;
	if (packet + 2 > end)
		return 0;
	*(__u16 *)packet = value;
	return 1;
}

/* What of a spoofed packet's head lies behind the shortest frame: options end anywhere. */
static __always_inline void write_options(__u8 *packet, const __u8 *end, const __u8 *head)
{
#pragma unroll
	for (__u32 at = ANYHOP_GENERATOR_SHORTEST; at < ANYHOP_GENERATOR_OPTIONS; at += 2) {
		if (packet + at + 2 > end)
			return;
		*(__u16 *)(packet + at) = *(const __u16 *)(head + at);
	}
}

static __always_inline __u16 folded(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)~((sum & 0xffff) + (sum >> 16));
}

static __always_inline int write32(__u8 *packet, const __u8 *end, __u32 at, __u32 value)
{
	return write16(packet, end, at, __builtin_bswap16((__u16)(value >> 16))) &&
	       write16(packet, end, at + 2, __builtin_bswap16((__u16)value));
}

static __always_inline __u32 halves(__u32 word)
{
	return (word >> 16) + (word & 0xffff);
}

/* The source, the port and the numbers of a packet that comes from anywhere, and its checksums. */
static __always_inline int write_spoofed(__u8 *packet, const __u8 *end, const struct anyhop_generator_packet *p,
					 __u32 number)
{
	__u32 random = anyhop_mix(number), client = random & plan.spoof_mask, sequence = anyhop_mix(random ^ 0x9e3779b1u);
	__u32 acknowledged = anyhop_mix(sequence), port = 1024u + (acknowledged % 64512u);
	__u32 sum = p->sum + halves(client) + port;

	if (p->sequence_at) {
		sum += halves(sequence);
		if (!write32(packet, end, p->sequence_at, sequence))
			return 0;
		if (p->acknowledges) {
			sum += halves(acknowledged);
			if (!write32(packet, end, p->sequence_at + 4u, acknowledged))
				return 0;
		}
	}
	if (p->ip_sum_at &&
	    !write16(packet, end, p->ip_sum_at, __builtin_bswap16(folded(p->ip_sum + halves(client)))))
		return 0;
	return write32(packet, end, p->client_at, __builtin_bswap32(p->client) | client) &&
	       write16(packet, end, p->port_at, __builtin_bswap16((__u16)port)) &&
	       write16(packet, end, p->sum_at, __builtin_bswap16(folded(sum)));
}

SEC("xdp")
int generate(struct xdp_md *ctx)
{
	const struct anyhop_generator_packet *p;
	__u32 flow, target, kind, number, client, port;
	__u8 *packet, *end;

	if (plan.made >= plan.count || !is_due())
		return XDP_DROP;
	number = next_number();
	flow = plan.spoof_mask ? anyhop_mix(~number) : anyhop_scatter(number) & plan.flow_mask;
	/* By other bits than those which number the flow. */
	target = (anyhop_scatter(flow) >> 16) * plan.targets >> 16;
	kind = anyhop_scatter(number ^ number >> 15) >> 28;
	p = &plan.packets[(target * ANYHOP_GENERATOR_KINDS + kind) % ANYHOP_GENERATOR_PACKETS];

	if (p->length != plan.length && bpf_xdp_adjust_tail(ctx, (int)(p->length - plan.length)))
		return XDP_ABORTED;
	packet = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (!write_head(packet, end, p->head))
		return XDP_ABORTED;
	if (plan.spoof_mask) {
		write_options(packet, end, p->head);
		if (!write_spoofed(packet, end, p, number))
			return XDP_ABORTED;
		return (int)bpf_redirect(plan.interface_index, 0);
	}
	client = anyhop_client(p->client, flow, p->port_bits & 15);
	port = anyhop_client_port(flow, p->port_bits & 15);
	if (!write16(packet, end, p->client_at, (__u16)client) ||
	    !write16(packet, end, p->client_at + 2u, (__u16)(client >> 16)) ||
	    !write16(packet, end, p->port_at, __builtin_bswap16((__u16)port)) ||
	    !write16(packet, end, p->sum_at, __builtin_bswap16(folded(p->sum + port))))
		return XDP_ABORTED;
	return (int)bpf_redirect(plan.interface_index, 0);
}
_Static_assert(ANYHOP_GENERATOR_KINDS == 1u << (32 - 28), "the top bits choose");

char LICENSE[] SEC("license") = "Dual MIT/GPL";
