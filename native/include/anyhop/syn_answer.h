/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * The answer to a SYN (syn.h) with a SYN cookie (cookie.h), in its place: from the VIP, with the frame's MAC addresses swapped and its
 * VLAN tags kept. The reference is src/forward/syn-answer.ts.
 *
 * As for all answers (answer.h) there are three steps: anyhop_take_syn reads all that the answer takes from the packet, the caller
 * moves the frame's head (the tail stays where it is: some drivers cannot grow there), anyhop_write_syn_ack writes.
 *
 *   | layer 2 | IP header of 20 or 40 bytes | TCP 20 | MSS 4 | SACK and timestamps 12, or SACK 4, or none | window scale 4, or none |
 *
 * What a client did not offer it is not told, but for the MSS: so an answer is 4 bytes longer than the SYN at most, and nobody gains by
 * having SYNs answered to somebody else. Data of a SYN (TCP Fast Open) is not acknowledged: the client sends it again.
 */
#ifndef ANYHOP_SYN_ANSWER_H
#define ANYHOP_SYN_ANSWER_H

#include "answer.h"
#include "guard.h"
#include "lane.h"
#include "syn.h"

/* What is known of an answer before the frame is moved: from the image, the clock, and the SYN's options. */
struct anyhop_syn_terms {
	__u64 key[2];
	__u64 owner; /* anyhop_cookie_owner4 or 6 */
	__u64 fleet_ms;
	__u32 l2_length; /* of the frame: 14, 18 or 22 */
	__u32 longest;   /* packet that fits through the tunnel, in bytes */
	struct anyhop_syn_options options;
};

/* All that an answer takes from a SYN. */
struct anyhop_syn {
	__u64 addresses[4]; /* raw: the client's, then the VIP's; one word for IPv4 */
	__u64 macs;         /* raw: the frame's first eight bytes, */
	__u32 mac;          /* and the next four */
	__u32 tags[2];
	__u32 ports;        /* raw */
	__u32 isn;          /* of the client, host order */
	__u32 cookie;       /* host order */
	__u32 tsval;        /* of the client, raw */
	__u32 timestamp;    /* of the answer, host order */
	__u32 mss;          /* that the client is told */
	__u32 tcp_length;   /* of the answer's header */
	__u8 timestamps, sack, scales, ecn; /* what both sides do */
};

/* A SYN that rules judge. */
struct anyhop_syn_case {
	struct anyhop_guest guest;
	struct anyhop_weighed weighed;
	__u32 takes_cookies; /* its owner does, and the terms are set */
	struct anyhop_syn_terms terms;
	struct anyhop_syn syn;
};

/* What a cell of the sketch of answers counts in a window. */
anyhop_inline __u32 anyhop_answers_in(__u32 cell, __u32 window)
{
	return cell >> 20 == window ? cell & 0xfffff : 0;
}

/* Whether the budget of answers has one for a SYN: it is counted then. When too many come for the service, chance says which of them are
 * answered: another one a moment later, when they are sent again. */
ANYHOP_ONCE int anyhop_admits_answer(struct anyhop_guard *guard, const struct anyhop_defence *defence, const struct anyhop_rules *rules,
				     const struct anyhop_syn_case *one)
{
	__u32 hash, window, sent, others, *first, *second;
	__u64 chance;

	if (!guard || !defence || !rules || !one)
		return 0;
	hash = one->guest.family == 4 ? anyhop_flow_hash(defence->key, one->guest.address, 1) :
					anyhop_flow_hash(defence->key, one->guest.address, 2);
	chance = (hash ^ one->guest.now * 0x9e3779b1u) >> 8;
	if (anyhop_unlikely(chance * one->weighed.arrived >= (__u64)rules->service_window * ANYHOP_ANSWERS_OF_SERVICE << 24))
		return 0;
	window = one->guest.now >> ANYHOP_ANSWERS_WINDOW_SHIFT & 0xfff;
	first = &guard->answers.cells[hash & (ANYHOP_ANSWERS_WIDTH - 1)];
	second = &guard->answers.cells[ANYHOP_ANSWERS_WIDTH + (hash >> 16 & (ANYHOP_ANSWERS_WIDTH - 1))];
	sent = anyhop_answers_in(*first, window);
	others = anyhop_answers_in(*second, window);
	if (anyhop_unlikely(sent >= ANYHOP_ANSWERS_OF_SOURCE && others >= ANYHOP_ANSWERS_OF_SOURCE))
		return 0;
	if (sent <= others)
		*first = window << 20 | (sent + 1);
	if (others <= sent)
		*second = window << 20 | (others + 1);
	return 1;
}

/* What a path in the image says for the answer to a SYN: 0 when its backend takes no cookies, or the node has no key to make them. `service`
 * is the owner's, whose packets may carry a key. */
anyhop_inline int anyhop_take_terms(const struct anyhop_view *view, const struct anyhop_service *service,
				    const struct anyhop_choice *choice, struct anyhop_syn_terms *terms)
{
	const struct anyhop_path *path = choice->path;
	__u32 offset = anyhop_header(view)->cookie_offset, is_tagged = path->l2_length != 14;
	const struct anyhop_cookie_key *key = offset ? anyhop_at(view, offset) : 0;
	const __u8 *outer = choice->template;

	if (!key || !(path->flags & ANYHOP_PATH_COOKIES))
		return 0;
	terms->key[0] = key->words[0];
	terms->key[1] = key->words[1];
	terms->longest = path->mtu - 4 - (service->keys_offset ? 4 : 0);
	if (path->flags & ANYHOP_PATH_OUTER_IPV6) {
		terms->owner = is_tagged ? anyhop_cookie_owner6(outer + 18 + 24) : anyhop_cookie_owner6(outer + 14 + 24);
		terms->longest -= 40;
	} else {
		terms->owner = is_tagged ? anyhop_cookie_owner4(outer + 18 + 16) : anyhop_cookie_owner4(outer + 14 + 16);
		terms->longest -= 20;
	}
	return 1;
}

/* The same of a path of the lane, whose words have the owner's address. */
anyhop_inline int anyhop_take_lane_terms(const struct anyhop_view *view, const struct anyhop_lane *lane,
					 const struct anyhop_lane_path *path, struct anyhop_syn_terms *terms)
{
	__u32 offset = anyhop_header(view)->cookie_offset;
	const struct anyhop_cookie_key *key = offset ? anyhop_at(view, offset) : 0;

	if (!key || !path->takes_cookies)
		return 0;
	terms->key[0] = key->words[0];
	terms->key[1] = key->words[1];
	terms->longest = path->most - (lane->keys_offset ? 4 : 0);
	if (path->shape & ANYHOP_LANE_OUTER_IPV6)
		terms->owner = path->words[4] ^ path->words[5];
	else
		terms->owner = (__u32)(path->shape & ANYHOP_LANE_TAGGED ? path->words[4] >> 16 : path->words[4]);
	return 1;
}

/* Reads a SYN, whose fixed headers are there, and makes its cookie. `ip` is the start of its IP header, which has no options or extension
 * headers. */
anyhop_inline void anyhop_take_syn(const __u8 *frame, const __u8 *ip, __u32 family, const struct anyhop_syn_terms *terms,
				   struct anyhop_syn *syn)
{
	const struct anyhop_syn_options *options = &terms->options;
	const __u8 *tcp = ip + (family == 4 ? 20 : 40);
	struct anyhop_cookie_flow flow = {.owner = terms->owner, .family = family};
	__u32 epoch = (__u32)(terms->fleet_ms >> ANYHOP_COOKIE_EPOCH_SHIFT), fits = terms->longest - (family == 4 ? 40 : 60);
	__u32 most = family == 4 ? ANYHOP_COOKIE_MSS4_3 : ANYHOP_COOKIE_MSS6_3;

	syn->macs = anyhop_get64(frame);
	syn->mac = anyhop_get32(frame + 8);
	syn->tags[0] = anyhop_get32(frame + 12);
	syn->tags[1] = anyhop_get32(frame + 16);
	syn->addresses[0] = flow.addresses[0] = anyhop_get64(ip + (family == 4 ? 12 : 8));
	if (family != 4) {
		syn->addresses[1] = flow.addresses[1] = anyhop_get64(ip + 16);
		syn->addresses[2] = flow.addresses[2] = anyhop_get64(ip + 24);
		syn->addresses[3] = flow.addresses[3] = anyhop_get64(ip + 32);
	}
	syn->ports = flow.ports = anyhop_get32(tcp);
	syn->isn = flow.isn = __builtin_bswap32(anyhop_get32(tcp + 4));
	syn->timestamps = options->timestamps;
	syn->sack = options->sack;
	syn->scales = options->wscale != ANYHOP_COOKIE_NO_WSCALE;
	/* Only beside a timestamp, which remembers it (RFC 3168 section 6.1.1). */
	syn->ecn = options->timestamps && (tcp[13] & (ANYHOP_TCP_ECE | ANYHOP_TCP_CWR)) == (ANYHOP_TCP_ECE | ANYHOP_TCP_CWR);
	syn->tsval = options->tsval;
	syn->timestamp = ((__u32)terms->fleet_ms & ~ANYHOP_COOKIE_TSVAL_ECN) | syn->ecn;
	syn->mss = fits < most ? fits : most;
	syn->tcp_length = 24 + (syn->timestamps ? 12 : syn->sack ? 4 : 0) + (syn->scales ? 4 : 0);
	syn->cookie = anyhop_cookie_make(terms->key, &flow, epoch,
					 anyhop_cookie_options(options->mss, options->sack, options->wscale, family));
}

/* Bytes of the answer's frame. */
anyhop_inline __u32 anyhop_syn_ack_length(__u32 l2_length, __u32 family, const struct anyhop_syn *syn)
{
	return l2_length + (family == 4 ? 20 : 40) + syn->tcp_length;
}

anyhop_inline void anyhop_write_syn_ack_l2(__u8 *out, __u32 l2_length, __u32 type, const struct anyhop_syn *syn)
{
	anyhop_put64(out, syn->macs >> 48 | (__u64)syn->mac << 16 | syn->macs << 48);
	anyhop_put32(out + 8, (__u32)(syn->macs >> 16));
	/* At places that the compiler knows: see anyhop_write_l2. */
	if (anyhop_likely(l2_length == 14)) {
		anyhop_put16be(out + 12, type);
	} else if (l2_length == 18) {
		anyhop_put32(out + 12, syn->tags[0]);
		anyhop_put16be(out + 16, type);
	} else {
		anyhop_put32(out + 12, syn->tags[0]);
		anyhop_put32(out + 16, syn->tags[1]);
		anyhop_put16be(out + 20, type);
	}
}

/* The IP header, of `payload` bytes: the raw sum of the addresses, for the pseudo-header. */
anyhop_inline __u64 anyhop_write_syn_ack_ip(__u8 *ip, __u32 family, __u32 payload, const struct anyhop_syn *syn)
{
	const __u64 *from = syn->addresses;

	if (family == 4) {
		__u32 client = (__u32)from[0], vip = (__u32)(from[0] >> 32);
		__u64 sum = (__u64)client + vip, first = __builtin_bswap32(0x45000000 | (20 + payload)),
		      second = __builtin_bswap32(ANYHOP_IPV4_DONT_FRAGMENT),
		      third = __builtin_bswap32(ANYHOP_NODE_TTL << 24 | ANYHOP_IP_TCP << 16);

		anyhop_put32(ip, (__u32)first);
		anyhop_put32(ip + 4, (__u32)second);
		anyhop_put32(ip + 8, (__u32)third | anyhop_finish(first + second + third + sum) << 16);
		anyhop_put32(ip + 12, vip);
		anyhop_put32(ip + 16, client);
		return sum;
	}
	anyhop_put32(ip, __builtin_bswap32(0x60000000));
	anyhop_put32(ip + 4, __builtin_bswap32(payload << 16 | ANYHOP_IP_TCP << 8 | ANYHOP_NODE_TTL));
	anyhop_put64(ip + 8, from[2]);
	anyhop_put64(ip + 16, from[3]);
	anyhop_put64(ip + 24, from[0]);
	anyhop_put64(ip + 32, from[1]);
	return (from[0] & 0xffffffff) + (from[0] >> 32) + (from[1] & 0xffffffff) + (from[1] >> 32) + (from[2] & 0xffffffff) +
	       (from[2] >> 32) + (from[3] & 0xffffffff) + (from[3] >> 32);
}

/* The options behind the MSS, at `at`: their raw sum. Returns -1 when they do not fit, which the move rules out. */
anyhop_inline __s64 anyhop_write_syn_ack_options(__u8 *at, const __u8 *end, const struct anyhop_syn *syn)
{
	__u32 scale = ANYHOP_OPTIONS_WSCALE | ANYHOP_COOKIE_WSCALE << 24, first, stamp;
	__u64 sum = syn->scales ? scale : 0;

	if (syn->timestamps) {
		if (at + 12 > end)
			return -1;
		first = syn->sack ? ANYHOP_OPTIONS_SACK_TIMESTAMPS : ANYHOP_OPTIONS_TIMESTAMPS;
		stamp = __builtin_bswap32(syn->timestamp);
		anyhop_put32(at, first);
		anyhop_put32(at + 4, stamp);
		anyhop_put32(at + 8, syn->tsval);
		sum += (__u64)first + stamp + syn->tsval;
		if (syn->scales) {
			if (at + 16 > end)
				return -1;
			anyhop_put32(at + 12, scale);
		}
	} else if (syn->sack) {
		if (at + 4 > end)
			return -1;
		anyhop_put32(at, ANYHOP_OPTIONS_SACK);
		sum += ANYHOP_OPTIONS_SACK;
		if (syn->scales) {
			if (at + 8 > end)
				return -1;
			anyhop_put32(at + 4, scale);
		}
	} else if (syn->scales) {
		if (at + 4 > end)
			return -1;
		anyhop_put32(at, scale);
	}
	return (__s64)sum;
}

/* Writes the answer into the frame whose head has been moved so that its length is anyhop_syn_ack_length. Returns 0, or -1 when it does
 * not fit, which the move rules out. */
anyhop_inline int anyhop_write_syn_ack(__u8 *out, const __u8 *end, __u32 l2_length, __u32 family, const struct anyhop_syn *syn)
{
	__u32 ip_length = family == 4 ? 20 : 40, ports = syn->ports << 16 | syn->ports >> 16, number, acknowledged, flags, mss;
	__u8 *ip = out + (l2_length & 31), *tcp;
	__s64 options;
	__u64 sum;

	if (out + 22 > end || ip + ip_length + 24 > end)
		return -1;
	anyhop_write_syn_ack_l2(out, l2_length, family == 4 ? ANYHOP_ETHERTYPE_IPV4 : ANYHOP_ETHERTYPE_IPV6, syn);
	sum = anyhop_write_syn_ack_ip(ip, family, syn->tcp_length, syn);
	tcp = ip + ip_length;
	options = anyhop_write_syn_ack_options(tcp + 24, end, syn);
	if (options < 0)
		return -1;
	number = __builtin_bswap32(syn->cookie);
	acknowledged = __builtin_bswap32(syn->isn + 1);
	flags = __builtin_bswap32(syn->tcp_length << 26 | (ANYHOP_TCP_SYN | ANYHOP_TCP_ACK | (syn->ecn ? ANYHOP_TCP_ECE : 0)) << 16 |
				  ANYHOP_COOKIE_WINDOW);
	mss = ANYHOP_OPTIONS_MSS | __builtin_bswap32(syn->mss);
	sum += (__u64)options + ports + number + acknowledged + flags + mss + __builtin_bswap32(ANYHOP_IP_TCP) +
	       __builtin_bswap32(syn->tcp_length);
	anyhop_put64(tcp, (__u64)number << 32 | ports);
	anyhop_put64(tcp + 8, (__u64)flags << 32 | acknowledged);
	anyhop_put64(tcp + 16, (__u64)mss << 32 | anyhop_finish(sum));
	return 0;
}

#endif
