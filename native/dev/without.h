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
#define anyhop_flow_hash(key, words, count) (((words)[0] ^ (words)[1] ^ (key)[0]) * 0x9e3779b1u)

#elif defined(ANYHOP_WITHOUT_vip)
#include "anyhop/search.h"
#define anyhop_find_vip_at(view, family, address) \
	((const struct anyhop_vip *)anyhop_at(view, anyhop_header(view)->vip_offset))

#elif defined(ANYHOP_WITHOUT_service)
#include "anyhop/icmp.h"
#define anyhop_service_of(view, vip, protocol, port) anyhop_service_at(view, 0)

#elif defined(ANYHOP_WITHOUT_checks)
#include "anyhop/match.h"
#define anyhop_judge_mac(header, frame) (-1)
#define anyhop_is_plain_source4(source) 1
#define anyhop_is_own(packet, match) 0

#elif defined(ANYHOP_WITHOUT_age)
#include "anyhop/encapsulate.h"
#define anyhop_age(p) ((struct anyhop_inner){.family = (p)->family, .length = (p)->length})

#elif defined(ANYHOP_WITHOUT_write)
#include "anyhop/encapsulate.h"
#define anyhop_write_outer(out, choice, inner, l2_length, ip_length, keyed) ((void)(out), (void)(choice), (void)(inner))

#else
#error "no such step"
#endif
