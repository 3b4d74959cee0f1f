/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * What defence keeps in memory, beside the image: the rules of each service, which are part of the image, and the state that packets
 * change, which is not.
 *
 *   packet of a service -> lists (block, allow) -> rate of its source -> owner -> [SYN] rate of the service -> cookie, drop or pass
 *
 * The state is bounded, is no connection table, and may be lost at any time: what was counted starts from zero. All CPUs, and all workers
 * of the engine af_xdp, share it without atomic operations; what they count at the same moment may be lost, which lets a few packets
 * more through.
 *
 * Time for limits is in units of 2^20 ns (1.05 ms) of the monotonic clock, so that BPF shifts where it would divide. Time for cookies is
 * in milliseconds of the fleet's clock: CLOCK_REALTIME since ANYHOP_FLEET_CLOCK_START.
 */
#ifndef ANYHOP_DEFEND_H
#define ANYHOP_DEFEND_H

#include <linux/types.h>

#include "image.h"

#define ANYHOP_UNIT_SHIFT 20u /* of a unit of time: 2^20 ns */

#define ANYHOP_FLEET_CLOCK_START 1577836800u /* 2020-01-01, in seconds since 1970 */

/* anyhop_rules.flags. A rule without its ENFORCE bit counts what it would have dropped, and drops nothing. */
#define ANYHOP_RULES_LISTS (1u << 0)
#define ANYHOP_RULES_LISTS_ENFORCE (1u << 1)
#define ANYHOP_RULES_SOURCE (1u << 2)
#define ANYHOP_RULES_SOURCE_ENFORCE (1u << 3)
#define ANYHOP_RULES_SERVICE (1u << 4)
#define ANYHOP_RULES_SERVICE_ENFORCE (1u << 5)
#define ANYHOP_RULES_COOKIES (1u << 6)
#define ANYHOP_RULES_COOKIES_ENFORCE (1u << 7)
#define ANYHOP_RULES_COOKIES_ALWAYS (1u << 8) /* or else above the threshold */

/* The rules of one service, at anyhop_header.rules_offset + 64 * its counter number. */
struct anyhop_rules {
	__u32 flags;           /* 0: the service has none */
	__u32 scope;           /* whose sources are counted together: 0 the node's, or 1 + the service's counter number */
	__u32 source_packets;  /* a source may send in a window; ANYHOP_NO_LIMIT: any number */
	__u32 source_syns;
	__u32 network_packets; /* the same for all of a /24 or /48 */
	__u32 network_syns;
	__u32 window;          /* of sources, in units; the same for all services of an image */
	__u32 service_syns;    /* pass to the backends in a service_window */
	__u32 service_window;  /* in units */
	__u32 threshold;       /* SYNs of a service_window above which cookies are used, before user space has learnt the norm */
	__u8 prefix4;          /* bits of an IPv4 address that are one source, 8 to 32 */
	__u8 prefix6;          /* of an IPv6 address, 32 to 128 */
	__u8 reserved[22];
};

#define ANYHOP_NO_LIMIT 0xffffffffu

/* What is counted for each service, by each CPU: what was done, and in observe mode what would have been. */
enum anyhop_guarded_count {
	ANYHOP_GUARDED_SYNS, /* that came and were not dropped by lists or the source's rate */
	ANYHOP_GUARDED_BLOCKED,
	ANYHOP_GUARDED_SOURCE_RATE,
	ANYHOP_GUARDED_SERVICE_RATE,
	ANYHOP_GUARDED_COOKIES,
	ANYHOP_GUARDED_SYN_LIMITED,
	ANYHOP_GUARDED_WOULD_BLOCK,
	ANYHOP_GUARDED_WOULD_SOURCE_RATE,
	ANYHOP_GUARDED_WOULD_SERVICE_RATE,
	ANYHOP_GUARDED_WOULD_COOKIE,
	ANYHOP_GUARDED_WOULD_SYN_LIMIT,
	ANYHOP_GUARDED_ALLOWED, /* on the list `allow`: spared the limits of sources */
	ANYHOP_GUARDED_LAST = ANYHOP_GUARDED_ALLOWED,
};
#define ANYHOP_GUARDED_KINDS 16u /* two cache lines a service */

struct anyhop_guarded {
	__u64 counts[ANYHOP_GUARDED_KINDS];
};

#define ANYHOP_DEFEND_STRUCTS(S, F) \
	S(rules) F(rules, flags) F(rules, scope) F(rules, source_packets) F(rules, source_syns) F(rules, network_packets) \
	F(rules, network_syns) F(rules, window) F(rules, service_syns) F(rules, service_window) F(rules, threshold) F(rules, prefix4) \
	F(rules, prefix6) \
	S(guarded) F(guarded, counts)

#define ANYHOP_DEFEND_CONSTANTS(C) \
	C(UNIT_SHIFT) C(FLEET_CLOCK_START) C(NO_LIMIT) \
	C(RULES_LISTS) C(RULES_LISTS_ENFORCE) C(RULES_SOURCE) C(RULES_SOURCE_ENFORCE) C(RULES_SERVICE) C(RULES_SERVICE_ENFORCE) \
	C(RULES_COOKIES) C(RULES_COOKIES_ENFORCE) C(RULES_COOKIES_ALWAYS) \
	C(GUARDED_SYNS) C(GUARDED_BLOCKED) C(GUARDED_SOURCE_RATE) C(GUARDED_SERVICE_RATE) C(GUARDED_COOKIES) C(GUARDED_SYN_LIMITED) \
	C(GUARDED_WOULD_BLOCK) C(GUARDED_WOULD_SOURCE_RATE) C(GUARDED_WOULD_SERVICE_RATE) C(GUARDED_WOULD_COOKIE) \
	C(GUARDED_WOULD_SYN_LIMIT) C(GUARDED_ALLOWED) C(GUARDED_KINDS)

_Static_assert(sizeof(struct anyhop_rules) == 64, "a cache line");
_Static_assert(ANYHOP_GUARDED_LAST < ANYHOP_GUARDED_KINDS, "every count has its place");

#endif
