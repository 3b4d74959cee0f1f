/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * The rules of defence, applied to a packet of a service: what defend.h lays down, in two steps around the choice of the owner.
 *
 *   anyhop_guard_lists    allow and block
 *   anyhop_guard_source   rate of the source
 *   anyhop_weigh_syn      rate of the service; whether a cookie is wanted
 *   anyhop_judge_syn      what becomes of a SYN, when it is known whether a cookie can answer it
 *
 * A rule in observe mode counts what it would have dropped, and the packet goes on to the next rule as if there were none. So observing
 * one rule never weakens another. What a rule would have dropped it does not count as admitted, as in enforce mode: the counts are
 * those that enforcing would have.
 *
 * The reference is src/forward/guard.ts.
 */
#ifndef ANYHOP_GUARD_H
#define ANYHOP_GUARD_H

#include "defend.h"
#include "flow_hash.h"
#include "lists.h"
#include "packet.h"
#include "xdp.h"

/* What the rules count in, and the time. */
struct anyhop_guarding {
	struct anyhop_guard *state;
#ifndef __bpf__
	const struct anyhop_view *lists; /* compiled; NULL: none. In BPF, less stack is left */
#endif
	struct anyhop_guarded *own; /* of the first service, by this CPU */
	__u32 now;        /* in units */
#ifndef __bpf__
	__u32 tick;       /* of the budgets of answers, in ANYHOP_BUDGET_TICK_MS */
	__u64 state_last; /* where the last service's state begins behind `state` */
#endif
};

#ifdef __bpf__
#define ANYHOP_STATE_LAST(g) sizes.state_last
#else
#define ANYHOP_STATE_LAST(g) (g)->state_last
#endif

/* Whose packet it is, of which service. */
struct anyhop_guest {
	__u32 address[4]; /* its own source: raw words, one for IPv4 */
	__u32 now;
	__u16 counter; /* the service's */
	__u8 family;
	__u8 is_syn;
	__u32 listed; /* what the lists say of the source, where rules ask them: enum anyhop_listed */
};

/* A function that BPF's verifier looks at once, and not for every path that leads to it: what it is given may be anything of these sizes. */
#ifdef __bpf__
#define ANYHOP_ONCE __attribute__((noinline))
#else
#define ANYHOP_ONCE static inline __attribute__((unused))
#endif

/* Whether user space has told the fleet's time: a cookie of any other time would be refused. */
anyhop_inline int anyhop_knows_fleet_time(const struct anyhop_guarding *g)
{
	return g->state->time.fleet_offset_ms != 0;
}

/* The rules of a service by its counter, or NULL. */
anyhop_inline const struct anyhop_rules *anyhop_rules_of(const struct anyhop_view *view, __u32 counter)
{
	__u32 offset = anyhop_header(view)->rules_offset;
	const struct anyhop_rules *rules;

	if (anyhop_likely(offset == 0))
		return 0;
	rules = anyhop_at(view, offset + sizeof(struct anyhop_defence) + counter * sizeof(struct anyhop_rules));
	return rules && rules->flags ? rules : 0;
}

/* A service's counts of this CPU, and the state that all share; NULL for a number that there is no room for. As in anyhop_at, what is
 * compared is what is added. */
anyhop_inline struct anyhop_guarded *anyhop_own_counts(const struct anyhop_guarding *g, __u32 counter)
{
	__u64 offset = (__u64)counter * sizeof(struct anyhop_service_state);

	__asm__ volatile("" : "+r"(offset));
	if (offset > ANYHOP_STATE_LAST(g))
		return 0;
	__asm__ volatile("" : "+r"(offset));
	return (void *)g->own + 2 * offset;
}

anyhop_inline struct anyhop_service_state *anyhop_state_of(const struct anyhop_guarding *g, __u32 counter)
{
	__u64 offset = (__u64)counter * sizeof(struct anyhop_service_state);

	__asm__ volatile("" : "+r"(offset));
	if (offset > ANYHOP_STATE_LAST(g))
		return 0;
	__asm__ volatile("" : "+r"(offset));
	return (void *)(g->state + 1) + offset;
}

/* Whether TCP's flags, its byte 13, are those of a packet that opens a connection: no ACK, RST or FIN. */
anyhop_inline __u32 anyhop_is_syn(__u8 flags)
{
	return (flags & 0x17) == 0x02;
}

/* Which part of an address is a source, and what else tells it from others in the sketch: one word, for all that BPF has no stack for.
 *
 *   | anyhop_candidate.who without the family 32 | prefix of IPv4 8 | prefix of IPv6 8 |
 *
 * who      scope << 8, and ANYHOP_WHO_NETWORK for a /24 or /48
 * prefix4  8 to 32
 * prefix6  32 to 128 */
anyhop_inline __u64 anyhop_whose(__u32 who, __u32 prefix4, __u32 prefix6)
{
	return (__u64)who << 16 | prefix4 << 8 | prefix6;
}

/* A source: the halves of its prefix as raw words, one of 32 bits for IPv4, and anyhop_candidate.who. */
struct anyhop_source {
	__u64 high;
	__u64 low;
	__u32 who;
};

/* `high` and `low` are the halves of the address as raw words, one of 32 bits for IPv4. */
anyhop_inline struct anyhop_source anyhop_source_in(__u64 high, __u64 low, __u32 family, __u64 whose)
{
	struct anyhop_source source = {.high = high, .who = (__u32)(whose >> 16) | family};
	__u32 prefix4 = whose >> 8 & 63, prefix6 = whose & 255;

	if (family == 4)
		source.high &= __builtin_bswap32(~0u << ((32 - prefix4) & 31));
	else if (anyhop_unlikely(prefix6 < 64))
		source.high &= __builtin_bswap64(~0ull << ((64 - prefix6) & 63));
	else if (anyhop_unlikely(prefix6 > 64))
		source.low = low & __builtin_bswap64(~0ull << ((128 - prefix6) & 63));
	return source;
}

anyhop_inline struct anyhop_source anyhop_source_of(const struct anyhop_guest *guest, __u64 whose)
{
	return anyhop_source_in(anyhop_get64(guest->address), anyhop_get64(guest->address + 2), guest->family, whose);
}

/* Of one word and `who` for IPv4. */
anyhop_inline __u32 anyhop_source_hash(const struct anyhop_defence *defence, const struct anyhop_source *source, __u32 family)
{
	const __u32 *key = defence->key;
	__u64 sum;

	if (family == 4)
		sum = anyhop_nh(key, (__u32)source->high, source->who);
	else
		sum = anyhop_nh(key, (__u32)source->high, (__u32)(source->high >> 32)) +
		      anyhop_nh(key + 2, (__u32)source->low, (__u32)(source->low >> 32)) + anyhop_nh(key + 4, source->who, 0);
	return (__u32)anyhop_finish_hash(sum, anyhop_get64(key + 6), anyhop_get64(key + 8));
}

/* Takes note of a source that sends much: in its place among the candidates, unless one that sends more is there.
 *
 * met    hash << 32 | window
 * count  packets it has sent in the window << 32 | packets that its limits have dropped since the last note */
static __attribute__((noinline, unused)) int anyhop_note(struct anyhop_guard *state, const struct anyhop_guest *guest, __u64 whose, __u64 met,
							  __u64 count)
{
	struct anyhop_candidate *candidate = &state->candidates[met >> 43 & (ANYHOP_CANDIDATES - 1)];
	struct anyhop_source source = anyhop_source_of(guest, whose);
	__u32 window = (__u32)met, packets = (__u32)(count >> 32);

	if (candidate->who != source.who || anyhop_get64(candidate->address) != source.high ||
	    anyhop_get64(candidate->address + 2) != source.low) {
		if (candidate->who && window - candidate->window < 2 && packets < candidate->packets)
			return 0;
		anyhop_put64(candidate->address, source.high);
		anyhop_put64(candidate->address + 2, source.low);
		candidate->who = source.who;
		candidate->dropped = 0;
	}
	candidate->window = window;
	candidate->packets = packets;
	candidate->dropped += (__u32)count;
	return 0;
}

anyhop_inline int anyhop_is_notable(__u32 packets)
{
	return packets >= ANYHOP_CANDIDATE_LEAST && (packets & (packets - 1)) == 0;
}

/* What is asked of a source: whether its packets are below a limit, and its SYNs. */
struct anyhop_ask {
	__u64 whose; /* anyhop_whose */
	__u32 packets;
	__u32 syns;
	__u32 counts;     /* if they are, counts one more */
	__u32 is_sampled; /* if they are not, takes note of the source */
};

/* Whether a source may send one more. */
anyhop_inline int anyhop_is_within(struct anyhop_guard *state, const struct anyhop_defence *defence, const struct anyhop_guest *guest,
				   const struct anyhop_ask *ask)
{
	struct anyhop_source source = anyhop_source_of(guest, ask->whose);
	struct anyhop_moment moment = anyhop_moment_at(guest->now, defence->reciprocal);
	__u32 hash = anyhop_source_hash(defence, &source, guest->family), is_within, sent;
	struct anyhop_cell *first = anyhop_sketch_first(&state->sketch, hash);
	struct anyhop_cell *second = anyhop_sketch_second(&state->sketch, hash);
	struct anyhop_pair packets = anyhop_pair_of(first->packets, second->packets, &moment);

	is_within = packets.sliding < ask->packets &&
		    (!guest->is_syn || anyhop_pair_of(first->syns, second->syns, &moment).sliding < ask->syns);
	sent = packets.present;
	if (anyhop_likely(is_within)) {
		if (!ask->counts)
			return 1;
		anyhop_pair_raise(&packets, &first->packets, &second->packets);
		if (guest->is_syn) { /* once more: kept over the stores it would not fit the stack of BPF */
			struct anyhop_pair syns = anyhop_pair_of(first->syns, second->syns, &moment);

			anyhop_pair_raise(&syns, &first->syns, &second->syns);
		}
		sent++;
		if (anyhop_likely(!anyhop_is_notable(sent)))
			return 1;
	} else if (!ask->is_sampled) {
		return 0;
	}
	anyhop_note(state, guest, ask->whose, (__u64)hash << 32 | moment.window, (__u64)sent << 32 | (is_within ? 0 : ANYHOP_CANDIDATE_SAMPLE));
	return (int)is_within;
}

static __attribute__((noinline, unused)) int anyhop_is_within_apart(struct anyhop_guard *state, const struct anyhop_defence *defence,
								     const struct anyhop_guest *guest, const struct anyhop_ask *ask)
{
	return anyhop_is_within(state, defence, guest, ask);
}

/* Whether one packet in some, of those that the limits drop, is to be taken note of. */
anyhop_inline __u32 anyhop_is_sampled(const struct anyhop_guarded *own)
{
	return (own->counts[ANYHOP_GUARDED_SOURCE_RATE] + own->counts[ANYHOP_GUARDED_WOULD_SOURCE_RATE]) % ANYHOP_CANDIDATE_SAMPLE == 0;
}

/* What a packet's source is asked for. */
anyhop_inline struct anyhop_ask anyhop_ask_of(const struct anyhop_rules *rules, const struct anyhop_guarded *own, __u32 counts)
{
	return (struct anyhop_ask){
		.whose = anyhop_whose(rules->scope << 8, rules->prefix4, rules->prefix6),
		.packets = rules->source_packets,
		.syns = rules->source_syns,
		.counts = counts,
		.is_sampled = anyhop_is_sampled(own),
	};
}

/* Whether a packet is within the limits of its source, and of its network: it is counted then, and otherwise nowhere. */
ANYHOP_ONCE int anyhop_network_admits(struct anyhop_guard *state, const struct anyhop_defence *defence, const struct anyhop_rules *rules,
				      const struct anyhop_guest *guest, const struct anyhop_guarded *own)
{
	struct anyhop_ask ask;

	if (!state || !defence || !rules || !guest || !own)
		return 1; /* for the verifier */
	ask = anyhop_ask_of(rules, own, 0);
	if (!anyhop_is_within_apart(state, defence, guest, &ask))
		return 0;
	ask.whose = anyhop_whose(rules->scope << 8 | ANYHOP_WHO_NETWORK, 24, 48);
	ask.packets = rules->network_packets;
	ask.syns = rules->network_syns;
	ask.counts = 1;
	if (!anyhop_is_within_apart(state, defence, guest, &ask))
		return 0;
	ask.whose = anyhop_whose(rules->scope << 8, rules->prefix4, rules->prefix6);
	ask.packets = ask.syns = ANYHOP_NO_LIMIT;
	return anyhop_is_within_apart(state, defence, guest, &ask);
}

/* The same where networks have no limit. */
ANYHOP_ONCE int anyhop_source_admits(struct anyhop_guard *state, const struct anyhop_defence *defence, const struct anyhop_rules *rules,
				     const struct anyhop_guest *guest, const struct anyhop_guarded *own)
{
	struct anyhop_ask ask;

	if (!state || !defence || !rules || !guest || !own)
		return 1; /* for the verifier */
	ask = anyhop_ask_of(rules, own, 1);
	return anyhop_is_within(state, defence, guest, &ask);
}

/* Lets a packet pass that is no SYN, and counts it, if nothing else is to be done about its source: it is within its limit, its network has none,
 * and it is not to be taken note of. Returns 0, and has counted nothing, when it takes anyhop_guard_source to tell. For most packets, this
 * saves half of what that costs. */
anyhop_inline int anyhop_passes_at_once(struct anyhop_guard *state, const struct anyhop_defence *defence, const struct anyhop_rules *rules,
					__u32 now, __u64 high, __u64 low, __u32 family)
{
	__u64 whose = anyhop_whose(rules->scope << 8, rules->prefix4, rules->prefix6);
	struct anyhop_source source = anyhop_source_in(high, low, family, whose);
	struct anyhop_moment moment = anyhop_moment_at(now, defence->reciprocal);
	__u32 hash = anyhop_source_hash(defence, &source, family);
	struct anyhop_cell *first = anyhop_sketch_first(&state->sketch, hash);
	struct anyhop_cell *second = anyhop_sketch_second(&state->sketch, hash);
	struct anyhop_pair packets = anyhop_pair_of(first->packets, second->packets, &moment);

	if (packets.sliding >= rules->source_packets || anyhop_is_notable(packets.present + 1) ||
	    rules->network_packets != ANYHOP_NO_LIMIT || rules->network_syns != ANYHOP_NO_LIMIT)
		return 0;
	anyhop_pair_raise(&packets, &first->packets, &second->packets);
	return 1;
}

/* What lists say of a source, by all that there is to know; NULL for none. */
anyhop_inline __u32 anyhop_listed_in(const struct anyhop_view *lists, __u64 high, __u64 low, __u32 family)
{
	if (!lists || !lists->image)
		return ANYHOP_LISTED_NONE;
	return family == 4 ? anyhop_listed4(lists, (__u32)high) : anyhop_listed6(lists, high, low);
}

#ifdef __bpf__
#define ANYHOP_LISTS_OF(g) 0
/* The same of the lists in force: native/bpf/forward.bpf.c. */
int anyhop_listed_apart(__u64 high, __u64 low, __u32 family);
#define ANYHOP_LISTED_REST(lists, high, low, family) ((__u32)anyhop_listed_apart(high, low, family))
#define ANYHOP_LISTED6_APART 1 /* of IPv6 the whole search: inline, the verifier of Linux 6.1 loses a bound for want of registers */
#else
#define ANYHOP_LISTED6_APART 0
#define ANYHOP_LISTS_OF(g) ((g)->lists)
#define ANYHOP_LISTED_REST(lists, high, low, family) anyhop_listed_in(lists, high, low, family)
#endif

/* What the lists say of the source at `source`, in the packet. In BPF, what takes a search, all of IPv6, and all of it on the long way, where
 * no lists are given, is in a function that the verifier looks at once. */
anyhop_inline __u32 anyhop_listed(const struct anyhop_view *lists, const __u8 *source, __u32 family)
{
	__u64 high = family == 4 ? __builtin_bswap32(anyhop_get32(source)) : __builtin_bswap64(anyhop_get64(source));
	__u32 listed = ANYHOP_LISTED_PART;

	if (lists && lists->image && (family == 4 || !ANYHOP_LISTED6_APART))
		listed = family == 4 ? anyhop_listed4_net(lists, (__u32)high) : anyhop_listed6_net(lists, high);
	if (anyhop_likely(listed != ANYHOP_LISTED_PART))
		return listed;
	return ANYHOP_LISTED_REST(lists, high, family == 4 ? 0 : __builtin_bswap64(anyhop_get64(source + 8)), family);
}

/* The lists: a verdict that drops; 0 for a source that is spared the limits of sources, or -1 to go on. */
anyhop_inline int anyhop_guard_lists(const struct anyhop_rules *rules, __u32 listed, struct anyhop_guarded *own)
{
	if (anyhop_likely(listed == ANYHOP_LISTED_NONE))
		return -1;
	if (listed == ANYHOP_LISTED_ALLOW) {
		own->counts[ANYHOP_GUARDED_ALLOWED]++;
		return 0;
	}
	if (rules->flags & ANYHOP_RULES_LISTS_ENFORCE) {
		own->counts[ANYHOP_GUARDED_BLOCKED]++;
		return ANYHOP_V_DROP_BLOCKED;
	}
	own->counts[ANYHOP_GUARDED_WOULD_BLOCK]++;
	return -1;
}

/* The rate of the source: a verdict that drops, or -1 to go on. */
anyhop_inline int anyhop_guard_source(struct anyhop_guard *state, const struct anyhop_defence *defence, const struct anyhop_rules *rules,
				      const struct anyhop_guest *guest, struct anyhop_guarded *own)
{
	int admits = anyhop_likely(rules->network_packets == ANYHOP_NO_LIMIT && rules->network_syns == ANYHOP_NO_LIMIT) ?
			     anyhop_source_admits(state, defence, rules, guest, own) :
			     anyhop_network_admits(state, defence, rules, guest, own);

	if (anyhop_likely(admits))
		return -1;
	if (rules->flags & ANYHOP_RULES_SOURCE_ENFORCE) {
		own->counts[ANYHOP_GUARDED_SOURCE_RATE]++;
		return ANYHOP_V_DROP_SOURCE_RATE;
	}
	own->counts[ANYHOP_GUARDED_WOULD_SOURCE_RATE]++;
	return -1;
}

/* Lists and the source's rate: a verdict that drops, or -1 to go on. */
anyhop_inline int anyhop_guard_packet(const struct anyhop_guarding *g, const struct anyhop_view *view, const struct anyhop_rules *rules,
				      const struct anyhop_guest *guest)
{
	const struct anyhop_defence *defence = anyhop_at(view, anyhop_header(view)->rules_offset);
	struct anyhop_guarded *own = anyhop_own_counts(g, guest->counter);
	int stopped;

	if (!defence || !own)
		return -1; /* a damaged image */
	stopped = anyhop_guard_lists(rules, guest->listed, own);
	if (stopped >= 0)
		return stopped ? stopped : -1;
	if (!(rules->flags & ANYHOP_RULES_SOURCE))
		return -1;
	return anyhop_guard_source(g->state, defence, rules, guest, own);
}

/* Counts a SYN among the service's: how many came within a window's time. */
anyhop_inline __u32 anyhop_arrived(__u32 now, const struct anyhop_moment *moment, struct anyhop_guarded *own,
				   struct anyhop_service_state *state)
{
	if (own->syns_pending >= ANYHOP_SYN_BATCH || own->syn_unit != now) {
		if (own->syns_pending)
			state->arrived = anyhop_count_plus(state->arrived, moment->window, own->syns_pending);
		own->syns_pending = 0;
		own->syn_unit = now;
	}
	own->syns_pending++;
	return anyhop_count_sliding(state->arrived, moment) + own->syns_pending;
}

/* Whether cookies are used for a service now, since more SYNs come than its threshold. */
anyhop_inline int anyhop_is_flooded(__u32 now, const struct anyhop_rules *rules, struct anyhop_service_state *state,
				    __u32 arrived)
{
	__u32 threshold = state->threshold ? state->threshold : rules->threshold, left = state->cookies_until - now;

	if (arrived > threshold) {
		if (left > ANYHOP_COOKIES_HOLD || left < ANYHOP_COOKIES_RENEW)
			state->cookies_until = now + ANYHOP_COOKIES_HOLD;
		return 1;
	}
	return left - 1 < ANYHOP_COOKIES_HOLD;
}

/* What the rules say of a SYN whose owner is known, before it is known whether a cookie can answer it. */
struct anyhop_weighed {
	__u32 arrived;   /* SYNs of the service in a window's time */
	__u32 passed;    /* of these, to the backends */
	__u32 window;    /* the service's */
	__u32 is_over;   /* its rate */
};

/* Counts a SYN, and weighs it: whether a cookie is wanted. */
ANYHOP_ONCE int anyhop_weigh_syn(struct anyhop_service_state *state, const struct anyhop_rules *rules, struct anyhop_guarded *own,
				 __u32 now, struct anyhop_weighed *weighed)
{
	struct anyhop_moment moment;
	__u32 flags, is_flooded;

	if (!state || !rules || !own || !weighed)
		return 0;
	flags = rules->flags;
	moment = anyhop_moment_at(now, rules->service_reciprocal);
	own->counts[ANYHOP_GUARDED_SYNS]++;
	weighed->window = moment.window;
	weighed->arrived = anyhop_arrived(now, &moment, own, state);
	is_flooded = anyhop_is_flooded(now, rules, state, weighed->arrived);
	weighed->passed = anyhop_count_sliding(state->passed, &moment);
	weighed->is_over = flags & ANYHOP_RULES_SERVICE && weighed->passed >= rules->service_syns;
	if (!(flags & ANYHOP_RULES_COOKIES))
		return 0;
	/* An observing limit does not make cookies be sent. */
	return is_flooded || flags & ANYHOP_RULES_COOKIES_ALWAYS ||
	       (weighed->is_over && (flags & ANYHOP_RULES_SERVICE_ENFORCE || !(flags & ANYHOP_RULES_COOKIES_ENFORCE)));
}

enum anyhop_cookie_answer { ANYHOP_COOKIE_UNWANTED, ANYHOP_COOKIE_CANNOT, ANYHOP_COOKIE_CAN };

/* What becomes of a SYN that was weighed: a verdict that answers or drops, or FORWARDED.
 *
 * cookie  whether one is wanted, and can answer it: its owner takes cookies, its options allow it, and the budget of answers does */
ANYHOP_ONCE int anyhop_judge_syn(struct anyhop_service_state *state, const struct anyhop_rules *rules, struct anyhop_guarded *own,
				 const struct anyhop_weighed *weighed, __u32 cookie)
{
	__u32 flags, enforces, cap;

	if (!state || !rules || !own || !weighed)
		return ANYHOP_V_FORWARDED;
	flags = rules->flags;
	enforces = flags & ANYHOP_RULES_SERVICE_ENFORCE;
	if (cookie != ANYHOP_COOKIE_UNWANTED) {
		cap = state->threshold ? state->threshold : rules->threshold;
		if (flags & ANYHOP_RULES_SERVICE && rules->service_syns < cap)
			cap = rules->service_syns;
		if (flags & ANYHOP_RULES_COOKIES_ENFORCE) {
			if (cookie == ANYHOP_COOKIE_CAN) {
				own->counts[ANYHOP_GUARDED_COOKIES]++;
				return ANYHOP_V_SYN_COOKIE_ANSWERED;
			}
			if (weighed->passed >= cap) {
				own->counts[ANYHOP_GUARDED_SYN_LIMITED]++;
				return ANYHOP_V_DROP_SYN_LIMITED;
			}
		} else if (cookie == ANYHOP_COOKIE_CAN || weighed->passed >= cap) {
			own->counts[cookie == ANYHOP_COOKIE_CAN ? ANYHOP_GUARDED_WOULD_COOKIE : ANYHOP_GUARDED_WOULD_SYN_LIMIT]++;
			if (!enforces)
				return ANYHOP_V_FORWARDED;
		}
	}
	if (weighed->is_over && enforces) {
		own->counts[ANYHOP_GUARDED_SERVICE_RATE]++;
		return ANYHOP_V_DROP_SERVICE_RATE;
	}
	if (weighed->is_over) {
		own->counts[ANYHOP_GUARDED_WOULD_SERVICE_RATE]++;
		return ANYHOP_V_FORWARDED;
	}
	if (cookie != ANYHOP_COOKIE_UNWANTED || flags & ANYHOP_RULES_SERVICE)
		state->passed = anyhop_count_plus(state->passed, weighed->window, 1);
	return ANYHOP_V_FORWARDED;
}

#define ANYHOP_GUARDS_SYNS (ANYHOP_RULES_SERVICE | ANYHOP_RULES_COOKIES)

/* What the lists say of the source of a packet of the lane (lane.h), where its service's rules ask them. They are asked as soon as the service
 * is known: what is blocked is spared all the rest. What they say else counts once the packet has an owner and fits. */
anyhop_inline __u32 anyhop_lane_listed(const struct anyhop_view *lists, const struct anyhop_lane *lane, const __u8 *l3, __u32 family)
{
	return lane->guarded & ANYHOP_RULES_LISTS ? anyhop_listed(lists, l3 + (family == 4 ? 12 : 8), family) : ANYHOP_LISTED_NONE;
}

anyhop_inline int anyhop_is_blocked(const struct anyhop_lane *lane, __u32 listed)
{
	return listed == ANYHOP_LISTED_BLOCK && lane->guarded & ANYHOP_RULES_LISTS_ENFORCE;
}

/* The number of a lane's counters. */
anyhop_inline __u32 anyhop_lane_counter(const struct anyhop_lane *lane)
{
	return (lane->counter - (__u32)sizeof(struct anyhop_counters)) / (__u32)sizeof(struct anyhop_traffic);
}

/* Counts a packet that the lists block. */
anyhop_inline void anyhop_count_blocked(const struct anyhop_guarding *g, const struct anyhop_lane *lane)
{
	struct anyhop_guarded *own = anyhop_own_counts(g, anyhop_lane_counter(lane));

	if (own)
		own->counts[ANYHOP_GUARDED_BLOCKED]++;
}

/* Whether a packet of the lane, of TCP or UDP, opens a connection. */
anyhop_inline __u32 anyhop_lane_is_syn(const __u8 *l3, const __u8 *end, __u32 family)
{
	const __u8 *tcp = l3 + (family == 4 ? 20 : 40);

	return l3[family == 4 ? 9 : 6] == ANYHOP_IP_TCP && tcp + 20 <= end && anyhop_is_syn(tcp[13]);
}

/* Whether rules have more to do with a packet of the lane than to ask the lists. Most packets are no SYNs: rules of SYNs cost them nothing. */
anyhop_inline int anyhop_lane_is_judged(const struct anyhop_lane *lane, __u32 listed, __u32 is_syn)
{
	return lane->guarded & ANYHOP_RULES_SOURCE || listed != ANYHOP_LISTED_NONE || (is_syn && lane->guarded & ANYHOP_GUARDS_SYNS);
}

/* Whose packet it is that the lane would forward; the time is not told. */
anyhop_inline void anyhop_lane_guest(const struct anyhop_lane *lane, const __u8 *l3, __u32 family, __u32 listed, __u32 is_syn,
				     struct anyhop_guest *guest)
{
	const __u8 *source = l3 + (family == 4 ? 12 : 8);

	anyhop_put64(guest->address, family == 4 ? anyhop_get32(source) : anyhop_get64(source));
	anyhop_put64(guest->address + 2, family == 4 ? 0 : anyhop_get64(source + 8));
	guest->counter = (__u16)anyhop_lane_counter(lane);
	guest->family = (__u8)family;
	guest->is_syn = (__u8)is_syn;
	guest->listed = listed;
}

/* Lists and rate of a packet of the lane that has an owner and fits: FORWARDED, or a verdict that drops. Of a SYN that rules are yet
 * to judge, `syn_rules` are these, or else NULL. */
anyhop_inline int anyhop_guard_lane(const struct anyhop_guarding *g, const struct anyhop_view *view, const struct anyhop_guest *guest,
				    const struct anyhop_rules **syn_rules)
{
	const struct anyhop_rules *rules = anyhop_rules_of(view, guest->counter);
	int stopped;

	*syn_rules = 0;
	if (!rules)
		return ANYHOP_V_FORWARDED;
	stopped = anyhop_guard_packet(g, view, rules, guest);
	if (stopped >= 0)
		return stopped;
	if (guest->is_syn && rules->flags & ANYHOP_GUARDS_SYNS)
		*syn_rules = rules;
	return ANYHOP_V_FORWARDED;
}

#endif
