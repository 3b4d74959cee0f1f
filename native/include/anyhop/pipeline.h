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
#include "plain.h"
#include "choose.h"

/* The last of the verdicts that forward; they are the first in the list. */
#define ANYHOP_FORWARDED_LAST ANYHOP_V_FORWARDED_ICMP_ERROR

/* Phase 1, of the frame that starts at p->frame, where the cursor stands. An answer still has to be admitted. */
anyhop_inline int anyhop_decide(struct anyhop_packet *p, struct anyhop_match *m, struct anyhop_choice *choice)
{
	int verdict = anyhop_match(p, m);

	return verdict <= ANYHOP_FORWARDED_LAST ? anyhop_choose(p, m, verdict, choice) : verdict;
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
 * tick                coarse time that the budgets count in, in units of ANYHOP_BUDGET_TICK_MS
 * limiter             the budgets of the node's own answers
 *
 * Returns an enum anyhop_verdict.
 */
anyhop_inline int anyhop_process(const __u8 *image, __u32 image_bytes, __u8 *frame, __u32 length, __u32 tick,
				 struct anyhop_limiter *limiter, struct anyhop_outcome *outcome)
{
	struct anyhop_packet packet = {
		.view = {.image = image, .limit = image_bytes - ANYHOP_READ_MAX},
		.frame = frame,
		.at = {.at = frame, .end = frame + length},
	};
	struct anyhop_match match;
	struct anyhop_choice choice = {0};
	struct anyhop_answer answer;
	struct anyhop_inner inner;
	__u32 type;
	int verdict;

	if (image_bytes < sizeof(struct anyhop_header) + ANYHOP_READ_MAX)
		return ANYHOP_V_PASS_NOT_VIP;
	type = length < 14 ? 0 : anyhop_get16be(frame + 12);
	verdict = type == ANYHOP_ETHERTYPE_IPV4 ? anyhop_decide_plain(&packet, &match, &choice, 4) :
		  type == ANYHOP_ETHERTYPE_IPV6 ? anyhop_decide_plain(&packet, &match, &choice, 6) :
						  -1;
	if (anyhop_unlikely(verdict < 0)) {
		packet.at.at = frame;
		verdict = anyhop_decide(&packet, &match, &choice);
	}
	if (anyhop_likely(verdict <= ANYHOP_FORWARDED_LAST)) {
		inner = anyhop_age(&packet);
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
