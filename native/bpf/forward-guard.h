/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Defence in the forwarder's program: the rules of anyhop/guard.h over the maps `guard` and `lists`, and the answer to a SYN. What the
 * verifier would look at for each path that leads there is in functions that are not static.
 */
#ifndef ANYHOP_FORWARD_GUARD_H
#define ANYHOP_FORWARD_GUARD_H

#include "anyhop/pipeline.h"
#include "forward-frame.h"

/* What the rules of defence count in, for all CPUs. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct anyhop_guard) + COUNTERS_DEFAULT * sizeof(struct anyhop_service_state));
} guard SEC(".maps");

/* The SYN at hand, if rules judge it. Not on the stack: there are 512 bytes for all that call each other. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct anyhop_syn_case));
} syn_at_hand SEC(".maps");

/* Compiled lists of prefixes; all zero, there are none. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, ANYHOP_LISTS_BUFFERS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, LISTS_BYTES_DEFAULT);
} lists SEC(".maps");

/* The lists in force; without a memory, for the verifier, there are none. */
static __always_inline struct anyhop_view lists_in_force(void)
{
	struct anyhop_view view = {.limit = sizes.lists_bytes - ANYHOP_READ_MAX};
	__u32 first = 0;
	struct anyhop_live *in_force = bpf_map_lookup_elem(&live, &first);

	if (in_force)
		view.image = bpf_map_lookup_elem(&lists, &in_force->lists);
	return view;
}

/* From the start, since other lists may have come into force. */
__noinline int anyhop_listed_apart(__u64 high, __u64 low, __u32 family)
{
	struct anyhop_view view = lists_in_force();

	return (int)anyhop_listed_in(&view, high, low, family);
}

/* The monotonic clock, which tests make stand still. */
static __always_inline __u64 clock_ns(const struct anyhop_guard *state)
{
	return bpf_ktime_get_coarse_ns() & ~state->time.frozen;
}

static __always_inline struct anyhop_guard *guard_state(void)
{
	__u32 first = 0;

	return bpf_map_lookup_elem(&guard, &first);
}

/* The time of limits. */
static __always_inline __u32 units_now(const struct anyhop_guard *state)
{
	return (__u32)(clock_ns(state) >> ANYHOP_UNIT_SHIFT) + state->time.offset;
}

/* What a packet of a service with rules is judged by: 0, or -1. */
static __always_inline int guarding_of(struct anyhop_counters *counted, struct anyhop_guarding *g)
{
	g->state = guard_state();
	if (!g->state)
		return -1; /* for the verifier */
	g->own = (void *)counted + sizes.guarded_at;
	g->now = units_now(g->state);
	return 0;
}

/* The SYN at hand. */
static __always_inline struct anyhop_syn_case *syn_case(void)
{
	__u32 first = 0;

	return bpf_map_lookup_elem(&syn_at_hand, &first);
}

/* Whether a cookie can answer a SYN whose owner takes them: what it offers is in its terms then. Not static, like those that answer: the
 * verifier looks at it once, and what it leaves in memory could be anything in 2^14 ways. */
__noinline int read_syn(struct xdp_md *ctx, struct anyhop_syn_case *one)
{
	const __u8 *frame = frame_of(ctx), *end = frame_end(ctx), *ip;
	__u32 l2_length = one ? one->terms.l2_length : 0;

	if (!one || l2_length > 22 || frame + 22 > end)
		return 0; /* for the verifier */
	ip = frame + l2_length;
	if (one->guest.family == 4)
		return ip + 40 <= end && anyhop_read_syn(frame, ip, end, 4, &one->terms.options);
	return ip + 60 <= end && anyhop_read_syn(frame, ip, end, 6, &one->terms.options);
}

/* Turns a SYN into its answer: 0, or -1 when the kernel refuses. */
static __always_inline int answer_syn_of(struct xdp_md *ctx, struct anyhop_syn_case *one, __u32 family)
{
	__u32 l2_length = one ? one->terms.l2_length : 0, have, want;
	const __u8 *frame = frame_of(ctx), *end = frame_end(ctx), *ip;

	if (!one || l2_length > 22 || frame + 22 > end)
		return -1; /* for the verifier */
	ip = frame + l2_length;
	if (ip + (family == 4 ? 40 : 60) > end)
		return -1;
	anyhop_take_syn(frame, ip, family, &one->terms, &one->syn);
	have = anyhop_distance(frame, end);
	want = anyhop_syn_ack_length(l2_length, family, &one->syn);
	if (have != want && bpf_xdp_adjust_head(ctx, (int)(have - want)))
		return -1;
	return anyhop_write_syn_ack(frame_of(ctx), frame_end(ctx), l2_length, family, &one->syn);
}

__noinline int answer_syn4(struct xdp_md *ctx, struct anyhop_syn_case *one)
{
	return answer_syn_of(ctx, one, 4);
}

__noinline int answer_syn6(struct xdp_md *ctx, struct anyhop_syn_case *one)
{
	return answer_syn_of(ctx, one, 6);
}

static __always_inline int answer_syn(struct xdp_md *ctx, struct anyhop_syn_case *one)
{
	return one->guest.family == 4 ? answer_syn4(ctx, one) : answer_syn6(ctx, one);
}

/* Judges a SYN: a verdict. One that is to be answered still is to be turned into its answer. */
static __always_inline int guard_syn(struct xdp_md *ctx, const struct anyhop_guarding *g, const struct anyhop_view *view,
				     const struct anyhop_rules *rules, struct anyhop_syn_case *one)
{
	const struct anyhop_defence *defence = anyhop_at(view, anyhop_header(view)->rules_offset);
	struct anyhop_service_state *state = anyhop_state_of(g, one->guest.counter);
	struct anyhop_guarded *own = anyhop_own_counts(g, one->guest.counter);
	__u32 cookie = ANYHOP_COOKIE_UNWANTED;

	if (!defence || !state || !own)
		return ANYHOP_V_FORWARDED; /* a damaged image */
	if (anyhop_weigh_syn(state, rules, own, g->now, &one->weighed)) {
		cookie = ANYHOP_COOKIE_CANNOT;
		if (one->takes_cookies && anyhop_knows_fleet_time(g) && read_syn(ctx, one) && anyhop_admits_answer(g->state, defence, rules, one)) {
			cookie = ANYHOP_COOKIE_CAN;
			one->terms.fleet_ms = clock_ns(g->state) / 1000000 + g->state->time.fleet_offset_ms;
		}
	}
	return anyhop_judge_syn(state, rules, own, &one->weighed, cookie);
}

/* The rules of a packet that is to be forwarded, if it is a SYN: a verdict. */
static __noinline int guard_matched(struct xdp_md *ctx, const struct anyhop_packet *p, const struct anyhop_match *m,
				    const struct anyhop_choice *choice, const struct anyhop_guarding *g)
{
	struct anyhop_syn_case *one = syn_case();
	const struct anyhop_rules *rules = one ? anyhop_syn_rules(p, m, &one->guest) : 0;

	if (anyhop_likely(!rules) || !choice->path || !choice->template)
		return ANYHOP_V_FORWARDED;
	one->terms.l2_length = anyhop_distance(p->frame, p->l3);
	one->takes_cookies = anyhop_is_plain(p) && anyhop_take_terms(&p->view, m->service, choice, &one->terms);
	return guard_syn(ctx, g, &p->view, rules, one);
}

#endif
