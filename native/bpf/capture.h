/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Recording packets for a reader in user space (anyhop/capture.h), for the program that forwards and the agent's:
 *
 *   capture_looks   a sample? is the lease still good? may the filter want it?   most packets end here
 *   capture_before  what was decided; do backend and verdict match? the frame as it came in
 *   capture_after   the final verdict; the frame as it left; one record into the ring
 *
 * Between them the packet goes its usual way. What is known so far lies in memory of the CPU, so a program that ends before
 * capture_after records nothing. Each of them asks `armed` anew instead of handing the answer on: the verifier would
 * otherwise follow the whole pipeline twice. For the same reason the functions are not static: it looks at them once.
 */
#ifndef ANYHOP_BPF_CAPTURE_H
#define ANYHOP_BPF_CAPTURE_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "anyhop/capture.h"
#include "anyhop/parse.h"

struct anyhop_capture capture SEC(".data.capture");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, ANYHOP_CAPTURE_RING_BYTES);
} captured SEC(".maps");

/* A record on its way. */
struct capture_draft {
	__u32 number; /* of records so far */
	__u32 reserved;
	__u8 ip[40];
	struct anyhop_capture_record record;
	__u8 frames[2 * ANYHOP_CAPTURE_SNAP_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct capture_draft);
} capture_drafts SEC(".maps");

#define CAPTURE_FLOW_TERMS \
	(ANYHOP_CAPTURE_VIP | ANYHOP_CAPTURE_CLIENT | ANYHOP_CAPTURE_CLIENT_PORT | ANYHOP_CAPTURE_SERVICE_PORT | ANYHOP_CAPTURE_PROTOCOL)
#define CAPTURE_PORT_TERMS (ANYHOP_CAPTURE_CLIENT_PORT | ANYHOP_CAPTURE_SERVICE_PORT)

/* Test runs say that they came in by the loopback interface, where no program of ours is. */
#define CAPTURE_TEST_INTERFACE 1u

static __always_inline __u32 capture_armed(void)
{
	return *(const volatile __u32 *)&capture.armed;
}

static __always_inline struct capture_draft *capture_draft(void)
{
	__u32 first = 0;

	return bpf_map_lookup_elem(&capture_drafts, &first);
}

static __always_inline struct anyhop_capture_cpu *capture_cpu(__u32 cpu)
{
	return &capture.cpus[cpu & (ANYHOP_CAPTURE_CPUS - 1)];
}

static __always_inline int capture_has_verdict(__u32 verdict)
{
	return capture.filter.verdicts[verdict >> 5 & 7] >> (verdict & 31) & 1;
}

static __always_inline int capture_wants_backend(__u32 backend)
{
	return !(capture.filter.terms & ANYHOP_CAPTURE_BACKEND) || backend == capture.filter.backend;
}

/* Keeps the first bytes of the frame: how many. `at` is 0 or a multiple of 8 up to ANYHOP_CAPTURE_SNAP_MAX. */
static __always_inline __u32 capture_snap(struct xdp_md *ctx, struct capture_draft *draft, __u32 at, __u32 length)
{
	__u32 last = capture.filter.snap_length; /* one less than the size: 6.1 learns no lower bound from a test for zero */

	if (last > length)
		last = length;
	last--;
	asm volatile("" : "+r"(last), "+r"(at));
	if (last >= ANYHOP_CAPTURE_SNAP_MAX || at > ANYHOP_CAPTURE_SNAP_MAX)
		return 0;
	asm volatile("" : "+r"(last), "+r"(at));
	return bpf_xdp_load_bytes(ctx, 0, draft->frames + at, last + 1) ? 0 : last + 1;
}

static __always_inline void capture_frame_in(struct xdp_md *ctx, struct capture_draft *draft)
{
	draft->record.time_ns = bpf_ktime_get_ns();
	draft->record.in_length = (__u32)(ctx->data_end - ctx->data);
	draft->record.in_snap = (__u16)capture_snap(ctx, draft, 0, draft->record.in_length);
}

/* Whether the four words at `address` are those of `other`, where the mask has ones; IPv4 has one word. */
static __always_inline int capture_same(const __u8 *address, const __u8 *other, const __u8 *mask, __u32 family)
{
	__u32 differ = (anyhop_get32(address) ^ anyhop_get32(other)) & anyhop_get32(mask);

	if (family == 6)
		for (__u32 at = 4; at < 16; at += 4)
			differ |= (anyhop_get32(address + at) ^ anyhop_get32(other + at)) & anyhop_get32(mask + at);
	return differ == 0;
}

static const __u8 capture_all_ones[16] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

/* The ports of a TCP or UDP packet, whose header starts `at` bytes into the frame. */
static __always_inline int capture_has_ports(struct xdp_md *ctx, __u32 at)
{
	const struct anyhop_capture_filter *filter = &capture.filter;
	__u16 ports[2];

	if (bpf_xdp_load_bytes(ctx, at, ports, sizeof(ports)))
		return 0;
	return (!(filter->terms & ANYHOP_CAPTURE_CLIENT_PORT) || __builtin_bswap16(ports[0]) == filter->client_port) &&
	       (!(filter->terms & ANYHOP_CAPTURE_SERVICE_PORT) || __builtin_bswap16(ports[1]) == filter->service_port);
}

/* Whether the packet of `family` that starts `at` bytes into the frame, with its IP header at `ip`, may be what the filter is after. */
static __always_inline int capture_may_match(struct xdp_md *ctx, const __u8 *ip, __u32 at, __u32 family)
{
	const struct anyhop_capture_filter *filter = &capture.filter;
	__u32 protocol;

	if (filter->terms & ANYHOP_CAPTURE_VIP &&
	    (family != filter->vip_family || !capture_same(ip + (family == 4 ? 16 : 24), filter->vip, capture_all_ones, family)))
		return 0;
	if (filter->terms & ANYHOP_CAPTURE_CLIENT &&
	    (family != filter->client_family ||
	     !capture_same(ip + (family == 4 ? 12 : 8), filter->client, filter->client_mask, family)))
		return 0;
	protocol = family == 4 ? ip[9] : ip[6];
	if (family == 6 && protocol < 64 && anyhop_has(ANYHOP_EXTENSIONS, protocol))
		return 1; /* what is behind them is the reader's to find out */
	if (filter->terms & ANYHOP_CAPTURE_PROTOCOL && protocol != filter->protocol)
		return 0;
	if (!(filter->terms & CAPTURE_PORT_TERMS))
		return 1;
	if (protocol != ANYHOP_IP_TCP && protocol != ANYHOP_IP_UDP)
		return 0;
	if (family == 4 && anyhop_get16be(ip + 6) & ANYHOP_IPV4_OFFSET)
		return 0;
	return capture_has_ports(ctx, at + (family == 4 ? (ip[0] & 15u) * 4 : 40));
}

/* The same, wherever in the frame it starts. */
__noinline int capture_matches(struct xdp_md *ctx, __u32 at, __u32 family)
{
	struct capture_draft *draft = capture_draft();

	if (!draft || bpf_xdp_load_bytes(ctx, at, draft->ip, family == 4 ? 20 : 40))
		return 0;
	return capture_may_match(ctx, draft->ip, at, family);
}

static __always_inline __u32 capture_family(__u16 type)
{
	return type == __builtin_bswap16(ANYHOP_ETHERTYPE_IPV4) ? 4 : type == __builtin_bswap16(ANYHOP_ETHERTYPE_IPV6) ? 6 : 0;
}

/* The same for the packet in the frame, behind any VLAN tags. `inside`: GRE may be what the filter is after, whatever its own header
 * says. */
__noinline int capture_matches_frame(struct xdp_md *ctx, __u32 inside)
{
	const __u8 *frame = (const __u8 *)(long)ctx->data, *end = (const __u8 *)(long)ctx->data_end;
	__u32 family, at = 12;
	__u8 protocol;
	__u16 type = 0;

	if (!(capture.filter.terms & CAPTURE_FLOW_TERMS))
		return 1;
	/* Nearly every packet, by a third of the time. */
	if (!inside && frame + 34 <= end && anyhop_get16(frame + 12) == __builtin_bswap16(ANYHOP_ETHERTYPE_IPV4))
		return capture_may_match(ctx, frame + 14, 14, 4);
	if (!inside && frame + 54 <= end && anyhop_get16(frame + 12) == __builtin_bswap16(ANYHOP_ETHERTYPE_IPV6))
		return capture_may_match(ctx, frame + 14, 14, 6);
	for (__u32 tags = 0; tags <= ANYHOP_VLAN_TAGS_READ; tags++, at += 4) {
		if (bpf_xdp_load_bytes(ctx, at, &type, sizeof(type)))
			return 0;
		if (!anyhop_is_vlan(__builtin_bswap16(type)))
			break;
	}
	family = capture_family(type);
	if (!family)
		return 0;
	if (inside) {
		if (bpf_xdp_load_bytes(ctx, at + 2 + (family == 4 ? 9 : 6), &protocol, 1))
			return 0;
		if (protocol == ANYHOP_IP_GRE || (family == 6 && protocol < 64 && anyhop_has(ANYHOP_EXTENSIONS, protocol)))
			return 1;
	}
	return capture_matches(ctx, at + 2, family);
}

/* Sets how many packets go by before the next one is looked at, of `packets` until the next sample. */
static __always_inline void capture_skip(struct anyhop_capture_cpu *own, __u32 packets)
{
	__u32 left = packets < ANYHOP_CAPTURE_LOOK_PACKETS ? packets : ANYHOP_CAPTURE_LOOK_PACKETS;

	own->left = left;
	own->rest = packets - left;
}

/* Whether the packet is recorded, if the filter lets it through. `early`: the filter may look at the frame's own IP header already. */
__noinline int capture_begin(struct xdp_md *ctx, __u32 cpu, __u32 early)
{
	struct anyhop_capture_cpu *own = capture_cpu(cpu);

	own->wanted = 0;
	if (bpf_ktime_get_coarse_ns() > *(const volatile __u64 *)&capture.deadline_ns) {
		capture.armed = 0;
		return 0;
	}
	if (own->rest) {
		capture_skip(own, own->rest - 1);
		return 0;
	}
	capture_skip(own, capture.filter.sample - 1);
	if (ctx->ingress_ifindex == CAPTURE_TEST_INTERFACE && !(capture.filter.terms & ANYHOP_CAPTURE_TEST_RUNS))
		return 0;
	own->wanted = !early || capture_matches_frame(ctx, 0);
	return (int)own->wanted;
}

/* Whether this packet is looked at. */
static __always_inline int capture_looks(struct xdp_md *ctx, __u32 cpu, __u32 early)
{
	struct anyhop_capture_cpu *own;
	__u32 left;

	if (anyhop_likely(!capture_armed()))
		return 0;
	own = capture_cpu(cpu);
	left = own->left;
	if (left) {
		*(__u64 *)own = left - 1; /* and not wanted */
		return 0;
	}
	return capture_begin(ctx, cpu, early);
}

/* Whether this packet may be recorded. */
static __always_inline int capture_wanted(__u32 cpu)
{
	return capture_armed() && *(const volatile __u32 *)&capture_cpu(cpu)->wanted;
}

/* A draft for the packet under way, without a frame yet; NULL when it is not recorded. */
static __always_inline struct capture_draft *capture_new_draft(void)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct capture_draft *draft = capture_wanted(cpu) ? capture_draft() : NULL;

	if (!draft)
		return NULL;
	draft->record.cpu = (__u16)cpu;
	draft->record.in_length = 0;
	return draft;
}

/* Keeps the frame as it came in, if filter and verdict let it through so far. */
static __always_inline void capture_keep(struct xdp_md *ctx, struct capture_draft *draft, __u32 verdict, __u32 matches)
{
	if (!matches)
		capture_cpu(draft->record.cpu)->wanted = 0;
	else if (capture_has_verdict(verdict))
		capture_frame_in(ctx, draft);
}

/* Records the packet under way. The record's fields about the decision are set already, and the frame as it came in is kept, if
 * it is not too late for that. `sent`: whether the frame, as it is now, goes on by this program's doing. */
__noinline int capture_after(struct xdp_md *ctx, __u32 verdict, __u32 sent)
{
	__u32 cpu = bpf_get_smp_processor_id(), at, size;
	struct capture_draft *draft = capture_wanted(cpu) ? capture_draft() : NULL;

	if (!draft)
		return 0;
	capture_cpu(cpu)->wanted = 0;
	if (!capture_has_verdict(verdict))
		return 0;
	/* The kernel refused to move the frame's ends: all is as it was, but for the TTL. */
	if (!draft->record.in_length)
		capture_frame_in(ctx, draft);
	draft->record.out_length = sent ? (__u32)(ctx->data_end - ctx->data) : 0;
	at = (draft->record.in_snap + 7u) & ~7u;
	draft->record.out_snap = sent ? (__u16)capture_snap(ctx, draft, at, draft->record.out_length) : 0;
	draft->record.verdict = (__u8)verdict;
	draft->record.session = capture.session;
	draft->record.id = (__u64)draft->record.cpu << 48 | ++draft->number;
	size = (__u32)sizeof(draft->record) + ((at + draft->record.out_snap + 7u) & ~7u);
	draft->record.bytes = size;
	asm volatile("" : "+r"(size));
	if (size > sizeof(draft->record) + sizeof(draft->frames))
		return 0; /* for the verifier */
	asm volatile("" : "+r"(size));
	if (bpf_ringbuf_output(&captured, &draft->record, size, BPF_RB_NO_WAKEUP))
		__sync_fetch_and_add(&capture.lost, 1);
	return 1;
}

#endif
