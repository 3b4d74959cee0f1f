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

#include "anyhop/lane.h"
#include "anyhop/pipeline.h"
#include "forward-capture.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct anyhop_limiter));
} limiter SEC(".maps");

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
__noinline int anyhop_listed_apart(const struct anyhop_guest *guest)
{
	struct anyhop_view view = lists_in_force();

	return guest ? (int)anyhop_listed_in(&view, guest) : ANYHOP_LISTED_NONE;
}

/* User space's clock may be coarse, but both count from the same moment. */
#define TICK_NS (ANYHOP_BUDGET_TICK_MS * 1000000ull)

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

/* Counts for the service or backend whose counter begins `offset` bytes into the element. As in anyhop_at, what is compared is what
 * is added. */
static __always_inline void count_at(struct anyhop_counters *counted, __u64 offset, __u64 packets, __u64 bytes)
{
	struct anyhop_traffic *one;

	asm volatile("" : "+r"(offset));
	if (offset > sizes.counter_last)
		return;
	asm volatile("" : "+r"(offset));
	one = (void *)counted + offset;
	one->packets += packets;
	one->bytes += bytes;
}

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

/* The monotonic clock, which tests make stand still. */
static __always_inline __u64 clock_ns(const struct anyhop_guard *state)
{
	return bpf_ktime_get_coarse_ns() & ~state->time.frozen;
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

/* What a packet of a service with rules is judged by: 0, or -1. */
static __always_inline int guarding_of(struct anyhop_counters *counted, struct anyhop_guarding *g)
{
	__u32 first = 0;

	g->state = bpf_map_lookup_elem(&guard, &first);
	if (!g->state)
		return -1; /* for the verifier */
	g->own = (void *)counted + sizes.guarded_at;
	g->now = (__u32)(clock_ns(g->state) >> ANYHOP_UNIT_SHIFT) + g->state->time.offset;
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

static __always_inline int answer_syn(struct xdp_md *ctx)
{
	struct anyhop_syn_case *one = syn_case();

	if (!one)
		return -1; /* for the verifier */
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
		if (one->takes_cookies && read_syn(ctx, one) && anyhop_admits_answer(g->state, defence, rules, one)) {
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
	if (verdict == ANYHOP_V_SYN_COOKIE_ANSWERED && answer_syn(ctx))
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
	struct anyhop_view view = {.image = image, .limit = sizes.image_bytes - ANYHOP_READ_MAX}, listed = lists_in_force();
	const struct anyhop_rules *rules = 0;
	struct anyhop_guarding g = {};
	__u8 *l3, *end = frame_end(ctx);
	int verdict;

	if (guarding_of(counted, &g))
		return ANYHOP_V_DROP_HEADROOM; /* for the verifier */
	l3 = frame_of(ctx) + (one->terms.l2_length == 14 ? 14 : 18);
	if (one->guest.family == 4)
		verdict = l3 + ANYHOP_LANE_READ4 > end ? ANYHOP_V_DROP_HEADROOM :
							 anyhop_guard_lane(&g, &view, lane, l3, end, 4, &one->guest, &listed, &rules);
	else
		verdict = l3 + ANYHOP_LANE_READ6 > end ? ANYHOP_V_DROP_HEADROOM :
							 anyhop_guard_lane(&g, &view, lane, l3, end, 6, &one->guest, &listed, &rules);
	if (verdict != ANYHOP_V_FORWARDED || !rules)
		return verdict;
	one->takes_cookies = (__u32)anyhop_take_lane_terms(&view, lane, path, &one->terms);
	return guard_syn(ctx, &g, &view, rules, one);
}

/* What becomes of a packet that the lane would forward, by the rules: the XDP action, or -1 when they let it pass. The SYN at hand knows the
 * packet's family and where it starts. */
static __noinline int guard_lane(struct xdp_md *ctx, const __u8 *image, struct anyhop_counters *counted, const struct anyhop_lane *lane,
				 const struct anyhop_lane_path *path)
{
	struct anyhop_syn_case *one = syn_case();
	__u32 verdict;

	if (!one || !image || !counted || !lane || !path)
		return XDP_ABORTED; /* for the verifier */
	verdict = (__u32)judge_lane(ctx, image, counted, lane, path, one);
	if (verdict == ANYHOP_V_FORWARDED)
		return -1;
	if (verdict == ANYHOP_V_SYN_COOKIE_ANSWERED && !answer_syn(ctx)) {
		counted->verdicts[ANYHOP_V_SYN_COOKIE_ANSWERED]++;
		return XDP_TX;
	}
	if (verdict == ANYHOP_V_SYN_COOKIE_ANSWERED)
		verdict = ANYHOP_V_DROP_HEADROOM;
	if (verdict < ANYHOP_VERDICT_COUNT)
		counted->verdicts[verdict]++;
	return XDP_DROP;
}

/* A packet of one family behind `l2_length` bytes of layer 2, both constants: the XDP action, or -1 for one that is not the
 * lane's. It is counted before it is moved, so that less is kept over the call. */
static __always_inline int take_lane(struct xdp_md *ctx, const __u8 *image, struct anyhop_counters *counted, __u32 l2_length,
				     __u32 family)
{
	struct anyhop_view view = {.image = image, .limit = sizes.image_bytes - ANYHOP_READ_MAX};
	__u8 *l3 = frame_of(ctx) + l2_length, *end = frame_end(ctx);
	struct anyhop_lane_choice choice;
	__u32 padding, hosts, out;
	int other;

	if (family == 6 && l3 + ANYHOP_LANE_READ6 > end)
		return -1;
	other = family == 4 ? anyhop_lane_decide4(&view, l3, end, &choice) : anyhop_lane_decide6(&view, l3, end, &choice);
	if (anyhop_unlikely(other == ANYHOP_LANE_NOT_VIP)) {
		counted->verdicts[ANYHOP_V_PASS_NOT_VIP]++;
		return XDP_PASS;
	}
	if (other)
		return -1;
	if (anyhop_unlikely(choice.lane->guarded)) {
		struct anyhop_syn_case *one = syn_case();
		int action;

		if (!one)
			return XDP_ABORTED; /* for the verifier */
		one->guest.family = family;
		one->terms.l2_length = l2_length;
		action = guard_lane(ctx, image, counted, choice.lane, choice.path);
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
