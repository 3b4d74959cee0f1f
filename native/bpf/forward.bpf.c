// SPDX-License-Identifier: MIT OR GPL-2.0-only
/*
 * The forwarder's XDP program: the pipeline of anyhop/pipeline.h over the maps of anyhop/xdp.h.
 *
 *   decide -> move the frame's ends -> write -> count -> XDP_TX or redirect
 *
 * What is not for a VIP passes to the host untouched. A packet leaves by the interface that it came in on when its path
 * names no other one.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "anyhop/pipeline.h"
#include "anyhop/xdp.h"

/* Sizes that the object loads with; user space sets its own before it loads (bpf_map__set_value_size, max_entries). */
#define IMAGE_BYTES_DEFAULT 4096u
#define COUNTERS_BYTES_DEFAULT (sizeof(struct anyhop_counters) + 4 * sizeof(struct anyhop_traffic))

const volatile struct anyhop_sizes sizes SEC(".rodata.sizes") = {
	.image_bytes = IMAGE_BYTES_DEFAULT,
	.service_counters = 2,
	.backend_counters = 2,
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, ANYHOP_IMAGES);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, IMAGE_BYTES_DEFAULT);
} images SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct anyhop_live);
} live SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2); /* one CPU and user space */
	__uint(key_size, sizeof(__u32));
	__uint(value_size, COUNTERS_BYTES_DEFAULT);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, ANYHOP_LIMIT_BUCKETS * sizeof(__u32));
} limiter SEC(".maps");

/* User space's clock may be coarse, but both count from the same moment. */
#define TICK_NS (ANYHOP_LIMIT_TICK_MS * 1000000ull)

static __always_inline void *frame_of(const struct xdp_md *ctx)
{
	return (void *)(long)ctx->data;
}

static __always_inline void *frame_end(const struct xdp_md *ctx)
{
	return (void *)(long)ctx->data_end;
}

/* Cuts `cut` bytes off the frame's tail and moves its head forward by `head` bytes, which may be negative. */
static __always_inline int move_ends(struct xdp_md *ctx, __u32 cut, int head)
{
	if (cut && bpf_xdp_adjust_tail(ctx, -(int)cut))
		return -1;
	return head ? (int)bpf_xdp_adjust_head(ctx, head) : 0;
}

static __always_inline void add(struct anyhop_traffic *traffic, __u32 bytes)
{
	traffic->packets++;
	traffic->bytes += bytes;
}

/* Phases 2 and 3 of a packet that is forwarded: the XDP action. */
static __always_inline int forward(struct xdp_md *ctx, struct anyhop_counters *counted, struct anyhop_packet *p,
				   const struct anyhop_match *m, const struct anyhop_way *way, int verdict)
{
	struct anyhop_traffic *traffic = (struct anyhop_traffic *)(counted + 1);
	__u32 padding = anyhop_distance(p->l3, p->at.end) - p->length;
	__u32 l2_length = anyhop_distance(p->frame, p->l3);
	__u32 service = m->service->counter, backend = way->path->counter, out = way->path->interface_index;
	struct anyhop_inner inner = anyhop_age(p);

	if (move_ends(ctx, padding, (int)(l2_length - way->outer_length)) ||
	    anyhop_write_outer(frame_of(ctx), frame_end(ctx), way, &inner)) {
		counted->verdicts[ANYHOP_V_DROP_HEADROOM]++;
		return XDP_DROP;
	}
	counted->verdicts[verdict]++;
	if (service < sizes.service_counters)
		add(traffic + service, p->length);
	if (backend < sizes.backend_counters)
		add(traffic + sizes.service_counters + backend, p->length);
	if (out == 0 || out == ctx->ingress_ifindex)
		return XDP_TX;
	return (int)bpf_redirect(out, 0);
}

/* Phases 2 and 3 of a packet that is answered, if the limit admits it: the verdict. */
static __noinline int answer(struct xdp_md *ctx, const struct anyhop_packet *p, const struct anyhop_match *m,
			     const struct anyhop_way *way, int verdict)
{
	struct anyhop_answer a = {};
	__u32 frame_length = anyhop_distance(p->frame, p->at.end);

	if (verdict == ANYHOP_V_TOO_BIG_ANSWERED) {
		__u32 first = 0;
		__u32 *ticks = bpf_map_lookup_elem(&limiter, &first);

		if (!ticks)
			return ANYHOP_V_DROP_TOO_BIG;
		verdict = anyhop_admit_too_big(p, m, (__u32)(bpf_ktime_get_coarse_ns() / TICK_NS), ticks);
		if (verdict != ANYHOP_V_TOO_BIG_ANSWERED)
			return verdict;
		if (anyhop_prepare_too_big(p, way->answer_mtu, &a))
			return ANYHOP_V_DROP_TOO_BIG;
	} else if (anyhop_prepare_echo(p, &a)) {
		return ANYHOP_V_DROP_TRUNCATED;
	}
	if (move_ends(ctx, frame_length - (__u32)a.head - a.length, a.head) ||
	    anyhop_write_answer(frame_of(ctx), frame_end(ctx), p->vip, &a))
		return ANYHOP_V_DROP_HEADROOM;
	return verdict;
}

/* The whole pipeline, for every packet that is not plain (anyhop/plain.h): the XDP action. */
static __noinline int take_long_way(struct xdp_md *ctx, const __u8 *image, struct anyhop_counters *counted)
{
	static const __u8 actions[] = {
#define V(name, action, text) ANYHOP_##action,
		ANYHOP_VERDICTS(V)
#undef V
	};
	struct anyhop_packet packet = {
		.view = {.image = image, .limit = sizes.image_bytes - ANYHOP_READ_MAX},
		.frame = frame_of(ctx),
		.at = {.at = frame_of(ctx), .end = frame_end(ctx)},
	};
	struct anyhop_match match = {};
	struct anyhop_way way = {};
	__u32 verdict = (__u32)anyhop_decide(&packet, &match, &way);

	if (verdict <= ANYHOP_FORWARDED_LAST)
		return forward(ctx, counted, &packet, &match, &way, (int)verdict);
	if (verdict == ANYHOP_V_ECHO_ANSWERED || verdict == ANYHOP_V_TOO_BIG_ANSWERED)
		verdict = (__u32)answer(ctx, &packet, &match, &way, (int)verdict);
	if (verdict >= ANYHOP_VERDICT_COUNT)
		return XDP_ABORTED; /* for the verifier; every verdict is in the list */
	counted->verdicts[verdict]++;
	return actions[verdict] == ANYHOP_PASS ? XDP_PASS : actions[verdict] == ANYHOP_ANSWER ? XDP_TX : XDP_DROP;
}

/* A plain packet: the XDP action, or -1 for one that is not. */
static __noinline int take_straight_line(struct xdp_md *ctx, const __u8 *image, struct anyhop_counters *counted)
{
	struct anyhop_packet packet = {
		.view = {.image = image, .limit = sizes.image_bytes - ANYHOP_READ_MAX},
		.frame = frame_of(ctx),
		.at = {.end = frame_end(ctx)},
	};
	struct anyhop_match match = {};
	struct anyhop_way way = {};
	int verdict = anyhop_decide_plain(&packet, &match, &way);

	if (anyhop_likely(verdict == ANYHOP_V_FORWARDED))
		return forward(ctx, counted, &packet, &match, &way, ANYHOP_V_FORWARDED);
	if (verdict < 0)
		return -1;
	counted->verdicts[ANYHOP_V_PASS_NOT_VIP]++;
	return XDP_PASS;
}

SEC("xdp")
int anyhop_forward(struct xdp_md *ctx)
{
	__u32 first = 0, cpu = bpf_get_smp_processor_id(), buffer;
	const struct anyhop_live *in_force = bpf_map_lookup_elem(&live, &first);
	struct anyhop_counters *counted = bpf_map_lookup_elem(&counters, &cpu);
	const __u8 *image;
	int action;

	if (!in_force || !counted)
		return XDP_ABORTED; /* for the verifier */
	buffer = in_force->buffer;
	image = bpf_map_lookup_elem(&images, &buffer);
	if (!image)
		return XDP_ABORTED;
	action = take_straight_line(ctx, image, counted);
	return action >= 0 ? action : take_long_way(ctx, image, counted);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
