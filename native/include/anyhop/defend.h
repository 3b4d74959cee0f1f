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
#include "sketch.h"

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

/* What holds for all services of an image, at anyhop_header.rules_offset. */
struct anyhop_defence {
	__u32 key[ANYHOP_FLOW_KEY_WORDS]; /* of the hash of sources (flow_hash.h) */
	__u32 window;     /* of sources, in units */
	__u32 reciprocal; /* 2^32 / window, rounded down: a multiplication in the place of a division */
	__u32 reserved[4];
};

/* The rules of one service, behind it: at rules_offset + 64 * (1 + the service's counter number). */
struct anyhop_rules {
	__u32 flags;           /* 0: the service has none */
	__u32 scope;           /* whose sources are counted together: 0 the node's, or 1 + the service's counter number */
	__u32 source_packets;  /* a source may send in a window; ANYHOP_NO_LIMIT: any number */
	__u32 source_syns;
	__u32 network_packets; /* the same for all of a /24 or /48 */
	__u32 network_syns;
	__u32 service_syns;    /* pass to the backends in a service_window */
	__u32 service_window;  /* in units */
	__u32 service_reciprocal;
	__u32 threshold;       /* SYNs of a service_window above which cookies are used, before user space has learnt the norm */
	__u8 prefix4;          /* bits of an IPv4 address that are one source, 8 to 32 */
	__u8 prefix6;          /* of an IPv6 address, 32 to 128 */
	__u8 reserved[22];
};

#define ANYHOP_NO_LIMIT 0xffffffffu

/* A CPU adds SYNs to the service's count so many at once, or when the unit changes: under a flood, the count's cache line would
 * otherwise go from CPU to CPU with every packet. So the service's count lacks as many for each CPU, at most. */
#define ANYHOP_SYN_BATCH 32u
#define ANYHOP_COOKIES_HOLD 9792u /* units for which cookies are used at least: 10 s, and 256 units that it may be late to renew them */
#define ANYHOP_COOKIES_RENEW 9536u

/* SYNs that are answered with a cookie. To one address (in IPv6, one /64), 930 a second, in windows of 2^10 units: more than any crowd behind
 * one address opens connections, and a thousandth of what it takes to fill a link with answers to somebody who sent nothing. Of one
 * service, 3.9 million a second: more than a core makes, and 2.3 Gbit/s of answers.
 *
 *   cell  | window 12 | answers 20 |
 *
 * The first limit is a sketch of its own, with conservative update: small, since each SYN of a flood comes from another address, and what
 * misses the cache would cost more than the answer. 4 million answers a second to as many addresses leave 250 in each cell. */
#define ANYHOP_ANSWERS_OF_SOURCE 1000u
#define ANYHOP_ANSWERS_OF_SERVICE 4096u /* a unit */
#define ANYHOP_ANSWERS_WINDOW_SHIFT 10u
#define ANYHOP_ANSWERS_WIDTH 16384u
#define ANYHOP_ANSWERS_ROWS 2u

struct anyhop_answers {
	__u32 cells[ANYHOP_ANSWERS_ROWS * ANYHOP_ANSWERS_WIDTH];
};

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
	__u64 counts[ANYHOP_GUARDED_KINDS - 2];
	__u32 syn_unit;    /* SYNs that this CPU has yet to add to the service's, and when they came: see anyhop_arrived */
	__u32 syns_pending;
	__u64 reserved;
};

/* The state that all CPUs share, of one service. User space writes `threshold` alone. */
struct anyhop_service_state {
	__u64 arrived; /* SYNs: a count (sketch.h) in windows of the service */
	__u64 passed;  /* of these, to the backends */
	__u32 threshold; /* 0: as the rules say */
	__u32 cookies_until; /* in units; far ahead or behind: not now */
	__u64 reserved[5];
};

/* A source that sends much, as the sketch came across it: whenever its packets of a window reach a power of two, and for one in
 * ANYHOP_CANDIDATE_SAMPLE packets dropped. */
struct anyhop_candidate {
	__u32 address[4]; /* raw words of its prefix; IPv4 in the first */
	__u32 who;        /* scope << 8 | ANYHOP_WHO_NETWORK for a /24 or /48 | family; 0: nobody */
	__u32 window;     /* when it was last seen */
	__u32 packets;    /* in that window, by then */
	__u32 dropped;    /* or would have been */
};
#define ANYHOP_WHO_NETWORK 128u
#define ANYHOP_CANDIDATES 1024u
#define ANYHOP_CANDIDATE_LEAST 64u /* packets in a window */
#define ANYHOP_CANDIDATE_SAMPLE 64u

/* How the packet path gets its time from CLOCK_MONOTONIC. All zero: as it is. */
struct anyhop_guard_time {
	__u64 frozen;          /* bits of the clock that are left out, in ns: all of them in tests, which set the offsets instead */
	__u64 fleet_offset_ms; /* from the monotonic clock to the fleet's; 0: not told yet, and no SYN is answered */
	__u32 offset;          /* in units */
	__u32 reserved[11];
};

/* All of it: 2 MiB and 160 KiB. Behind it anyhop_service_state of each service, by counter number. */
struct anyhop_guard {
	struct anyhop_guard_time time;
	struct anyhop_sketch sketch;
	struct anyhop_candidate candidates[ANYHOP_CANDIDATES];
	struct anyhop_answers answers;
};

#define ANYHOP_DEFEND_STRUCTS(S, F) \
	S(defence) F(defence, key) F(defence, window) F(defence, reciprocal) \
	S(rules) F(rules, flags) F(rules, scope) F(rules, source_packets) F(rules, source_syns) F(rules, network_packets) \
	F(rules, network_syns) F(rules, service_syns) F(rules, service_window) F(rules, service_reciprocal) F(rules, threshold) \
	F(rules, prefix4) F(rules, prefix6) \
	S(guarded) F(guarded, counts) F(guarded, syn_unit) \
	S(service_state) F(service_state, arrived) F(service_state, passed) F(service_state, threshold) F(service_state, cookies_until) \
	S(candidate) F(candidate, address) F(candidate, who) F(candidate, window) F(candidate, packets) F(candidate, dropped) \
	S(guard_time) F(guard_time, frozen) F(guard_time, fleet_offset_ms) F(guard_time, offset) \
	S(guard) F(guard, time) F(guard, sketch) F(guard, candidates) F(guard, answers)

#define ANYHOP_DEFEND_CONSTANTS(C) \
	C(UNIT_SHIFT) C(FLEET_CLOCK_START) C(NO_LIMIT) \
	C(RULES_LISTS) C(RULES_LISTS_ENFORCE) C(RULES_SOURCE) C(RULES_SOURCE_ENFORCE) C(RULES_SERVICE) C(RULES_SERVICE_ENFORCE) \
	C(RULES_COOKIES) C(RULES_COOKIES_ENFORCE) C(RULES_COOKIES_ALWAYS) \
	C(GUARDED_SYNS) C(GUARDED_BLOCKED) C(GUARDED_SOURCE_RATE) C(GUARDED_SERVICE_RATE) C(GUARDED_COOKIES) C(GUARDED_SYN_LIMITED) \
	C(GUARDED_WOULD_BLOCK) C(GUARDED_WOULD_SOURCE_RATE) C(GUARDED_WOULD_SERVICE_RATE) C(GUARDED_WOULD_COOKIE) \
	C(GUARDED_WOULD_SYN_LIMIT) C(GUARDED_ALLOWED) C(GUARDED_LAST) C(GUARDED_KINDS) \
	C(CANDIDATES) C(CANDIDATE_LEAST) C(CANDIDATE_SAMPLE) C(SYN_BATCH) C(COOKIES_HOLD) C(COOKIES_RENEW) C(WHO_NETWORK) \
	C(ANSWERS_OF_SOURCE) C(ANSWERS_OF_SERVICE) C(ANSWERS_WINDOW_SHIFT) C(ANSWERS_WIDTH)

_Static_assert(sizeof(struct anyhop_defence) == 64 && sizeof(struct anyhop_rules) == 64, "a cache line");
_Static_assert(sizeof(struct anyhop_guarded) == 128 && sizeof(struct anyhop_service_state) == 64, "cache lines of their own");
_Static_assert(sizeof(struct anyhop_guard_time) == 64 && sizeof(struct anyhop_candidate) == 32, "whole lines");
_Static_assert(ANYHOP_GUARDED_LAST < ANYHOP_GUARDED_KINDS - 2, "every count has its place");

#endif
