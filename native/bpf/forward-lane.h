/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The lane (anyhop/lane.h) in the forwarder's program: most packets are forwarded by what is here, and all others go the long way.
 */
#ifndef ANYHOP_FORWARD_LANE_H
#define ANYHOP_FORWARD_LANE_H

#include "anyhop/lane.h"
#include "forward-capture.h"
#include "forward-guard.h"

/* Takes back what was counted for a packet that the kernel did not move. */
static __noinline int refused(struct xdp_md *ctx, struct anyhop_counters *counted, const struct anyhop_lane *lane,
			      const struct anyhop_lane_path *path, __u32 length)
{
	if (!counted || !lane || !path)
		return XDP_ABORTED; /* for the verifier */
	if (capture_armed())
		capture_refused(ctx, (lane->counter - (__u32)sizeof(*counted)) / (__u32)sizeof(struct anyhop_traffic),
				path->counter / (__u32)sizeof(struct anyhop_traffic));
	count_at(counted, lane->counter, -1, -(__u64)length);
	count_at(counted, (__u64)sizes.backends_at + path->counter, -1, -(__u64)length);
	counted->verdicts[ANYHOP_V_FORWARDED]--;
	counted->verdicts[ANYHOP_V_DROP_HEADROOM]++;
	return XDP_DROP;
}

/* Grows the head by an outer header of one shape, in the place of `l2_length` bytes of layer 2, and writes it: 0, or -1 when the
 * kernel refuses. */
static __always_inline int wrap_lane_shape(struct xdp_md *ctx, __u32 l2_length, const struct anyhop_lane_choice *choice, __u32 hosts,
					   __u32 gre, __u32 outer_l2, __u32 outer_ip, __u32 keyed)
{
	__u32 length = ANYHOP_OUTER_LENGTH(outer_l2, outer_ip, keyed);
	__u8 *out;

	if (bpf_xdp_adjust_head(ctx, (int)(l2_length - length)))
		return -1;
	out = frame_of(ctx);
	if (out + length > (__u8 *)frame_end(ctx))
		return -1;
	anyhop_lane_write(out, choice, hosts, gre, outer_l2, outer_ip, keyed);
	return 0;
}

static __always_inline int wrap_lane(struct xdp_md *ctx, __u32 l2_length, const struct anyhop_lane_choice *choice, __u32 hosts,
				     __u32 family)
{
#define WRAP(outer_l2, outer_ip, keyed) \
	wrap_lane_shape(ctx, l2_length, choice, hosts, anyhop_lane_gre(family, keyed), outer_l2, outer_ip, keyed)
	ANYHOP_LANE_BY_SHAPE(choice, WRAP);
#undef WRAP
}

/* The rules of a packet that the lane would forward: a verdict. */
static __always_inline int judge_lane(struct xdp_md *ctx, const __u8 *image, struct anyhop_counters *counted,
				      const struct anyhop_lane *lane, const struct anyhop_lane_path *path, struct anyhop_syn_case *one)
{
	struct anyhop_view view = {.image = image, .limit = sizes.image_bytes - ANYHOP_READ_MAX};
	const struct anyhop_rules *rules = 0;
	struct anyhop_guarding g = {};
	int verdict;

	if (guarding_of(counted, &g))
		return ANYHOP_V_DROP_HEADROOM; /* for the verifier */
	one->guest.now = g.now;
	verdict = anyhop_guard_lane(&g, &view, &one->guest, &rules);
	if (verdict != ANYHOP_V_FORWARDED || !rules)
		return verdict;
	one->takes_cookies = (__u32)anyhop_take_lane_terms(&view, lane, path, &one->terms);
	return guard_syn(ctx, &g, &view, rules, one);
}

/* What becomes of a packet that the lane would forward, by the rules: the XDP action, or -1 when they let it pass. The SYN at hand
 * knows whose the packet is, and where it starts. */
static __noinline int guard_lane(struct xdp_md *ctx, const __u8 *image, struct anyhop_counters *counted, const struct anyhop_lane *lane,
				 const struct anyhop_lane_path *path)
{
	struct anyhop_syn_case *one = syn_case();
	__u64 verdict;

	if (!one || !image || !counted || !lane || !path)
		return XDP_ABORTED; /* for the verifier */
	verdict = (__u32)judge_lane(ctx, image, counted, lane, path, one);
	if (verdict == ANYHOP_V_FORWARDED)
		return -1;
	if (verdict == ANYHOP_V_SYN_COOKIE_ANSWERED && !answer_syn(ctx, one)) {
		counted->verdicts[ANYHOP_V_SYN_COOKIE_ANSWERED]++;
		return XDP_TX;
	}
	if (verdict == ANYHOP_V_SYN_COOKIE_ANSWERED)
		verdict = ANYHOP_V_DROP_HEADROOM;
	asm volatile("" : "+r"(verdict)); /* what is compared is what is added: see anyhop_at */
	if (verdict >= ANYHOP_VERDICT_COUNT)
		return XDP_DROP;
	asm volatile("" : "+r"(verdict));
	counted->verdicts[verdict]++;
	return XDP_DROP;
}

/* A packet that the lists block: the XDP action. */
static __always_inline int drop_blocked(struct anyhop_counters *counted, const struct anyhop_lane *lane)
{
	struct anyhop_guarding g = {.own = (void *)counted + sizes.guarded_at};

	anyhop_count_blocked(&g, lane);
	counted->verdicts[ANYHOP_V_DROP_BLOCKED]++;
	return XDP_DROP;
}

/* anyhop_passes_at_once, for one family each. Not static: the verifier looks at them once. */
__noinline int passes_at_once4(struct anyhop_guard *state, const struct anyhop_defence *defence, const struct anyhop_rules *rules,
			       __u32 address)
{
	return state && defence && rules ? anyhop_passes_at_once(state, defence, rules, units_now(state), address, 0, 4) : 0;
}

__noinline int passes_at_once6(struct anyhop_guard *state, const struct anyhop_defence *defence, const struct anyhop_rules *rules,
			       __u64 high, __u64 low)
{
	return state && defence && rules ? anyhop_passes_at_once(state, defence, rules, units_now(state), high, low, 6) : 0;
}

/* Whether a packet that is no SYN, from a source that no list knows, passes by the limits of its source alone: it is counted then. */
static __always_inline int passes_at_once(const __u8 *image, const struct anyhop_lane *lane, const __u8 *l3, __u32 family)
{
	struct anyhop_view view = {.image = image, .limit = sizes.image_bytes - ANYHOP_READ_MAX};
	const struct anyhop_rules *rules = anyhop_rules_of(&view, anyhop_lane_counter(lane));
	const struct anyhop_defence *defence = anyhop_at(&view, anyhop_header(&view)->rules_offset);
	struct anyhop_guard *state = guard_state();

	if (!rules || !defence || !state)
		return 0; /* for the verifier */
	return family == 4 ? passes_at_once4(state, defence, rules, anyhop_get32(l3 + 12)) :
			     passes_at_once6(state, defence, rules, anyhop_get64(l3 + 8), anyhop_get64(l3 + 16));
}

/* What becomes of a packet of a service with rules that the lane would forward: the XDP action, or -1 when they let it pass. */
static __always_inline int guard_packet(struct xdp_md *ctx, const __u8 *image, struct anyhop_counters *counted,
					const struct anyhop_lane_choice *choice, __u32 l2_length, __u32 family, __u32 listed)
{
	const __u8 *l3 = frame_of(ctx) + l2_length, *end = frame_end(ctx);
	struct anyhop_syn_case *one;
	__u32 is_syn;

	if (l3 + (family == 4 ? ANYHOP_LANE_READ4 : ANYHOP_LANE_READ6) > end)
		return XDP_ABORTED; /* for the verifier */
	is_syn = anyhop_lane_is_syn(l3, end, family);
	if (!anyhop_lane_is_judged(choice->lane, listed, is_syn))
		return -1;
	if (anyhop_likely(!is_syn && listed == ANYHOP_LISTED_NONE) && passes_at_once(image, choice->lane, l3, family))
		return -1;
	one = syn_case();
	if (!one)
		return XDP_ABORTED; /* for the verifier */
	anyhop_lane_guest(choice->lane, l3, family, listed, is_syn, &one->guest);
	one->terms.l2_length = l2_length;
	return guard_lane(ctx, image, counted, choice->lane, choice->path);
}

/* A packet of one family behind `l2_length` bytes of layer 2, both constants: the XDP action, or -1 for one that is not the
 * lane's. It is counted before it is moved, so that less is kept over the call. */
static __always_inline int take_lane(struct xdp_md *ctx, const __u8 *image, struct anyhop_counters *counted, __u32 l2_length,
				     __u32 family)
{
	struct anyhop_view view = {.image = image, .limit = sizes.image_bytes - ANYHOP_READ_MAX};
	__u8 *l3 = frame_of(ctx) + l2_length, *end = frame_end(ctx);
	__u32 padding, hosts, out, listed = ANYHOP_LISTED_NONE;
	struct anyhop_lane_choice choice;
	int other;

	if (family == 6 && l3 + ANYHOP_LANE_READ6 > end)
		return -1;
	other = family == 4 ? anyhop_lane_match4(&view, l3, end, &choice) : anyhop_lane_match6(&view, l3, end, &choice);
	if (anyhop_unlikely(other == ANYHOP_LANE_NOT_VIP)) {
		counted->verdicts[ANYHOP_V_PASS_NOT_VIP]++;
		return XDP_PASS;
	}
	if (other)
		return -1;
	if (anyhop_unlikely(choice.lane->guarded)) {
		struct anyhop_view lists = lists_in_force();

		listed = anyhop_lane_listed(&lists, choice.lane, l3, family);
		if (anyhop_is_blocked(choice.lane, listed))
			return drop_blocked(counted, choice.lane);
	}
	if (family == 4 ? anyhop_lane_choose4(&view, l3, &choice) : anyhop_lane_choose6(&view, l3, &choice))
		return -1;
	if (anyhop_unlikely(choice.lane->guarded)) {
		int action = guard_packet(ctx, image, counted, &choice, l2_length, family, listed);

		if (action >= 0)
			return action;
	}
	count_at(counted, choice.lane->counter, 1, choice.length);
	count_at(counted, (__u64)sizes.backends_at + choice.path->counter, 1, choice.length);
	counted->verdicts[ANYHOP_V_FORWARDED]++;
	anyhop_age(l3, family);
	padding = anyhop_distance(l3, end) - choice.length;
	if (anyhop_unlikely(padding) && bpf_xdp_adjust_tail(ctx, -(int)padding))
		return refused(ctx, counted, choice.lane, choice.path, choice.length);
	hosts = anyhop_lanes(&view)->source4_hosts;
	if (anyhop_unlikely(wrap_lane(ctx, l2_length, &choice, hosts, family)))
		return refused(ctx, counted, choice.lane, choice.path, choice.length);
	out = choice.path->interface_index;
	if (anyhop_likely(out == 0) || out == ctx->ingress_ifindex)
		return XDP_TX;
	return (int)bpf_redirect(out, 0);
}

/* Whether the frame is for this host alone, by its own address or another one of its. */
static __always_inline int is_mine(const __u8 *image, const __u8 *frame)
{
	const struct anyhop_header *header = (const struct anyhop_header *)image;

	return anyhop_likely((anyhop_get64(frame) & header->lanes.mac_mask) == header->lanes.mac) ||
	       anyhop_judge_other_mac(header, frame) < 0;
}

/* A packet behind `l2_length` bytes of layer 2, and the raw EtherType before it: the XDP action, or -1 for one that is not the lane's. */
static __always_inline int take_lanes(struct xdp_md *ctx, const __u8 *image, struct anyhop_counters *counted, __u32 l2_length)
{
	__u8 *frame = frame_of(ctx);
	__u32 type;

	if (frame + l2_length + ANYHOP_LANE_READ4 > (__u8 *)frame_end(ctx) || !is_mine(image, frame))
		return -1;
	type = anyhop_get16(frame + l2_length - 2);
	if (type == __builtin_bswap16(ANYHOP_ETHERTYPE_IPV4))
		return take_lane(ctx, image, counted, l2_length, 4);
	if (type == __builtin_bswap16(ANYHOP_ETHERTYPE_IPV6))
		return take_lane(ctx, image, counted, l2_length, 6);
	return -1;
}

/* With a VLAN tag. */
static __noinline int take_tagged(struct xdp_md *ctx, const __u8 *image, struct anyhop_counters *counted)
{
	return image && counted ? take_lanes(ctx, image, counted, 18) : -1;
}

#endif
