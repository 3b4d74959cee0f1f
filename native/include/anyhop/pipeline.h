/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * The pipeline, in three phases:
 *
 *   1. decide   reads only: anyhop_decide ends in the verdict, and in what the other two need
 *   2. move     gives the frame its new ends: pointer arithmetic here, calls into the kernel in native/bpf/forward.bpf.c
 *   3. write    the outer header, or the answer
 *
 * It gives the same verdict and the same bytes as the reference, src/forward/pipeline.ts, for every frame; differential
 * tests hold it to that. anyhop_process is the host's: for tests, the fuzzer, and benchmarks.
 */
#ifndef ANYHOP_PIPELINE_H
#define ANYHOP_PIPELINE_H

#include "answer.h"
#include "encapsulate.h"
#include "match.h"
#include "lane.h"
#include "choose.h"
#include "guard.h"
#include "syn_answer.h"

/* The last of the verdicts that forward; they are the first in the list. */
#define ANYHOP_FORWARDED_LAST ANYHOP_V_FORWARDED_ICMP_ERROR

/* Whose packet it is that was matched with a verdict that forwards. */
anyhop_inline void anyhop_guest_of(const struct anyhop_packet *p, const struct anyhop_match *m, int verdict, __u32 now,
				   struct anyhop_guest *guest)
{
	const __u8 *source = p->l3 + (p->family == 4 ? 12 : 8);

	guest->family = (__u8)p->family;
	guest->counter = m->service->counter;
	guest->now = now;
	guest->address[0] = anyhop_get32(source);
	for (int i = 1; i < 4; i++)
		guest->address[i] = p->family == 6 ? anyhop_get32(source + 4 * i) : 0;
	guest->is_syn = verdict == ANYHOP_V_FORWARDED && p->protocol == ANYHOP_IP_TCP && anyhop_fits(&p->at, 14) &&
			anyhop_is_syn(p->at.at[13]);
	guest->listed = ANYHOP_LISTED_NONE;
}

/* Parts of the first phase. In BPF they are functions of their own for their stacks: there are 512 bytes for all that call each other. */
#ifdef __bpf__
#define ANYHOP_PART static __attribute__((noinline))
#else
#define ANYHOP_PART anyhop_inline
#endif

ANYHOP_PART int anyhop_match_part(struct anyhop_packet *p, struct anyhop_match *m)
{
	return anyhop_match(p, m);
}

ANYHOP_PART int anyhop_choose_part(const struct anyhop_packet *p, const struct anyhop_match *m, int verdict, struct anyhop_choice *choice)
{
	return m->service ? anyhop_choose(p, m, verdict, choice) : (int)ANYHOP_V_DROP_NO_SERVICE;
}

/* Phase 1, of the frame that starts at p->frame, where the cursor stands. An answer still has to be admitted, and a SYN to be judged
 * (anyhop_syn_rules). */
anyhop_inline int anyhop_decide(struct anyhop_packet *p, struct anyhop_match *m, struct anyhop_choice *choice,
				const struct anyhop_guarding *g, struct anyhop_guest *guest)
{
	int verdict = anyhop_match_part(p, m), stopped;
	const struct anyhop_rules *rules;

	if (verdict > ANYHOP_FORWARDED_LAST || !m->service)
		return verdict;
	rules = anyhop_rules_of(&p->view, m->service->counter);
	if (anyhop_likely(!rules))
		return anyhop_choose_part(p, m, verdict, choice);
	anyhop_guest_of(p, m, verdict, g->now, guest);
	if (rules->flags & ANYHOP_RULES_LISTS)
		guest->listed = anyhop_listed(ANYHOP_LISTS_OF(g), p->l3 + (p->family == 4 ? 12 : 8), p->family);
	stopped = anyhop_guard_packet(g, &p->view, rules, guest);
	if (stopped >= 0)
		return stopped;
	return anyhop_choose_part(p, m, verdict, choice);
}

/* The rules that judge a packet which is to be forwarded, if it is a SYN, or NULL. */
anyhop_inline const struct anyhop_rules *anyhop_syn_rules(const struct anyhop_packet *p, const struct anyhop_match *m,
							  const struct anyhop_guest *guest)
{
	const struct anyhop_rules *rules = m->service ? anyhop_rules_of(&p->view, m->service->counter) : 0;

	return rules && guest->is_syn && rules->flags & ANYHOP_GUARDS_SYNS ? rules : 0;
}

/* Whether a packet's TCP header stands right behind its fixed IP header. */
anyhop_inline int anyhop_is_plain(const struct anyhop_packet *p)
{
	return p->length - p->left == (p->family == 4 ? 20 : 40);
}

#ifndef __bpf__

/* The result for a frame. After a verdict that forwards or answers, `frame` is the frame to send; after one that forwards, the
 * other fields say how it was decided. */
struct anyhop_outcome {
	__u8 *frame;
	__u32 length;
	__u32 l2_length; /* for engines that send at layer 3 */
	__u32 service_counter;
	__u32 backend_counter;
	__u32 bytes; /* of the IP packet as received: what counters count */
	__u32 hash;
	__u32 slot;
	__u32 backend; /* number of the backend in the image */
	__u32 key;     /* of the GRE header; 0: none */
	__u32 interface_index; /* 0: the one that the packet came in on */
	__u32 by_lane;
};

/* Phases 2 and 3 of a packet that is forwarded: where the frame starts now. */
anyhop_inline __u8 *anyhop_wrap(__u8 *l3, const struct anyhop_choice *choice, const struct anyhop_inner *inner)
{
#define WRAP(l2, ip, keyed) \
	(anyhop_write_outer(l3 - ANYHOP_OUTER_LENGTH(l2, ip, keyed), choice, inner, l2, ip, keyed), \
	 l3 - ANYHOP_OUTER_LENGTH(l2, ip, keyed))
	ANYHOP_BY_SHAPE(choice, WRAP);
#undef WRAP
}

anyhop_inline __u8 *anyhop_wrap_lane(__u8 *l3, const struct anyhop_lane_choice *choice, __u32 hosts, __u32 family)
{
#define WRAP(l2, ip, keyed) \
	(anyhop_lane_write(l3 - ANYHOP_OUTER_LENGTH(l2, ip, keyed), choice, hosts, anyhop_lane_gre(family, keyed), l2, ip, keyed), \
	 l3 - ANYHOP_OUTER_LENGTH(l2, ip, keyed))
	ANYHOP_LANE_BY_SHAPE(choice, WRAP);
#undef WRAP
}

/* Judges a SYN: a verdict. One that is answered is turned into its answer. */
anyhop_rare int anyhop_guard_syn(const struct anyhop_guarding *g, const struct anyhop_view *view, const struct anyhop_rules *rules,
				 __u8 *frame, const __u8 *end, struct anyhop_syn_case *one, struct anyhop_outcome *outcome)
{
	const struct anyhop_defence *defence = anyhop_at(view, anyhop_header(view)->rules_offset);
	struct anyhop_service_state *state = anyhop_state_of(g, one->guest.counter);
	struct anyhop_guarded *own = anyhop_own_counts(g, one->guest.counter);
	struct anyhop_syn_terms *terms = &one->terms;
	const __u8 *ip = frame + terms->l2_length;
	__u32 cookie = ANYHOP_COOKIE_UNWANTED, family = one->guest.family, length = anyhop_distance(frame, end);
	int verdict;

	if (!defence || !state || !own)
		return ANYHOP_V_FORWARDED; /* a damaged image */
	if (anyhop_weigh_syn(state, rules, own, g->now, &one->weighed))
		cookie = one->takes_cookies && anyhop_knows_fleet_time(g) && anyhop_read_syn(frame, ip, end, family, &terms->options) &&
					 anyhop_admits_answer(g->state, defence, rules, one) ?
				 ANYHOP_COOKIE_CAN :
				 ANYHOP_COOKIE_CANNOT;
	verdict = anyhop_judge_syn(state, rules, own, &one->weighed, cookie);
	if (verdict != ANYHOP_V_SYN_COOKIE_ANSWERED)
		return verdict;
	terms->fleet_ms = g->state->time.fleet_offset_ms;
	anyhop_take_syn(frame, ip, family, terms, &one->syn);
	outcome->length = anyhop_syn_ack_length(terms->l2_length, family, &one->syn);
	outcome->frame = frame + length - outcome->length;
	outcome->l2_length = terms->l2_length;
	anyhop_write_syn_ack(outcome->frame, end, terms->l2_length, family, &one->syn);
	return verdict;
}

/* The rules of a packet that the lane would forward: a verdict. */
anyhop_inline int anyhop_guard_lane_packet(const struct anyhop_guarding *g, const struct anyhop_view *view,
					   const struct anyhop_lane_choice *choice, __u8 *frame, const __u8 *l3, const __u8 *end, __u32 family,
					   __u32 listed, struct anyhop_outcome *outcome)
{
	__u32 is_syn = anyhop_lane_is_syn(l3, end, family);
	const struct anyhop_rules *rules;
	struct anyhop_syn_case one;
	int verdict;

	if (!anyhop_lane_is_judged(choice->lane, listed, is_syn))
		return ANYHOP_V_FORWARDED;
	anyhop_lane_guest(choice->lane, l3, family, listed, is_syn, &one.guest);
	one.guest.now = g->now;
	verdict = anyhop_guard_lane(g, view, &one.guest, &rules);
	if (verdict != ANYHOP_V_FORWARDED || !rules)
		return verdict;
	one.terms.l2_length = anyhop_distance(frame, l3);
	one.takes_cookies = (__u32)anyhop_take_lane_terms(view, choice->lane, choice->path, &one.terms);
	return anyhop_guard_syn(g, view, rules, frame, end, &one, outcome);
}

/* The rules of a packet that is to be forwarded, if it is a SYN: a verdict. */
anyhop_inline int anyhop_guard_matched(const struct anyhop_packet *p, const struct anyhop_match *m, const struct anyhop_choice *choice,
				       const struct anyhop_guarding *g, struct anyhop_syn_case *one, struct anyhop_outcome *outcome)
{
	const struct anyhop_rules *rules = anyhop_syn_rules(p, m, &one->guest);

	if (anyhop_likely(!rules))
		return ANYHOP_V_FORWARDED;
	one->terms.l2_length = anyhop_distance(p->frame, p->l3);
	one->takes_cookies = anyhop_is_plain(p) && anyhop_take_terms(&p->view, m->service, choice, &one->terms);
	return anyhop_guard_syn(g, &p->view, rules, p->frame, p->at.end, one, outcome);
}

/* The lane for one family: a verdict, or -1 for a packet that is not the lane's. */
anyhop_inline int anyhop_take_lane_of(const struct anyhop_view *view, __u8 *frame, __u8 *l3, const __u8 *end, __u32 family,
				      const struct anyhop_guarding *g, struct anyhop_outcome *outcome)
{
	struct anyhop_lane_choice choice;
	const struct anyhop_lanes *lanes = anyhop_lanes(view);
	__u32 listed = ANYHOP_LISTED_NONE;
	__u8 *out;

	if (l3 + (family == 4 ? ANYHOP_LANE_READ4 : ANYHOP_LANE_READ6) > end)
		return -1;
	if (family == 4 ? anyhop_lane_match4(view, l3, end, &choice) : anyhop_lane_match6(view, l3, end, &choice))
		return -1;
	if (anyhop_unlikely(choice.lane->guarded)) {
		listed = anyhop_lane_listed(ANYHOP_LISTS_OF(g), choice.lane, l3, family);
		if (anyhop_is_blocked(choice.lane, listed)) {
			anyhop_count_blocked(g, choice.lane);
			return ANYHOP_V_DROP_BLOCKED;
		}
	}
	if (family == 4 ? anyhop_lane_choose4(view, l3, &choice) : anyhop_lane_choose6(view, l3, &choice))
		return -1;
	if (anyhop_unlikely(choice.lane->guarded)) {
		int stopped = anyhop_guard_lane_packet(g, view, &choice, frame, l3, end, family, listed, outcome);

		if (stopped != ANYHOP_V_FORWARDED)
			return stopped;
	}
	anyhop_age(l3, family);
	out = anyhop_wrap_lane(l3, &choice, lanes->source4_hosts, family);
	outcome->frame = out;
	outcome->length = (__u32)(l3 - out) + choice.length;
	outcome->l2_length = choice.path->shape & ANYHOP_LANE_TAGGED ? 18 : 14;
	outcome->service_counter = anyhop_lane_counter(choice.lane);
	outcome->backend_counter = choice.path->counter / (__u32)sizeof(struct anyhop_traffic);
	outcome->bytes = choice.length;
	outcome->hash = (__u32)choice.hash;
	outcome->slot = choice.slot;
	outcome->backend = (__u32)((const __u8 *)choice.path - view->image - lanes->path_offset) / (__u32)sizeof(*choice.path);
	outcome->key = choice.key;
	outcome->interface_index = choice.path->interface_index;
	outcome->by_lane = 1;
	return ANYHOP_V_FORWARDED;
}

/* A verdict if the packet was the lane's, or else -1. `outcome` is set if it is forwarded. */
anyhop_inline int anyhop_take_lane(const struct anyhop_packet *p, __u32 length, const struct anyhop_guarding *g,
				   struct anyhop_outcome *outcome)
{
	const struct anyhop_lanes *lanes = anyhop_lanes(&p->view);
	__u32 type, l2_length = 14;

	if (length < 18)
		return -1;
	if ((anyhop_get64(p->frame) & lanes->mac_mask) != lanes->mac && anyhop_judge_other_mac(anyhop_header(&p->view), p->frame) >= 0)
		return -1;
	type = anyhop_get16be(p->frame + 12);
	if (type == ANYHOP_ETHERTYPE_VLAN) {
		type = anyhop_get16be(p->frame + 16);
		l2_length = 18;
	}
	if (type == ANYHOP_ETHERTYPE_IPV4)
		return anyhop_take_lane_of(&p->view, p->frame, p->frame + l2_length, p->at.end, 4, g, outcome);
	if (type == ANYHOP_ETHERTYPE_IPV6)
		return anyhop_take_lane_of(&p->view, p->frame, p->frame + l2_length, p->at.end, 6, g, outcome);
	return -1;
}

/* Turns a frame into an answer, in place. */
anyhop_rare int anyhop_answer_frame(struct anyhop_packet *p, const struct anyhop_answer *a, struct anyhop_outcome *outcome)
{
	outcome->frame = p->frame + a->head;
	outcome->length = a->length;
	outcome->l2_length = a->l2_length;
	return anyhop_write_answer(outcome->frame, outcome->frame + a->length, p->vip, a);
}

/*
 * Decides on one frame and makes the one that is to be sent, in the same memory: it reads and writes nothing outside of
 * frame - ANYHOP_HEADROOM to frame + length, whatever the frame or the image says.
 *
 * image, image_bytes  an image, on a 64-byte line, and its size
 * limiter             the budgets of the node's own answers
 * guarding            what the rules of defence count in, and the time
 *
 * Returns an enum anyhop_verdict.
 */
anyhop_inline int anyhop_process(const __u8 *image, __u32 image_bytes, __u8 *frame, __u32 length,
				 struct anyhop_limiter *limiter, const struct anyhop_guarding *guarding,
				 struct anyhop_outcome *outcome)
{
	struct anyhop_packet packet = {
		.view = {.image = image, .limit = image_bytes - ANYHOP_READ_MAX},
		.frame = frame,
		.at = {.at = frame, .end = frame + length},
	};
	struct anyhop_match match;
	struct anyhop_choice choice = {0};
	struct anyhop_answer answer;
	struct anyhop_syn_case one;
	struct anyhop_inner inner;
	__u32 tick = guarding->tick;
	int verdict;

	if (image_bytes < sizeof(struct anyhop_header) + ANYHOP_READ_MAX)
		return ANYHOP_V_PASS_NOT_VIP;
	verdict = anyhop_take_lane(&packet, length, guarding, outcome);
	if (verdict >= 0)
		return verdict;
	verdict = anyhop_decide(&packet, &match, &choice, guarding, &one.guest);
	if (verdict == ANYHOP_V_FORWARDED)
		verdict = anyhop_guard_matched(&packet, &match, &choice, guarding, &one, outcome);
	if (anyhop_likely(verdict <= ANYHOP_FORWARDED_LAST)) {
		inner = anyhop_inner_of(&packet);
		anyhop_age(packet.l3, packet.family);
		outcome->frame = anyhop_wrap(packet.l3, &choice, &inner);
		outcome->length = (__u32)(packet.l3 - outcome->frame) + packet.length;
		outcome->l2_length = choice.path->l2_length == 14 ? 14 : 18;
		outcome->service_counter = match.service->counter;
		outcome->backend_counter = choice.path->counter;
		outcome->bytes = packet.length;
		outcome->hash = choice.hash;
		outcome->slot = choice.slot;
		outcome->backend = choice.backend;
		outcome->key = choice.key;
		outcome->interface_index = choice.path->interface_index;
		outcome->by_lane = 0;
		return verdict;
	}
	if (verdict == ANYHOP_V_TOO_BIG_ANSWERED) {
		verdict = anyhop_may_tell(&packet);
		if (verdict != ANYHOP_V_TOO_BIG_ANSWERED)
			return verdict;
		if (!anyhop_budget_admits(&limiter->too_big, anyhop_client_hash(&packet), tick, ANYHOP_BUDGET_TOO_BIG))
			return ANYHOP_V_DROP_TOO_BIG_LIMITED;
		if (anyhop_prepare_too_big(&packet, choice.answer_mtu, &answer))
			return ANYHOP_V_DROP_TOO_BIG;
		anyhop_answer_frame(&packet, &answer, outcome);
	} else if (verdict == ANYHOP_V_ECHO_ANSWERED) {
		if (!anyhop_budget_admits(&limiter->echo, anyhop_client_hash(&packet), tick, ANYHOP_BUDGET_ECHO))
			return ANYHOP_V_DROP_ECHO_LIMITED;
		if (anyhop_prepare_echo(&packet, &answer))
			return ANYHOP_V_DROP_TRUNCATED;
		anyhop_answer_frame(&packet, &answer, outcome);
	}
	return verdict;
}

#endif
#endif
