/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the program that forwards tells of the packets that it records (capture.h): how they were decided. Packets of the lane are recorded
 * only when the kernel refuses to move them: those that a capture wants take the long way instead.
 */
#ifndef ANYHOP_FORWARD_CAPTURE_H
#define ANYHOP_FORWARD_CAPTURE_H

#include "anyhop/pipeline.h"
#include "capture.h"
#include "maps.h"

/* What was decided so far about a packet that is recorded. A verdict that forwards or answers may still become another: that of a
 * kernel that refuses to move the frame's ends. */
static __noinline int capture_before(struct xdp_md *ctx, const struct anyhop_packet *p, const struct anyhop_match *m,
				     const struct anyhop_choice *choice, __u32 verdict)
{
	struct capture_draft *draft = capture_new_draft();

	if (!draft)
		return 0;
	draft->record.service = m->service ? m->service->counter : ANYHOP_NONE;
	draft->record.backend = choice->path ? choice->path->counter : ANYHOP_NONE;
	draft->record.slot = choice->slot;
	draft->record.hash = choice->hash;
	draft->record.key = choice->key;
	draft->record.generation = anyhop_header(&p->view)->generation;
	capture_keep(ctx, draft, verdict, capture_wants_backend(draft->record.backend));
	return 0;
}

static __always_inline __u32 generation_in_force(void)
{
	__u32 first = 0;
	const struct anyhop_live *in_force = bpf_map_lookup_elem(&live, &first);
	const struct anyhop_header *image = in_force ? bpf_map_lookup_elem(&images, &in_force->buffer) : NULL;

	return image ? image->generation : 0;
}

/* Records a packet of the lane that the kernel did not move. Its TTL is lowered already, its padding gone; hash, slot and key are not
 * told. */
static __always_inline void capture_refused(struct xdp_md *ctx, __u32 service, __u32 backend)
{
	struct capture_draft *draft = capture_new_draft();

	if (!draft || !capture_wants_backend(backend))
		return;
	draft->record.service = service;
	draft->record.backend = backend;
	draft->record.slot = ANYHOP_CAPTURE_NO_SLOT;
	draft->record.hash = 0;
	draft->record.key = 0;
	draft->record.generation = generation_in_force();
	capture_after(ctx, ANYHOP_V_DROP_HEADROOM, 0);
}

/* Whether the filter is after a verdict of the lane's. If it is not, the lane is taken first: a capture of other drops costs what is forwarded
 * next to nothing. */
static __always_inline int capture_wants_lane(void)
{
	return capture_has_verdict(ANYHOP_V_FORWARDED) || capture_has_verdict(ANYHOP_V_PASS_NOT_VIP) ||
	       capture_has_verdict(ANYHOP_V_SYN_COOKIE_ANSWERED) || capture_has_verdict(ANYHOP_V_DROP_BLOCKED) ||
	       capture_has_verdict(ANYHOP_V_DROP_SOURCE_RATE) || capture_has_verdict(ANYHOP_V_DROP_SERVICE_RATE) ||
	       capture_has_verdict(ANYHOP_V_DROP_SYN_LIMITED);
}

#endif
