/* SPDX-License-Identifier: MIT
 *
 * SYN cookies in C, many in one call, for the tests that hold them to vectors and to TypeScript.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "anyhop/choose.h"
#include "anyhop/syn_answer.h"
#include "cookie.h"
#include "error.h"

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

/* What the image says for the answer, by both of its ways; whether the backend takes cookies. */
static int take_terms(const struct anyhop_view *view, const struct anyhop_dev_syn *one, struct anyhop_syn_terms *terms)
{
	const struct anyhop_service *service = anyhop_service_at(view, one->service);
	struct anyhop_choice choice = {
		.path = anyhop_path_at(view, one->backend),
		.template = anyhop_at(view, anyhop_header(view)->template_offset + one->backend * ANYHOP_TEMPLATE_SIZE),
	};
	struct anyhop_lane lane = {.keys_offset = service->keys_offset};
	const struct anyhop_lane_path *path = anyhop_at(view, anyhop_lanes(view)->path_offset + one->backend * sizeof(*path));
	struct anyhop_syn_terms other = {0};
	int takes = anyhop_take_terms(view, service, &choice, terms), others = anyhop_take_lane_terms(view, &lane, path, &other);

	if (takes != others || memcmp(terms, &other, sizeof(other)))
		return anyhop_error_is(-EILSEQ, "the lane says otherwise of backend %u", one->backend);
	terms->fleet_ms = one->fleet_ms;
	terms->l2_length = one->l2_length;
	return takes;
}

static int answer(const struct anyhop_view *view, const struct anyhop_dev_syn *one, const __u8 *frame, __u8 *out)
{
	__u8 memory[4 + 65535], *start = memory + 4, *answered;
	struct anyhop_syn_terms terms = {0};
	int takes = take_terms(view, one, &terms);
	struct anyhop_syn syn;
	__u32 length;

	memcpy(start, frame, one->length);
	if (takes <= 0 || !anyhop_read_syn(start, start + one->l2_length, start + one->length, one->family, &terms.options))
		return takes < 0 ? takes : 0;
	anyhop_take_syn(start, start + one->l2_length, one->family, &terms, &syn);
	length = anyhop_syn_ack_length(one->l2_length, one->family, &syn);
	answered = start + one->length - length;
	if (anyhop_write_syn_ack(answered, start + one->length, one->l2_length, one->family, &syn))
		return anyhop_error_is(-EFAULT, "the answer does not fit");
	memcpy(out, answered, length);
	return (int)length;
}

/* Answers `count` SYNs, whose frames lie one after another: the length of each answer as a word, 0 when there is none, and the answers, one
 * after another. */
int anyhop_dev_answer_syns(const __u8 *image, __u32 image_bytes, const __u8 *cases, const __u8 *frames, __u32 count, __u8 *lengths, __u8 *out)
{
	const struct anyhop_dev_syn *one = (const struct anyhop_dev_syn *)cases;
	__u8 *aligned = aligned_alloc(64, (image_bytes + 63) & ~63u);
	struct anyhop_view view = {.image = aligned, .limit = image_bytes - ANYHOP_READ_MAX};
	int length = 0;

	anyhop_error_start();
	if (!aligned)
		return anyhop_error_is(-ENOMEM, "an image of %u bytes", image_bytes);
	memcpy(aligned, image, image_bytes);
	for (__u32 i = 0; i < count && length >= 0; i++, frames += one->length, one++) {
		length = answer(&view, one, frames, out);
		anyhop_put32(lengths + 4 * i, (__u32)length);
		out += length > 0 ? length : 0;
	}
	free(aligned);
	return length < 0 ? length : 0;
}
