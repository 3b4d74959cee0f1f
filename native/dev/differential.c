/* SPDX-License-Identifier: MIT
 *
 * The C pipeline, compiled for this machine, over a batch of frames; and its flow hash over a batch of inputs.
 *
 * A frame has the headroom that the pipeline asks for before it, and marks around both: the pipeline must write nowhere
 * else.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "anyhop/pipeline.h"
#include "differential.h"
#include "error.h"

#define MARK_BYTES 64u
#define MARK 0x5a

static const __u8 actions[] = {
#define V(name, action, text) [ANYHOP_V_##name] = ANYHOP_##action,
	ANYHOP_VERDICTS(V)
#undef V
};

static int is_marked(const __u8 *at)
{
	for (__u32 i = 0; i < MARK_BYTES; i++)
		if (at[i] != MARK)
			return 0;
	return 1;
}

static int process(const __u8 *image, __u32 image_bytes, const __u8 *frames, const __u8 *lengths, __u32 count,
		   const __u32 *nows, int limited, struct anyhop_guarding *guarding, __u8 *records, __u8 *out, __u32 out_size)
{
	static __u8 memory[MARK_BYTES + ANYHOP_HEADROOM + 65535 + MARK_BYTES];
	static struct anyhop_limiter limiter;
	struct anyhop_dev_record *record = (struct anyhop_dev_record *)records;
	__u8 *frame = memory + MARK_BYTES + ANYHOP_HEADROOM;

	memset(&limiter, 0, sizeof(limiter));
	memset(memory, MARK, MARK_BYTES);
	for (__u32 i = 0; i < count; i++, record++) {
		__u32 length = ((const __u32 *)lengths)[i];
		struct anyhop_outcome outcome;
		const __u8 *result = frame;
		int verdict, action;

		if (length > 65535)
			return anyhop_error_is(-EMSGSIZE, "frame %u of %u bytes", i, length);
		memcpy(frame, frames, length);
		memset(frame + length, MARK, MARK_BYTES);
		frames += length;
		memset(record, 0, sizeof(*record));
		record->service_counter = record->backend_counter = ANYHOP_NONE;

		guarding->now = nows[i];
		guarding->state->time.fleet_offset_ms = ANYHOP_DEV_FLEET_MS(nows[i]);
		verdict = anyhop_process(image, image_bytes, frame, length, &limiter, guarding, &outcome);
		if (verdict < 0 || verdict >= ANYHOP_VERDICT_COUNT)
			return anyhop_error_is(-ERANGE, "verdict %d of frame %u", verdict, i);
		if (!is_marked(memory) || !is_marked(frame + length))
			return anyhop_error_is(-EFAULT, "frame %u: the pipeline wrote outside of its memory", i);
		if (!limited)
			guarding->tick += ANYHOP_DEV_UNUSED_TICKS;
		record->verdict = (__u32)verdict;
		action = actions[verdict];
		if (action == ANYHOP_FORWARD) {
			record->service_counter = outcome.service_counter;
			record->backend_counter = outcome.backend_counter;
			record->bytes = outcome.bytes;
			record->hash = outcome.hash;
			record->slot = outcome.slot;
			record->backend = outcome.backend;
			record->key = outcome.key;
			record->interface_index = outcome.interface_index;
			record->by_lane = outcome.by_lane;
		}
		if (action == ANYHOP_DROP)
			continue;
		if (action == ANYHOP_PASS) {
			record->length = length;
		} else {
			result = outcome.frame;
			record->length = outcome.length;
			record->l2_length = outcome.l2_length;
		}
		if (record->length > out_size)
			return anyhop_error_is(-ENOSPC, "the results of %u frames", count);
		memcpy(out, result, record->length);
		out += record->length;
		out_size -= record->length;
	}
	return 0;
}

/* Runs `count` frames through the image. `limited`: all come within the tick, and find the budgets as those before them left
 * them; otherwise each finds them unused. `nows` has the time of each for the rules of defence, which count in `guard` and `own`: room for
 * `services`. */
int anyhop_dev_process(const __u8 *image, __u32 image_bytes, const __u8 *frames, const __u8 *lengths, __u32 count,
		       const __u8 *nows, __u32 tick, int limited, const __u8 *lists, __u32 lists_bytes, __u8 *guard, __u8 *own,
		       __u32 services, __u8 *records, __u8 *out, __u32 out_size)
{
	__u8 *aligned = aligned_alloc(64, (image_bytes + 63) & ~63u); /* TypeScript's memory need not be on a line */
	struct anyhop_view listed = {.image = lists, .limit = lists_bytes - ANYHOP_READ_MAX};
	struct anyhop_guarding guarding = {
		.state = (struct anyhop_guard *)guard,
		.lists = &listed,
		.own = (struct anyhop_guarded *)own,
		.state_last = (__u64)(services - 1) * sizeof(struct anyhop_service_state),
		.tick = tick,
	};
	int error;

	anyhop_error_start();
	if (!aligned)
		return anyhop_error_is(-ENOMEM, "an image of %u bytes", image_bytes);
	memcpy(aligned, image, image_bytes);
	error = process(aligned, image_bytes, frames, lengths, count, (const __u32 *)nows, limited, &guarding, records, out, out_size);
	guarding.state->time.fleet_offset_ms = 0;
	free(aligned);
	return error;
}

/* What a budget says to `count` packets, each of a client by its hash, at a tick. */
int anyhop_dev_budget(const __u8 *hashes, const __u8 *ticks, __u32 count, __u32 for_client, __u8 *out)
{
	static struct anyhop_budget budget;

	memset(&budget, 0, sizeof(budget));
	for (__u32 i = 0; i < count; i++)
		out[i] = (__u8)anyhop_budget_admits(&budget, ((const __u32 *)hashes)[i], ((const __u32 *)ticks)[i], for_client);
	return 0;
}

/* The hash of each of `count` inputs of `words_each` words under a key of its own, and its slot: two words each. */
int anyhop_dev_flow_hash(const __u8 *keys, const __u8 *words, __u32 words_each, __u32 count, __u32 slots, __u8 *out)
{
	__u32 *result = (__u32 *)out;

	for (__u32 i = 0; i < count; i++) {
		const __u32 *key = (const __u32 *)keys + ANYHOP_FLOW_KEY_WORDS * i;

		result[2 * i] = anyhop_flow_hash(key, (const __u32 *)words + words_each * i, words_each);
		result[2 * i + 1] = anyhop_slot(result[2 * i], slots);
	}
	return 0;
}
