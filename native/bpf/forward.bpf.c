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

#include "maps.h"

#include "anyhop/pipeline.h"
#include "forward-capture.h"
#include "forward-frame.h"
#include "forward-guard.h"
#include "forward-lane.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct anyhop_limiter));
} limiter SEC(".maps");

/* User space's clock may be coarse, but both count from the same moment. */
#define TICK_NS (ANYHOP_BUDGET_TICK_MS * 1000000ull)

/* Grows the head by an outer header of one shape, in the place of the frame's `l2_length` bytes of layer 2, and writes it. */
static __always_inline int wrap_shape(struct xdp_md *ctx, __u32 l2_length, const struct anyhop_choice *choice,
				      const struct anyhop_inner *inner, __u32 outer_l2, __u32 outer_ip, __u32 keyed)
{
	__u32 length = ANYHOP_OUTER_LENGTH(outer_l2, outer_ip, keyed);
	__u8 *out;

	if (bpf_xdp_adjust_head(ctx, (int)(l2_length - length)))
		return -1;
	out = frame_of(ctx);
	if (out + length > (__u8 *)frame_end(ctx))
		return -1;
	anyhop_write_outer(out, choice, inner, outer_l2, outer_ip, keyed);
	return 0;
}

static __always_inline int wrap(struct xdp_md *ctx, __u32 l2_length, const struct anyhop_choice *choice,
				const struct anyhop_inner *inner)
{
#define WRAP(outer_l2, outer_ip, keyed) wrap_shape(ctx, l2_length, choice, inner, outer_l2, outer_ip, keyed)
	ANYHOP_BY_SHAPE(choice, WRAP);
#undef WRAP
}

/* Phases 2 and 3 of a packet that is forwarded, whose IP header starts behind `l2_length` bytes: the XDP action, which is
 * XDP_DROP when the kernel refuses to move the frame's ends. */
static __always_inline int forward(struct xdp_md *ctx, struct anyhop_counters *counted, struct anyhop_packet *p,
				   const struct anyhop_match *m, const struct anyhop_choice *choice, __u32 l2_length)
{
	__u32 padding = anyhop_distance(p->l3, p->at.end) - p->length;
	__u32 service = m->service->counter, backend = choice->path->counter, out = choice->path->interface_index;
	struct anyhop_inner inner = anyhop_inner_of(p);

	anyhop_age(p->l3, p->family);
	if ((padding && bpf_xdp_adjust_tail(ctx, -(int)padding)) || wrap(ctx, l2_length, choice, &inner))
		return XDP_DROP;
	count_at(counted, sizeof(*counted) + (__u64)service * sizeof(struct anyhop_traffic), 1, p->length);
	count_at(counted, sizes.backends_at + (__u64)backend * sizeof(struct anyhop_traffic), 1, p->length);
	if (out == 0 || out == ctx->ingress_ifindex)
		return XDP_TX;
	return (int)bpf_redirect(out, 0);
}

/* Whether a budget has an answer for a client. Not static: the verifier looks at it once, and not for every path that leads
 * here. */
__noinline int admits(__u32 hash, __u32 is_echo)
{
	__u32 first = 0, tick;
	struct anyhop_limiter *left = bpf_map_lookup_elem(&limiter, &first);
	const struct anyhop_guard *state = bpf_map_lookup_elem(&guard, &first);

	if (!left || !state)
		return 0; /* for the verifier */
	tick = (__u32)(clock_ns(state) / TICK_NS);
	return anyhop_budget_admits(is_echo ? &left->echo : &left->too_big, hash, tick,
				    is_echo ? ANYHOP_BUDGET_ECHO : ANYHOP_BUDGET_TOO_BIG);
}

/* The verdict of a packet that is to be answered: the same if it may be, and the budget admits it. */
static __noinline int admitted(const struct anyhop_packet *p, int verdict)
{
	__u32 is_echo = verdict == ANYHOP_V_ECHO_ANSWERED;

	if (!is_echo)
		verdict = anyhop_may_tell(p);
	if (verdict != ANYHOP_V_TOO_BIG_ANSWERED && verdict != ANYHOP_V_ECHO_ANSWERED)
		return verdict;
	if (admits(anyhop_client_hash(p), is_echo))
		return verdict;
	return is_echo ? ANYHOP_V_DROP_ECHO_LIMITED : ANYHOP_V_DROP_TOO_BIG_LIMITED;
}

/* Phases 2 and 3 of a packet that is answered: the verdict. */
static __noinline int answer(struct xdp_md *ctx, const struct anyhop_packet *p, const struct anyhop_choice *choice, int verdict)
{
	struct anyhop_answer a = {};
	__u32 frame_length = anyhop_distance(p->frame, p->at.end);

	if (verdict == ANYHOP_V_TOO_BIG_ANSWERED) {
		if (anyhop_prepare_too_big(p, choice->answer_mtu, &a))
			return ANYHOP_V_DROP_TOO_BIG;
	} else if (anyhop_prepare_echo(p, &a)) {
		return ANYHOP_V_DROP_TRUNCATED;
	}
	if (move_ends(ctx, frame_length - (__u32)a.head - a.length, a.head) ||
	    anyhop_write_answer(frame_of(ctx), frame_end(ctx), p->vip, &a))
		return ANYHOP_V_DROP_HEADROOM;
	return verdict;
}

static __always_inline struct anyhop_packet packet_of(const struct xdp_md *ctx, const __u8 *image)
{
	return (struct anyhop_packet) {
		.view = {.image = image, .limit = sizes.image_bytes - ANYHOP_READ_MAX},
		.frame = frame_of(ctx),
		.at = {.at = frame_of(ctx), .end = frame_end(ctx)},
	};
}

static __noinline int forward_any(struct xdp_md *ctx, struct anyhop_counters *counted, struct anyhop_packet *p,
				  const struct anyhop_match *m, const struct anyhop_choice *choice)
{
	if (!m->service || !choice->path || !choice->template)
		return XDP_ABORTED; /* for the verifier */
	return forward(ctx, counted, p, m, choice, anyhop_distance(p->frame, p->l3));
}

/* The whole pipeline, for every packet that is not the lane's: the XDP action. */
static __noinline int decide_any(struct xdp_md *ctx, const __u8 *image, struct anyhop_counters *counted)
{
	enum { FORWARD = XDP_TX, ANSWER = XDP_TX, PASS = XDP_PASS, DROP = XDP_DROP };
	static const __u8 actions[] = {
#define V(name, action, text) action,
		ANYHOP_VERDICTS(V)
#undef V
	};
	struct anyhop_packet packet = packet_of(ctx, image);
	struct anyhop_match match = {};
	struct anyhop_choice choice = {.slot = ANYHOP_CAPTURE_NO_SLOT};
	struct anyhop_syn_case *one = syn_case();
	struct anyhop_guarding guarding = {};
	__u32 verdict;
	int action;

	if (!one || guarding_of(counted, &guarding))
		return XDP_ABORTED;
	verdict = (__u32)anyhop_decide(&packet, &match, &choice, &guarding, &one->guest);
	if (verdict == ANYHOP_V_FORWARDED)
		verdict = (__u32)guard_matched(ctx, &packet, &match, &choice, &guarding);
	if (verdict == ANYHOP_V_ECHO_ANSWERED || verdict == ANYHOP_V_TOO_BIG_ANSWERED)
		verdict = (__u32)admitted(&packet, (int)verdict);
	if (anyhop_unlikely(capture_armed()))
		capture_before(ctx, &packet, &match, &choice, verdict);
	if (verdict == ANYHOP_V_ECHO_ANSWERED || verdict == ANYHOP_V_TOO_BIG_ANSWERED)
		verdict = (__u32)answer(ctx, &packet, &choice, (int)verdict);
	if (verdict == ANYHOP_V_SYN_COOKIE_ANSWERED && answer_syn(ctx, one))
		verdict = ANYHOP_V_DROP_HEADROOM;
	if (verdict >= ANYHOP_VERDICT_COUNT)
		return XDP_ABORTED; /* for the verifier; every verdict is in the list */
	if (verdict <= ANYHOP_FORWARDED_LAST) {
		action = forward_any(ctx, counted, &packet, &match, &choice);
		if (action == XDP_DROP)
			verdict = ANYHOP_V_DROP_HEADROOM;
	} else {
		action = actions[verdict];
	}
	counted->verdicts[verdict]++;
	if (anyhop_unlikely(capture_armed()))
		capture_after(ctx, verdict, action == XDP_TX || action == XDP_REDIRECT);
	return action;
}

SEC("xdp")
int anyhop_forward(struct xdp_md *ctx)
{
	__u32 first = 0, cpu = bpf_get_smp_processor_id();
	const struct anyhop_live *in_force = bpf_map_lookup_elem(&live, &first);
	struct anyhop_counters *counted = bpf_map_lookup_elem(&counters, &cpu);
	const __u8 *image;
	int action = -1;
	__u32 type;

	if (!in_force || !counted)
		return XDP_ABORTED; /* for the verifier */
	image = bpf_map_lookup_elem(&images, &in_force->buffer);
	if (!image)
		return XDP_ABORTED;
	if (anyhop_unlikely(capture_looks(ctx, cpu, 1)) && capture_wants_lane())
		return decide_any(ctx, image, counted);
	if (anyhop_likely(frame_of(ctx) + 14 <= frame_end(ctx))) {
		type = anyhop_get16(frame_of(ctx) + 12);
		if (anyhop_unlikely(type == __builtin_bswap16(ANYHOP_ETHERTYPE_VLAN)))
			action = take_tagged(ctx, image, counted);
		else
			action = take_lanes(ctx, image, counted, 14);
		if (anyhop_likely(action >= 0))
			return action;
	}
	return decide_any(ctx, image, counted);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
