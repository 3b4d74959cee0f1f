/* SPDX-License-Identifier: MIT
 *
 * Runs the forwarding program on a batch of frames, one BPF_PROG_TEST_RUN each. The verdict shows in the counters, so the whole map is
 * compared with its former contents: one verdict must have risen by one, and if it forwards, one service and one backend by a packet
 * and the same bytes. Anything else is a miscount.
 *
 * The kernel gives a frame 256 bytes of headroom and keeps it in one page: it refuses frames shorter than an Ethernet
 * header or longer than what is left of the page, and these are skipped.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "anyhop/budget.h"
#include "anyhop/defend.h"
#include "anyhop/xdp.h"
#include "differential.h"
#include "error.h"

#define FRAME_MIN 14u
#define FRAME_MAX (4096u - 256u - 320u) /* a page, its headroom, and skb_shared_info on 64-bit machines */
#define LIMITER_BYTES sizeof(struct anyhop_limiter)

/* The program that is watched: one at a time. */
static struct watched {
	int program;
	__u32 counter_bytes, elements, services, backends;
	__u8 *counters; /* the map, and a copy as it was after the packet before */
	__u8 *before;
	__u8 *limiter;
	struct anyhop_guard *guard; /* with the services' states behind it */
} watched;

/* Watches a program, with its maps as memory: `elements` counters of `counter_bytes` each, made for so many services and
 * backends. They stay in use until anyhop_dev_unwatch. */
int anyhop_dev_watch(int program, __u8 *counters, __u8 *limiter, __u8 *guard, __u32 counter_bytes, __u32 elements, __u32 services,
		     __u32 backends)
{
	size_t size = (size_t)counter_bytes * elements;
	__u8 *before = malloc(size);

	anyhop_error_start();
	if (!before)
		return anyhop_error_is(-ENOMEM, "a copy of the counters");
	memcpy(before, counters, size);
	free(watched.before);
	watched = (struct watched){ program, counter_bytes, elements, services, backends, counters, before, limiter,
				    (struct anyhop_guard *)guard };
	return 0;
}

int anyhop_dev_unwatch(void)
{
	free(watched.before);
	memset(&watched, 0, sizeof(watched));
	return 0;
}

/* Where what the rules count begins in an element, in bytes: see anyhop_sizes. */
static __u32 guarded_at(void)
{
	return watched.counter_bytes - watched.services * (__u32)sizeof(struct anyhop_guarded);
}

static __u8 *guarded_of(__u32 element)
{
	return watched.counters + (size_t)element * watched.counter_bytes + guarded_at();
}

/* Nothing has been counted by rules; their clock stands still. */
static void clear_guard(void)
{
	memset(watched.guard, 0, sizeof(*watched.guard) + watched.services * sizeof(struct anyhop_service_state));
	watched.guard->time.frozen = ~0ull;
	for (__u32 element = 0; element < watched.elements; element++)
		memset(guarded_of(element), 0, watched.services * sizeof(struct anyhop_guarded));
}

/* Takes down a counter of the element that rose from `was` to `now`. Word `at` is a verdict, or belongs to a service or
 * a backend: packets, then bytes. Returns whether one packet may have done it. */
static int take_rise(struct anyhop_dev_record *record, __u32 at, __u64 rise, __u64 *backend_bytes)
{
	__u32 entry = (at - ANYHOP_VERDICTS_MAX) / 2;
	int is_bytes = (at - ANYHOP_VERDICTS_MAX) & 1;
	int is_service = entry < watched.services;
	__u32 *counter = is_service ? &record->service_counter : &record->backend_counter;

	if (at < ANYHOP_VERDICTS_MAX) {
		if (record->verdict != ANYHOP_DEV_SKIPPED || rise != 1)
			return 0;
		record->verdict = at;
		return 1;
	}
	if (!is_service)
		entry -= watched.services;
	if (entry >= (is_service ? watched.services : watched.backends))
		return 0;
	if (!is_bytes) {
		/* Its bytes come right behind it. */
		if (*counter != ANYHOP_NONE || rise != 1)
			return 0;
		*counter = entry;
		return 1;
	}
	if (*counter != entry || rise > 0xffff)
		return 0;
	if (is_service)
		record->bytes = (__u32)rise;
	else
		*backend_bytes = rise;
	return 1;
}

/* What the packet raised. */
static void read_counters(struct anyhop_dev_record *record)
{
	__u64 backend_bytes = 0;
	int is_sound = 1, rose = 0;

	record->verdict = ANYHOP_DEV_SKIPPED;
	record->service_counter = record->backend_counter = ANYHOP_NONE;
	for (__u32 element = 0; element < watched.elements; element++) {
		__u64 *now = (__u64 *)(watched.counters + (size_t)element * watched.counter_bytes);
		__u64 *was = (__u64 *)(watched.before + (size_t)element * watched.counter_bytes);

		if (!memcmp(now, was, guarded_at()))
			continue;
		if (rose++ || element == watched.elements - 1) /* the last one is user space's */
			is_sound = 0;
		for (__u32 at = 0; at < guarded_at() / sizeof(*now); at++) {
			if (now[at] != was[at] && !take_rise(record, at, now[at] - was[at], &backend_bytes))
				is_sound = 0;
		}
		memcpy(was, now, guarded_at());
	}
	if (!is_sound || record->verdict == ANYHOP_DEV_SKIPPED || record->bytes != backend_bytes)
		record->verdict = ANYHOP_DEV_MISCOUNTED;
}

static int run(const __u8 *frames, const __u8 *lengths, __u32 count, const __u32 *nows, int limited, __u8 *records, __u8 *out,
	       __u32 out_size)
{
	struct anyhop_dev_record *record = (struct anyhop_dev_record *)records;
	static __u8 result[4096];

	for (__u32 i = 0; i < count; i++, record++) {
		__u32 length = ((const __u32 *)lengths)[i];
		LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frames, .data_size_in = length, .data_out = result,
			    .data_size_out = sizeof(result), .repeat = 1);

		memset(record, 0, sizeof(*record));
		frames += length;
		if (length < FRAME_MIN || length > FRAME_MAX) {
			record->verdict = ANYHOP_DEV_SKIPPED;
			continue;
		}
		watched.guard->time.offset = nows[i];
		watched.guard->time.fleet_offset_ms = ANYHOP_DEV_FLEET_MS(nows[i]);
		if (bpf_prog_test_run_opts(watched.program, &options))
			return anyhop_error_is(-errno, "test run on frame %u of %u bytes", i, length);
		read_counters(record);
		record->action = options.retval;
		if (!limited && (record->verdict == ANYHOP_V_TOO_BIG_ANSWERED || record->verdict == ANYHOP_V_ECHO_ANSWERED))
			memset(watched.limiter, 0, LIMITER_BYTES);
		if (options.retval == XDP_DROP || options.retval == XDP_ABORTED)
			continue;
		if (options.data_size_out > out_size)
			return anyhop_error_is(-ENOSPC, "the results of %u frames", count);
		record->length = options.data_size_out;
		memcpy(out, result, options.data_size_out);
		out += options.data_size_out;
		out_size -= options.data_size_out;
	}
	return 0;
}

/* Runs the watched program on `count` frames, all on one CPU, since each counts for itself. `limited`: each frame finds the budgets as those
 * before it left them; otherwise each finds them unused. `nows` has the time of each for the rules of defence; what these have counted by
 * the end goes to `own`. */
int anyhop_dev_run(const __u8 *frames, const __u8 *lengths, __u32 count, const __u8 *nows, int limited, __u8 *own,
		   __u8 *records, __u8 *out, __u32 out_size)
{
	cpu_set_t before, one;
	int error, cpu = sched_getcpu();

	anyhop_error_start();
	if (!watched.counters)
		return anyhop_error_is(-EBADF, "no program is watched");
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_getaffinity(0, sizeof(before), &before) || sched_setaffinity(0, sizeof(one), &one))
		return anyhop_error_is(-errno, "stay on CPU %d", cpu);
	memset(watched.limiter, 0, LIMITER_BYTES);
	clear_guard();
	error = run(frames, lengths, count, (const __u32 *)nows, limited, records, out, out_size);
	sched_setaffinity(0, sizeof(before), &before);
	memcpy(own, guarded_of((__u32)cpu), watched.services * sizeof(struct anyhop_guarded));
	return error;
}
