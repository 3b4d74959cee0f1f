/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * What bench.bpf.c's wrapper writes into each packet. bench/xdp/harness.ts fills it in, through the program's memory:
 * `struct anyhop_bench_plan plan` is the whole of .bss.
 */
#ifndef ANYHOP_BENCH_H
#define ANYHOP_BENCH_H

#include <linux/types.h>

#define ANYHOP_BENCH_TARGETS 32u /* a power of two; with fewer services some stand here more than once */

#define ANYHOP_BENCH_WHOLE 104u /* bytes of a frame that is written anew as a whole: 60, or 2 more than a multiple of 4 */

/* What packets of a flow are for. All in network order. */
struct anyhop_bench_target {
	__u8 address[16]; /* IPv4: the first four bytes */
	__u16 checksum; /* of the IPv4 header, which is the same for every flow of the target; of one without a source where these spread */
	__u16 port;
	__u32 reserved;
};

struct anyhop_bench_plan {
	__u32 next;      /* number of the next packet */
	__u32 flow_mask; /* flows less 1; flows are a power of two up to 2^20 */
	__u32 length;    /* of the frame as it came in */
	__u16 ttl_protocol; /* IPv4, as in the packet */
	__u16 ethertype;
	__u64 macs;      /* destination, and the first two bytes of the source */
	__u32 mac_tail;  /* the rest of the source */
	__u32 client;    /* the last four bytes of the first client's address (flows.h) */
	__u64 ipv6_start;   /* the header's first eight bytes, up to the hop limit */
	__u32 padding;      /* bytes behind the packet, which a subject cuts off */
	__u32 cut_off;      /* of the packet before; 0 for the first */
	/* Of a source that spreads: what its number decides, and what all have. Words as in the packet; IPv4 has the low half of the first. */
	__u64 source_bits[2];
	__u64 source_fixed[2];
	/* Frames that are written anew as a whole. */
	__u64 start;        /* where the first one stood; 0 before it */
	__u64 at;           /* where this one stands */
	__u64 settled;      /* counts them: see settle() */
	__u64 whole[ANYHOP_BENCH_WHOLE / 8];
	struct anyhop_bench_target targets[ANYHOP_BENCH_TARGETS];
};

_Static_assert(sizeof(struct anyhop_bench_target) == 24, "read by bench/xdp/harness.ts");
_Static_assert(sizeof(struct anyhop_bench_plan) == 104 + ANYHOP_BENCH_WHOLE + 24 * ANYHOP_BENCH_TARGETS, "read by bench/xdp/harness.ts");

#endif
