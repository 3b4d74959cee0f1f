/* SPDX-License-Identifier: MIT
 *
 * The C pipeline with what an engine keeps around it, as src/forward/pipeline.ts is: the image, the limiter, and the same
 * counting. What TypeScript is compared with (bench/pipeline-c.ts, bench/afxdp.ts).
 */
#ifndef ANYHOP_DEV_FORWARD_H
#define ANYHOP_DEV_FORWARD_H

#include <linux/types.h>

#include "anyhop/pipeline.h"
#include "anyhop/xdp.h"

struct anyhop_dev_forward {
	__u8 *image; /* a copy on a 64-byte line */
	__u32 image_bytes;
	struct anyhop_limiter limiter;
	struct anyhop_guarding guarding;
	__u64 verdicts[ANYHOP_VERDICT_COUNT];
	struct anyhop_traffic *services;
	struct anyhop_traffic *backends;
};

int anyhop_dev_guarding_make(struct anyhop_guarding *g, __u32 services);
void anyhop_dev_guarding_free(struct anyhop_guarding *g);
int anyhop_dev_forward_make(struct anyhop_dev_forward *f, const __u8 *image, __u32 image_bytes);
void anyhop_dev_forward_free(struct anyhop_dev_forward *f);

/* One frame, as anyhop_process, and counted. */
static inline __attribute__((always_inline)) int anyhop_dev_process(struct anyhop_dev_forward *f, __u8 *frame,
								      __u32 length, struct anyhop_outcome *outcome)
{
	int verdict = anyhop_process(f->image, f->image_bytes, frame, length, &f->limiter, &f->guarding, outcome);

	f->verdicts[verdict]++;
	if (verdict <= (int)ANYHOP_FORWARDED_LAST) {
		struct anyhop_traffic *service = &f->services[outcome->service_counter];
		struct anyhop_traffic *backend = &f->backends[outcome->backend_counter];

		service->packets++;
		service->bytes += outcome->bytes;
		backend->packets++;
		backend->bytes += outcome->bytes;
	}
	return verdict;
}

int anyhop_dev_rounds(const __u8 *image, __u32 image_bytes, __u8 *memory, __u32 frames, __u32 stride, __u32 length,
		      __u32 rounds);

#endif
