/* SPDX-License-Identifier: MIT
 *
 * SYN cookies in C, many in one call, for the tests that hold them to vectors and to TypeScript.
 */
#include "anyhop/cookie.h"
#include "cookie.h"

/* SipHash-2-4 of `count` messages of `words_each` words of 64 bits, filled up as the paper says, each under a key of its own. */
int anyhop_dev_siphash(const __u8 *keys, const __u8 *messages, __u32 words_each, __u32 count, __u8 *out)
{
	for (__u32 i = 0; i < count; i++) {
		__u64 key[2] = {anyhop_get64(keys + 16 * i), anyhop_get64(keys + 16 * i + 8)};
		struct anyhop_sip s;

		anyhop_sip_start(&s, key);
		for (__u32 word = 0; word < words_each; word++)
			anyhop_sip_word(&s, anyhop_get64(messages + 8 * (words_each * i + word)));
		anyhop_put64(out + 8 * i, anyhop_sip_finish(&s));
	}
	return 0;
}

/* Makes the cookies of `count` cases, or checks theirs: a word each, the cookie, or whether it is good. */
int anyhop_dev_cookies(const __u8 *cases, __u32 count, int check, __u8 *out)
{
	const struct anyhop_dev_cookie *one = (const struct anyhop_dev_cookie *)cases;

	for (__u32 i = 0; i < count; i++, one++) {
		__u32 result = check ? (__u32)anyhop_cookie_check(one->key, &one->flow, one->epoch, one->given) :
				       anyhop_cookie_make(one->key, &one->flow, one->epoch, one->given);

		anyhop_put32(out + 4 * i, result);
	}
	return 0;
}

/* What `count` cookies tell of their clients: MSS, SACK, window scale, a word each. */
int anyhop_dev_cookies_tell(const __u8 *cookies, __u32 count, __u32 family, __u8 *out)
{
	for (__u32 i = 0; i < count; i++) {
		__u32 cookie = anyhop_get32(cookies + 4 * i);

		anyhop_put32(out + 12 * i, anyhop_cookie_mss(cookie, family));
		anyhop_put32(out + 12 * i + 4, anyhop_cookie_sack(cookie));
		anyhop_put32(out + 12 * i + 8, anyhop_cookie_wscale(cookie));
	}
	return 0;
}

/* The options of `count` clients, three words each: MSS, SACK, window scale. */
int anyhop_dev_cookie_options(const __u8 *clients, __u32 count, __u32 family, __u8 *out)
{
	for (__u32 i = 0; i < count; i++) {
		const __u8 *client = clients + 12 * i;

		anyhop_put32(out + 4 * i, anyhop_cookie_options(anyhop_get32(client), anyhop_get32(client + 4),
								anyhop_get32(client + 8), family));
	}
	return 0;
}
