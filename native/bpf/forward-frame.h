/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the forwarder's program does to the frame at hand and to its counters, on the lane and on the long way.
 */
#ifndef ANYHOP_FORWARD_FRAME_H
#define ANYHOP_FORWARD_FRAME_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "anyhop/parse.h"
#include "maps.h"

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

#endif
