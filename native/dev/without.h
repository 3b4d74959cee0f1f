/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * The forwarding program without one of its steps: native/bpf/forward.bpf.c compiled behind this header, which puts
 * something that does next to nothing in the place of a function. bench/xdp/steps.ts measures what that wins.
 *
 * A program without a step still forwards what the bench sends: IPv4 TCP for the VIP at the first place of the image's table,
 * which has one service. A function is replaced in all that comes after the header which defines it.
 */
#include <linux/bpf.h>

#if defined(ANYHOP_WITHOUT_hash)
#include "anyhop/flow_hash.h"
#define anyhop_finish_hash(sum, first, second) ((sum) >> 32)

#elif defined(ANYHOP_WITHOUT_lane)
#include "anyhop/search.h"
#define anyhop_find_lane4(view, l3, is_vip) (*(is_vip) = 1, (const struct anyhop_lane *)anyhop_at(view, anyhop_lanes(view)->offset4))

#elif defined(ANYHOP_WITHOUT_checks)
#include "anyhop/match.h"
#define anyhop_is_plain_source4(source) 1

#elif defined(ANYHOP_WITHOUT_age)
#include "anyhop/encapsulate.h"
#define anyhop_age(ip, family) ((void)(ip))

#elif defined(ANYHOP_WITHOUT_write)
#include "anyhop/lane.h"
#define anyhop_lane_write(out, choice, hosts, gre, l2_length, ip_length, keyed) ((void)(out), (void)(choice), (void)(hosts), (void)(gre))

#elif defined(ANYHOP_WITHOUT_capture)
#include "../bpf/capture.h"
#define capture_looks(ctx, cpu, early) 0
#define capture_armed() 0

#elif defined(ANYHOP_WITHOUT_guard)
#include "../bpf/maps.h"
#include "anyhop/guard.h"
#define anyhop_rules_of(view, counter) ((void)(view), (void)(counter), (const struct anyhop_rules *)0)
#define guarded least * 0 /* of a lane: no service has rules */

#else
#error "no such step"
#endif
