/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * The SYN cookie that a whole fleet shares. Any forwarder answers a SYN and keeps nothing; the slot's owner, by its agent, takes
 * the acknowledgment, and finds in it all that its kernel needs for the socket. The reference is src/forward/cookie.ts; the vectors of
 * all languages are test/vectors/syn-cookie.json.
 *
 *   initial sequence number  | MAC 23 | epoch mod 4 2 | MSS class 2 | SACK 1 | window scale 4 (15: none) |
 *   timestamp                milliseconds of the fleet's clock, but for the lowest bit, which says whether ECN was agreed on
 *
 * An epoch is 2^14 ms. A cookie is good in its own epoch and the two behind it, 33 to 49 s, and in the one before, for forwarders
 * whose clocks are up to 16 s ahead.
 *
 * The MAC is the top 23 bits of SipHash-2-4 over these bytes, in the order in which they stand in the packet:
 *
 *   | client 4 or 16 | VIP 4 or 16 | client's port 2 | service's port 2 | client's initial sequence number 4 |
 *   | owner 8 | family 1 | options (the cookie's low 7 bits) 1 | epoch 4, little-endian |
 *
 * The owner is the underlay address of the backend. Without it, a request that is sent again after the table has changed would be
 * served by two backends under the same sequence numbers.
 *
 * Whoever guesses a cookie opens a connection from an address that is not its own. Four epochs are good at a time, but their lowest
 * bits name one of them: a guess is right once in 2^23 times, and each guess has to name options too.
 */
#ifndef ANYHOP_COOKIE_H
#define ANYHOP_COOKIE_H

#include <linux/types.h>

#include "bytes.h"

#define ANYHOP_COOKIE_EPOCH_SHIFT 14u /* of milliseconds of the fleet's clock */
#define ANYHOP_COOKIE_EPOCHS_AHEAD 1u
#define ANYHOP_COOKIE_MAC_SHIFT 9u /* of the initial sequence number */
#define ANYHOP_COOKIE_OPTIONS 0x7fu
#define ANYHOP_COOKIE_NO_WSCALE 15u
#define ANYHOP_COOKIE_TSVAL_ECN 1u

/* What the answer tells of the server, whose kernel is told the same: the scale of its window, and the window. */
#define ANYHOP_COOKIE_WSCALE 7u
#define ANYHOP_COOKIE_WINDOW 64240u

/* What MSS a class stands for, by family: a client's own is rounded down to one of them, by 8 percent at most between the least and
 * the highest. The least is what holds where a SYN names none (RFC 9293 section 3.7.1), and the highest what Ethernet carries. */
#define ANYHOP_COOKIE_MSS4_0 536u
#define ANYHOP_COOKIE_MSS4_1 1300u
#define ANYHOP_COOKIE_MSS4_2 1400u
#define ANYHOP_COOKIE_MSS4_3 1460u
#define ANYHOP_COOKIE_MSS6_0 1220u
#define ANYHOP_COOKIE_MSS6_1 1340u
#define ANYHOP_COOKIE_MSS6_2 1400u
#define ANYHOP_COOKIE_MSS6_3 1440u

/* In an image, at anyhop_header.cookie_offset. */
struct anyhop_cookie_key {
	__u64 words[2]; /* of 16 bytes, little-endian */
	__u64 reserved[6];
};

/* Whose handshake it is. */
struct anyhop_cookie_flow {
	__u64 addresses[4]; /* raw: the client's, then the VIP's, as they stand in the IP header; one word for IPv4, four for IPv6 */
	__u64 owner;        /* anyhop_cookie_owner4 or 6 */
	__u32 ports;        /* raw word: the client's, the service's */
	__u32 isn;          /* the client's initial sequence number, host order: of its acknowledgment, the sequence number less one */
	__u32 family;       /* 4 or 6 */
};

/* An IPv4 underlay address, raw. */
anyhop_inline __u64 anyhop_cookie_owner4(const __u8 *address)
{
	return anyhop_get32(address);
}

anyhop_inline __u64 anyhop_cookie_owner6(const __u8 *address)
{
	return anyhop_get64(address) ^ anyhop_get64(address + 8);
}

struct anyhop_sip {
	__u64 a, b, c, d;
};

anyhop_inline __u64 anyhop_rotate(__u64 x, int bits)
{
	return x << bits | x >> (64 - bits);
}

anyhop_inline void anyhop_sip_round(struct anyhop_sip *s)
{
	s->a += s->b;
	s->c += s->d;
	s->b = anyhop_rotate(s->b, 13) ^ s->a;
	s->d = anyhop_rotate(s->d, 16) ^ s->c;
	s->a = anyhop_rotate(s->a, 32) + s->d;
	s->c += s->b;
	s->d = anyhop_rotate(s->d, 21) ^ s->a;
	s->b = anyhop_rotate(s->b, 17) ^ s->c;
	s->c = anyhop_rotate(s->c, 32);
}

anyhop_inline void anyhop_sip_start(struct anyhop_sip *s, const __u64 key[2])
{
	s->a = key[0] ^ 0x736f6d6570736575ull;
	s->b = key[1] ^ 0x646f72616e646f6dull;
	s->c = key[0] ^ 0x6c7967656e657261ull;
	s->d = key[1] ^ 0x7465646279746573ull;
}

/* Eight bytes of the message as a little-endian word. The last ones have the message's length in their highest byte. */
anyhop_inline void anyhop_sip_word(struct anyhop_sip *s, __u64 word)
{
	s->d ^= word;
	anyhop_sip_round(s);
	anyhop_sip_round(s);
	s->a ^= word;
}

anyhop_inline __u64 anyhop_sip_finish(struct anyhop_sip *s)
{
	s->c ^= 0xff;
	anyhop_sip_round(s);
	anyhop_sip_round(s);
	anyhop_sip_round(s);
	anyhop_sip_round(s);
	return s->a ^ s->b ^ s->c ^ s->d;
}

/* 23 bits. */
anyhop_inline __u32 anyhop_cookie_mac(const __u64 key[2], const struct anyhop_cookie_flow *flow, __u32 epoch, __u32 options)
{
	struct anyhop_sip s;
	__u64 length = flow->family == 4 ? 30 : 54;

	anyhop_sip_start(&s, key);
	anyhop_sip_word(&s, flow->addresses[0]);
	if (flow->family != 4) {
		anyhop_sip_word(&s, flow->addresses[1]);
		anyhop_sip_word(&s, flow->addresses[2]);
		anyhop_sip_word(&s, flow->addresses[3]);
	}
	anyhop_sip_word(&s, (__u64)__builtin_bswap32(flow->isn) << 32 | flow->ports);
	anyhop_sip_word(&s, flow->owner);
	anyhop_sip_word(&s, length << 56 | (__u64)epoch << 16 | options << 8 | flow->family);
	return (__u32)(anyhop_sip_finish(&s) >> 41);
}

/* The initial sequence number of the answer, host order. `options` as in anyhop_cookie_options. */
anyhop_inline __u32 anyhop_cookie_make(const __u64 key[2], const struct anyhop_cookie_flow *flow, __u32 epoch, __u32 options)
{
	return anyhop_cookie_mac(key, flow, epoch, options) << ANYHOP_COOKIE_MAC_SHIFT | (epoch & 3) << 7 | options;
}

/* Whether a cookie, host order, is good in an epoch: of an acknowledgment, the acknowledgment number less one. */
anyhop_inline int anyhop_cookie_check(const __u64 key[2], const struct anyhop_cookie_flow *flow, __u32 epoch, __u32 cookie)
{
	__u32 newest = epoch + ANYHOP_COOKIE_EPOCHS_AHEAD;

	epoch = newest - ((newest - (cookie >> 7)) & 3);
	return anyhop_cookie_mac(key, flow, epoch, cookie & ANYHOP_COOKIE_OPTIONS) == cookie >> ANYHOP_COOKIE_MAC_SHIFT;
}

/* mss     of the client; 0 when it names none
 * sack    1 or 0
 * wscale  0 to 14, or ANYHOP_COOKIE_NO_WSCALE */
anyhop_inline __u32 anyhop_cookie_options(__u32 mss, __u32 sack, __u32 wscale, __u32 family)
{
	__u32 class = family == 4 ? (mss >= ANYHOP_COOKIE_MSS4_1) + (mss >= ANYHOP_COOKIE_MSS4_2) + (mss >= ANYHOP_COOKIE_MSS4_3) :
				    (mss >= ANYHOP_COOKIE_MSS6_1) + (mss >= ANYHOP_COOKIE_MSS6_2) + (mss >= ANYHOP_COOKIE_MSS6_3);

	return class << 5 | sack << 4 | wscale;
}

/* What a cookie says of its client. */
anyhop_inline __u32 anyhop_cookie_mss(__u32 cookie, __u32 family)
{
	__u32 class = cookie >> 5 & 3;

	if (family == 4)
		return class == 3 ? ANYHOP_COOKIE_MSS4_3 : class == 2 ? ANYHOP_COOKIE_MSS4_2 :
		       class == 1 ? ANYHOP_COOKIE_MSS4_1 : ANYHOP_COOKIE_MSS4_0;
	return class == 3 ? ANYHOP_COOKIE_MSS6_3 : class == 2 ? ANYHOP_COOKIE_MSS6_2 :
	       class == 1 ? ANYHOP_COOKIE_MSS6_1 : ANYHOP_COOKIE_MSS6_0;
}

anyhop_inline __u32 anyhop_cookie_sack(__u32 cookie)
{
	return cookie >> 4 & 1;
}

/* Of the client's window, 0 to 14, or ANYHOP_COOKIE_NO_WSCALE: neither side scales. */
anyhop_inline __u32 anyhop_cookie_wscale(__u32 cookie)
{
	return cookie & 15;
}

#define ANYHOP_COOKIE_STRUCTS(S, F) S(cookie_key) F(cookie_key, words)

#define ANYHOP_COOKIE_CONSTANTS(C) \
	C(COOKIE_EPOCH_SHIFT) C(COOKIE_EPOCHS_AHEAD) C(COOKIE_MAC_SHIFT) C(COOKIE_OPTIONS) C(COOKIE_NO_WSCALE) C(COOKIE_TSVAL_ECN) \
	C(COOKIE_WSCALE) C(COOKIE_WINDOW) \
	C(COOKIE_MSS4_0) C(COOKIE_MSS4_1) C(COOKIE_MSS4_2) C(COOKIE_MSS4_3) \
	C(COOKIE_MSS6_0) C(COOKIE_MSS6_1) C(COOKIE_MSS6_2) C(COOKIE_MSS6_3)

_Static_assert(sizeof(struct anyhop_cookie_key) == 64, "a cache line");

#endif
