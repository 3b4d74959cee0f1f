/* SPDX-License-Identifier: MIT
 *
 * What a pipeline made of a frame, for the differential test (test/differential): batches in, records out, because one
 * call from TypeScript costs microseconds. Frames lie one after the other, their lengths are words; results
 * likewise.
 */
#ifndef ANYHOP_DEV_DIFFERENTIAL_H
#define ANYHOP_DEV_DIFFERENTIAL_H

#include <linux/types.h>

/* After so long, whatever was asked and answered before counts no more; a prime, so that no multiple within a batch is a whole turn of the
 * 4096 epochs that a cell knows. */
#define ANYHOP_DEV_UNUSED_TICKS 1031u

/* The fleet's clock at a time of rules. Four units an epoch of cookies. */
#define ANYHOP_DEV_FLEET_MS(now) ((__u64)(now) * 4096 + 0x1234567)

/* Instead of a verdict. */
#define ANYHOP_DEV_SKIPPED 0xffffffffu    /* the kernel's test run does not take a frame of this length */
#define ANYHOP_DEV_MISCOUNTED 0xfffffffeu /* what rose in the counters is not what one packet may raise */

struct anyhop_dev_record {
	__u32 verdict;
	__u32 action;          /* XDP's; 0 from the host pipeline */
	__u32 length;          /* of the frame that it left: sent or passed; 0 when it was dropped */
	__u32 service_counter; /* ANYHOP_NONE when none was fed */
	__u32 backend_counter;
	__u32 bytes;
	/* How it was decided, and the length of the layer-2 header; from the host pipeline only, of what was sent. */
	__u32 l2_length;
	__u32 hash;
	__u32 slot;
	__u32 backend;
	__u32 key;
	__u32 interface_index;
	__u32 by_lane;
};

int anyhop_dev_process(const __u8 *image, __u32 image_bytes, const __u8 *frames, const __u8 *lengths, __u32 count,
		       const __u8 *nows, __u32 tick, int limited, const __u8 *lists, __u32 lists_bytes, __u8 *guard, __u8 *own,
		       __u32 services, __u8 *records, __u8 *out, __u32 out_size);
int anyhop_dev_watch(int program, __u8 *counters, __u8 *limiter, __u8 *guard, __u32 counter_bytes, __u32 elements, __u32 services,
		     __u32 backends);
int anyhop_dev_unwatch(void);
int anyhop_dev_run(const __u8 *frames, const __u8 *lengths, __u32 count, const __u8 *nows, int limited, __u8 *own,
		   __u8 *records, __u8 *out, __u32 out_size);
int anyhop_dev_budget(const __u8 *hashes, const __u8 *ticks, __u32 count, __u32 for_client, __u8 *out);
int anyhop_dev_flow_hash(const __u8 *keys, const __u8 *words, __u32 words_each, __u32 count, __u32 slots, __u8 *out);

#endif
