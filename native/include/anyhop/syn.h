/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * What a SYN offers, and whether a cookie can answer it. The reference is src/forward/syn.ts.
 */
#ifndef ANYHOP_SYN_H
#define ANYHOP_SYN_H

#include "cookie.h"
#include "packet.h"

enum {
	ANYHOP_TCP_SYN = 0x02,
	ANYHOP_TCP_ACK = 0x10,
	ANYHOP_TCP_ECE = 0x40,
	ANYHOP_TCP_CWR = 0x80,
};

enum {
	ANYHOP_TCP_OPTION_END = 0,
	ANYHOP_TCP_OPTION_NOP = 1,
	ANYHOP_TCP_OPTION_MSS = 2,
	ANYHOP_TCP_OPTION_WSCALE = 3,
	ANYHOP_TCP_OPTION_SACK = 4,
	ANYHOP_TCP_OPTION_TIMESTAMPS = 8,
	ANYHOP_TCP_OPTION_MD5 = 19,
	ANYHOP_TCP_OPTION_AO = 29,
};

/* A SYN with more options, padding included, gets no cookie: every system's has less, and each of them takes time. */
#define ANYHOP_SYN_OPTIONS_MAX 16u
#define ANYHOP_WSCALE_MAX 14u /* RFC 7323 section 2.3 */

/* What a SYN offers. */
struct anyhop_syn_options {
	__u32 tsval; /* raw */
	__u16 mss;   /* 0: none */
	__u8 wscale; /* ANYHOP_COOKIE_NO_WSCALE: none */
	__u8 sack;
	__u8 timestamps;
	__u8 strange; /* its connection needs what no cookie can keep (MD5, AO), or it has too many */
};

/* A number that the verifier knows nothing of any more: it would follow each length that the options before may have. */
#ifdef __bpf__
#define ANYHOP_FORGET(number) __asm__ volatile("%0 = be32 %0\n%0 = be32 %0" : "+r"(number))
#else
#define ANYHOP_FORGET(number) (void)0
#endif

/* The options of a SYN whose header is `size` bytes long. As in kernels, an option that cannot be ends the list, and of two of a
 * kind the last one counts. */
anyhop_inline void anyhop_read_options(const __u8 *tcp, __u32 size, const __u8 *end, struct anyhop_syn_options *o)
{
	__u32 at = 20, count = 0;

#ifdef __bpf__
#pragma clang loop unroll(disable)
#endif
	for (; count < ANYHOP_SYN_OPTIONS_MAX; count++) {
		const __u8 *option;
		__u32 length;

		ANYHOP_FORGET(at);
		if (at >= size || at >= 60)
			return;
		option = tcp + at;
		if (option + 1 > end || option[0] == ANYHOP_TCP_OPTION_END)
			return;
		if (option[0] == ANYHOP_TCP_OPTION_NOP) {
			at++;
			continue;
		}
		if (option + 2 > end)
			return;
		length = option[1];
		if (length < 2 || at + length > size)
			return;
		if (option[0] == ANYHOP_TCP_OPTION_MSS && length == 4 && option + 4 <= end) {
			o->mss = (__u16)anyhop_get16be(option + 2);
		} else if (option[0] == ANYHOP_TCP_OPTION_WSCALE && length == 3 && option + 3 <= end) {
			o->wscale = option[2] > ANYHOP_WSCALE_MAX ? ANYHOP_WSCALE_MAX : option[2];
		} else if (option[0] == ANYHOP_TCP_OPTION_SACK && length == 2) {
			o->sack = 1;
		} else if (option[0] == ANYHOP_TCP_OPTION_TIMESTAMPS && length == 10 && option + 10 <= end) {
			o->timestamps = 1;
			o->tsval = anyhop_get32(option + 2);
		} else if (option[0] == ANYHOP_TCP_OPTION_MD5 || option[0] == ANYHOP_TCP_OPTION_AO) {
			o->strange = 1;
		}
		at += length;
	}
	if (at < size)
		o->strange = 1;
}

#define ANYHOP_OPTION_WORD(a, b, c, d) ((__u32)(a) | (__u32)(b) << 8 | (__u32)(c) << 16 | (__u32)(d) << 24)
#define ANYHOP_OPTIONS_MSS ANYHOP_OPTION_WORD(2, 4, 0, 0)
#define ANYHOP_OPTIONS_WSCALE ANYHOP_OPTION_WORD(1, 3, 3, 0)
#define ANYHOP_OPTIONS_SACK_TIMESTAMPS ANYHOP_OPTION_WORD(4, 2, 8, 10)
#define ANYHOP_OPTIONS_TIMESTAMPS ANYHOP_OPTION_WORD(1, 1, 8, 10)
#define ANYHOP_OPTIONS_SACK ANYHOP_OPTION_WORD(1, 1, 4, 2)
#define ANYHOP_OPTIONS_SACK_END ANYHOP_OPTION_WORD(4, 2, 0, 0)

/* The same for what most SYNs look like, word by word: returns 0 when it does not.
 *
 *   none                   bare, from scanners and simple floods
 *   MSS                    from small devices
 *   Windows                MSS | NOP WS | NOP NOP SACK
 *   Linux, Android         MSS | SACK TS | TSval | TSecr | NOP WS
 *   FreeBSD                MSS | NOP WS | SACK TS | TSval | TSecr
 *   macOS, iOS             MSS | NOP WS | NOP NOP TS | TSval | TSecr | SACK END END
 */
anyhop_inline int anyhop_read_usual_options(const __u8 *tcp, __u32 size, const __u8 *end, struct anyhop_syn_options *o)
{
	__u32 scale = 0, tsval = 0;

	if (size == 20)
		return 1;
	if (tcp + 24 > end || (anyhop_get32(tcp + 20) & 0xffff) != ANYHOP_OPTIONS_MSS)
		return 0;
	if (size == 40) {
		if (tcp + 40 > end)
			return 0;
		if (anyhop_get32(tcp + 24) == ANYHOP_OPTIONS_SACK_TIMESTAMPS) {
			tsval = anyhop_get32(tcp + 28);
			scale = anyhop_get32(tcp + 36);
		} else if (anyhop_get32(tcp + 28) == ANYHOP_OPTIONS_SACK_TIMESTAMPS) {
			tsval = anyhop_get32(tcp + 32);
			scale = anyhop_get32(tcp + 24);
		}
	} else if (size == 44) {
		if (tcp + 44 > end || anyhop_get32(tcp + 28) != ANYHOP_OPTIONS_TIMESTAMPS ||
		    anyhop_get32(tcp + 40) != ANYHOP_OPTIONS_SACK_END)
			return 0;
		tsval = anyhop_get32(tcp + 32);
		scale = anyhop_get32(tcp + 24);
	} else if (size == 32) {
		if (tcp + 32 > end || anyhop_get32(tcp + 28) != ANYHOP_OPTIONS_SACK)
			return 0;
		scale = anyhop_get32(tcp + 24);
	} else if (size != 24) {
		return 0;
	}
	if (size != 24) {
		if ((scale & 0xffffff) != ANYHOP_OPTIONS_WSCALE)
			return 0;
		scale >>= 24;
		o->wscale = (__u8)(scale > ANYHOP_WSCALE_MAX ? ANYHOP_WSCALE_MAX : scale);
		o->sack = 1;
		o->timestamps = size != 32;
		o->tsval = tsval;
	}
	o->mss = (__u16)anyhop_get16be(tcp + 22);
	return 1;
}

/* Whether a SYN can be answered, but for its options: its headers are there, and it comes from the address of a single
 * machine, and from a port. `ip` is the start of its IP header, which has no options or extension headers, and 20 bytes of TCP behind it. */
anyhop_inline int anyhop_can_answer(const __u8 *frame, const __u8 *ip, __u32 family)
{
	const __u8 *tcp = ip + (family == 4 ? 20 : 40);
	__u32 size = (tcp[12] >> 4) * 4u, left = family == 4 ? anyhop_get16be(ip + 2) - 20 : anyhop_get16be(ip + 4);

	return size >= 20 && size <= left && !(frame[6] & 1) && anyhop_get16(tcp) != 0;
}

/* Reads what a SYN offers, whose 20 bytes of TCP are there: whether a cookie can answer it. */
anyhop_inline int anyhop_read_syn(const __u8 *frame, const __u8 *ip, const __u8 *end, __u32 family, struct anyhop_syn_options *o)
{
	const __u8 *tcp = ip + (family == 4 ? 20 : 40);
	__u32 size = (tcp[12] >> 4) * 4u;

	*o = (struct anyhop_syn_options){.wscale = ANYHOP_COOKIE_NO_WSCALE};
	if (!anyhop_can_answer(frame, ip, family))
		return 0;
	if (!anyhop_read_usual_options(tcp, size, end, o))
		anyhop_read_options(tcp, size, end, o);
	return !o->strange;
}

#define ANYHOP_SYN_CONSTANTS(C) C(SYN_OPTIONS_MAX) C(WSCALE_MAX)

#endif
