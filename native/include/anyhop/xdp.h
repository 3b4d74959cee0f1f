/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * The maps between the XDP programs (native/bpf/forward.bpf.c, native/bpf/steer.bpf.c) and user space, which maps them
 * into its memory: an image is published and a counter is read without a system call.
 *
 *   images    array, 3 elements of as many bytes as user space asks for   three buffers, each holds one image
 *   live      one anyhop_live                                             which of them is in force, and which of the lists
 *   lists     array, 2 elements, sized likewise                           compiled lists of prefixes (lists.h; forward)
 *   counters  array, an element a possible CPU and one more               anyhop_counters, services, backends
 *   limiter   one anyhop_limiter                                          what is left to answer with (forward)
 *   xsks      an AF_XDP socket a receive queue                            where packets for VIPs go (steer)
 *
 * What to know:
 *  - A program reads `live.buffer` once a packet, and stays with that image. Whoever publishes writes into a buffer
 *    that no program can still be reading (a global membarrier has passed since it was last in force), then changes
 *    `live.buffer`. So there are three: one in force, one that may still be read, one that is free.
 *  - A program counts in its own CPU's element only, so it needs no atomics. The last element is user space's: what has
 *    been carried over from maps that were replaced.
 *  - User space chooses the sizes when it loads a program: of the maps' elements, and of anyhop_sizes in the program's
 *    read-only data (".rodata.sizes"), where the verifier knows them as constants. An image or a counter number that does
 *    not fit takes a program and maps of their own, put in the place of the former ones in one step.
 */
#ifndef ANYHOP_XDP_H
#define ANYHOP_XDP_H

#include <linux/types.h>

#include "image.h"
#include "verdict.h"

#define ANYHOP_IMAGES 3u
#define ANYHOP_LISTS_BUFFERS 2u
#define ANYHOP_VERDICTS_MAX 64u
/* The last of them is no verdict: packets for a VIP that came in by a receive queue without an AF_XDP socket. */
#define ANYHOP_STEER_MISSED (ANYHOP_VERDICTS_MAX - 1)

struct anyhop_sizes {
	__u32 image_bytes; /* of an element of `images`, a multiple of 64 */
	__u32 backends_at; /* where the backends' counters begin in an element of `counters`, in bytes */
	__u32 counter_last; /* where its last counter begins */
	__u32 guarded_at; /* where anyhop_guarded of the services begin in an element of `counters` */
	__u32 state_last; /* where the last service's state begins, behind anyhop_guard in the map `guard` */
	__u32 lists_bytes; /* of an element of `lists`, a multiple of 64 */
};

struct anyhop_live {
	__u32 buffer; /* 0 to ANYHOP_IMAGES - 1 */
	__u32 lists;  /* 0 to ANYHOP_LISTS_BUFFERS - 1 */
};

/* Packets and IP bytes as received. */
struct anyhop_traffic {
	__u64 packets;
	__u64 bytes;
};

/* Start of an element of `counters`; behind it anyhop_traffic of each service, then of each backend, by counter
 * number, as many as the program was loaded for; then, on the next cache line, anyhop_guarded of each service (defend.h). Elements are whole
 * cache lines. */
struct anyhop_counters {
	__u64 verdicts[ANYHOP_VERDICTS_MAX];
};

#define ANYHOP_XDP_STRUCTS(S, F) \
	S(sizes) F(sizes, image_bytes) F(sizes, backends_at) F(sizes, counter_last) F(sizes, guarded_at) F(sizes, state_last) F(sizes, lists_bytes) \
	S(live) F(live, buffer) F(live, lists) \
	S(traffic) F(traffic, packets) F(traffic, bytes) \
	S(counters) F(counters, verdicts)

#define ANYHOP_XDP_CONSTANTS(C) C(IMAGES) C(LISTS_BUFFERS) C(VERDICTS_MAX) C(STEER_MISSED)

_Static_assert(ANYHOP_VERDICT_COUNT <= (int)ANYHOP_STEER_MISSED, "every verdict has its counter");

#endif
