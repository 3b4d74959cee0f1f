/* SPDX-License-Identifier: MIT
 *
 * The C pipeline under libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer: an input is a frame for one of a few
 * nodes, whose images TypeScript built (test/differential/recipe.ts), with a word of the image damaged at times. What must
 * hold beside "no bad access" is in check.c.
 *
 * The frame lies in a block of its own that ends where it ends. It is run a second time with the budgets of answers as the
 * first time left them: nothing else may make a difference.
 */
#include <stdint.h>
#include <string.h>

#include "fuzz.h"

#define IMAGES_MAX 32u
/* After so long, whatever was asked and answered before counts no more. */
#define UNUSED_TICKS 1024u

/* Images one after the other, each padded to whole cache lines; written by test/differential/export.ts. */
__asm__(".section .rodata\n"
	".balign 64\n"
	"images_start: .incbin \"" FUZZ_IMAGES "\"\n"
	"images_end:\n"
	".previous\n");
extern const __u8 images_start[], images_end[];

static struct image images[IMAGES_MAX];
static __u32 image_count;

/* What rules of defence count in; it stays as it is from input to input. */
#define SERVICES_MAX 512u
static struct {
	struct anyhop_guard guard;
	struct anyhop_service_state services[SERVICES_MAX];
} state;
static struct anyhop_guarded own[SERVICES_MAX];
static struct anyhop_guarding guarding = {
	.state = &state.guard,
	.own = own,
	.state_last = (SERVICES_MAX - 1) * sizeof(struct anyhop_service_state),
};

/* Whether a verdict is one of the rules', which may say something else of the same packet the next time. */
static int is_of_rules(int verdict)
{
	return verdict == ANYHOP_V_DROP_BLOCKED || verdict == ANYHOP_V_DROP_SOURCE_RATE || verdict == ANYHOP_V_DROP_SERVICE_RATE ||
	       verdict == ANYHOP_V_DROP_SYN_LIMITED || verdict == ANYHOP_V_SYN_COOKIE_ANSWERED;
}

const struct image *image_of(__u8 number)
{
	return &images[number % image_count];
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const __u8 *at = images_start;

	(void)argc;
	(void)argv;
	while (at < images_end) {
		const struct anyhop_header *header = (const struct anyhop_header *)at;
		__u8 *bytes = aligned_alloc(64, header->size);

		CHECK(header->magic == ANYHOP_IMAGE_MAGIC && header->version == ANYHOP_IMAGE_VERSION);
		CHECK(bytes && image_count < IMAGES_MAX);
		memcpy(bytes, at, header->size);
		images[image_count++] = (struct image){bytes, header->size};
		at += (header->size + 63) & ~63u;
	}
	CHECK(image_count > 0);
	state.guard.time.fleet_offset_ms = 1;
	return 0;
}

/* The straight line, which is tried first, decides as the whole pipeline does: `r` is what the two made together, and
 * `frame` the same frame once more. */
static void check_decision(const struct result *r, __u8 *frame)
{
	struct anyhop_packet packet = {
		.view = {.image = r->image->bytes, .limit = r->image->size - ANYHOP_READ_MAX},
		.frame = frame,
		.at = {.at = frame, .end = frame + r->length},
	};
	struct anyhop_match match = {0};
	struct anyhop_choice choice = {0};
	struct anyhop_guest guest;
	int verdict = anyhop_decide(&packet, &match, &choice, &guarding, &guest);

	if (!r->is_sound || is_of_rules(verdict) || is_of_rules(r->verdict))
		return;
	if (verdict == ANYHOP_V_TOO_BIG_ANSWERED) {
		CHECK(r->verdict == ANYHOP_V_TOO_BIG_ANSWERED || r->verdict == ANYHOP_V_DROP_TOO_BIG_LIMITED ||
		      r->verdict == ANYHOP_V_DROP_TOO_BIG || r->verdict == ANYHOP_V_DROP_CHECKSUM);
		return;
	}
	if (verdict == ANYHOP_V_ECHO_ANSWERED) {
		CHECK(r->verdict == verdict || r->verdict == ANYHOP_V_DROP_TRUNCATED || r->verdict == ANYHOP_V_DROP_ECHO_LIMITED);
		return;
	}
	CHECK(r->verdict == verdict);
	if (verdict > ANYHOP_FORWARDED_LAST)
		return;
	CHECK(r->outcome.service_counter == match.service->counter && r->outcome.bytes == packet.length);
	CHECK(r->outcome.hash == choice.hash && r->outcome.slot == choice.slot);
	CHECK(r->outcome.backend == choice.backend && r->outcome.key == choice.key);
}

/* Runs the frame and checks what came of it. Returns the verdict; the resulting frame, if any, is copied to `sent`. */
static int run(const struct image *image, int is_sound, const __u8 *original, __u32 length, __u32 tick, __u8 *sent,
	       __u32 *sent_length)
{
	static struct anyhop_limiter limiter;
	__u8 *memory = malloc(ANYHOP_HEADROOM + length), *again;
	struct result result = {.image = image, .is_sound = is_sound, .original = original, .length = length};

	CHECK(memory);
	result.frame = memory + ANYHOP_HEADROOM;
	memset(memory, 0xa5, ANYHOP_HEADROOM);
	memcpy(memory + ANYHOP_HEADROOM, original, length);
	guarding.tick = tick;
	guarding.now = tick / 16;
	result.verdict = anyhop_process(image->bytes, image->size, memory + ANYHOP_HEADROOM, length, &limiter, &guarding,
					&result.outcome);
	check_result(&result);
	again = malloc(length ? length : 1);
	CHECK(again);
	memcpy(again, original, length);
	check_decision(&result, again);
	free(again);
	*sent_length = 0;
	if (result.verdict <= ANYHOP_V_SYN_COOKIE_ANSWERED) { /* the verdicts that forward or answer are the first */
		*sent_length = result.outcome.length;
		memcpy(sent, result.outcome.frame, result.outcome.length);
	}
	free(memory);
	return result.verdict;
}

/* Runs the frame twice, the second time with the budgets as the first time left them. */
static void run_twice(const struct image *image, int is_sound, const __u8 *frame, __u32 length)
{
	static __u8 first[ANYHOP_HEADROOM + FRAME_BYTES_MAX], second[ANYHOP_HEADROOM + FRAME_BYTES_MAX];
	static __u32 tick;
	__u32 first_length, second_length;
	int verdict = run(image, is_sound, frame, length, tick += UNUSED_TICKS, first, &first_length);
	int again = run(image, is_sound, frame, length, tick, second, &second_length);

	if (is_of_rules(verdict) || is_of_rules(again))
		return;
	if (verdict == ANYHOP_V_TOO_BIG_ANSWERED) {
		CHECK(again == ANYHOP_V_DROP_TOO_BIG_LIMITED);
	} else {
		CHECK(again == verdict || (!is_sound && again == ANYHOP_V_DROP_TOO_BIG_LIMITED));
		CHECK(second_length == first_length && memcmp(first, second, first_length) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input;
	const struct image *image;
	__u32 place, word;

	if (size < INPUT_HEAD || size > INPUT_HEAD + FRAME_BYTES_MAX)
		return -1;
	memcpy(&input, data, sizeof(input));
	image = image_of(input.image);
	place = input.word % (image->size / 4) * 4;
	memcpy(&word, image->bytes + place, 4);
	if (input.damage == 1) {
		input.value &= ~7u;
		memcpy(image->bytes + place, &input.value, 4);
	}
	run_twice(image, input.damage != 1, data + INPUT_HEAD, (__u32)(size - INPUT_HEAD));
	memcpy(image->bytes + place, &word, 4);
	return 0;
}
