/* SPDX-License-Identifier: MIT
 *
 * The C pipeline over frames in memory, round after round: what bench/pipeline-c.ts holds TypeScript against.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "forward.h"

static size_t lines(size_t bytes)
{
	return (bytes + 63) / 64 * 64;
}

/* Room to judge by rules: 0, or -ENOMEM. */
int anyhop_dev_guarding_make(struct anyhop_guarding *g, __u32 services)
{
	memset(g, 0, sizeof(*g));
	g->state_last = (__u64)services * sizeof(struct anyhop_service_state);
	g->state = calloc(1, sizeof(*g->state) + g->state_last + sizeof(struct anyhop_service_state));
	g->own = calloc(services + 1, sizeof(*g->own));
	if (g->state && g->own)
		return 0;
	anyhop_dev_guarding_free(g);
	return -ENOMEM;
}

void anyhop_dev_guarding_free(struct anyhop_guarding *g)
{
	free(g->state);
	free(g->own);
	g->state = NULL;
	g->own = NULL;
}

/* Copies the image and makes room to count by it: 0, or -ENOMEM. */
int anyhop_dev_forward_make(struct anyhop_dev_forward *f, const __u8 *image, __u32 image_bytes)
{
	const struct anyhop_header *header;

	memset(f, 0, sizeof(*f));
	f->image = aligned_alloc(64, lines(image_bytes));
	if (!f->image)
		return -ENOMEM;
	memcpy(f->image, image, image_bytes);
	f->image_bytes = image_bytes;
	header = (const struct anyhop_header *)f->image;
	f->services = calloc(header->service_counters + 1, sizeof(*f->services));
	f->backends = calloc(header->backend_counters + 1, sizeof(*f->backends));
	if (f->services && f->backends && !anyhop_dev_guarding_make(&f->guarding, header->service_counters))
		return 0;
	anyhop_dev_forward_free(f);
	return -ENOMEM;
}

void anyhop_dev_forward_free(struct anyhop_dev_forward *f)
{
	free(f->image);
	free(f->services);
	free(f->backends);
	anyhop_dev_guarding_free(&f->guarding);
	f->image = NULL;
	f->services = f->backends = NULL;
}

/* Runs each of `frames` frames `rounds` times, one frame after the other. Frame i of `length` bytes starts ANYHOP_HEADROOM
 * bytes behind i * stride. Returns how many were forwarded. */
int anyhop_dev_rounds(const __u8 *image, __u32 image_bytes, __u8 *memory, __u32 frames, __u32 stride, __u32 length,
		      __u32 rounds)
{
	static struct anyhop_dev_forward f;
	struct anyhop_outcome outcome;
	__u64 forwarded;

	anyhop_error_start();
	if (anyhop_dev_forward_make(&f, image, image_bytes))
		return anyhop_error_is(-ENOMEM, "an image of %u bytes", image_bytes);
	for (__u32 round = 0; round < rounds; round++)
		for (__u32 i = 0; i < frames; i++)
			anyhop_dev_process(&f, memory + (size_t)i * stride + ANYHOP_HEADROOM, length, &outcome);
	forwarded = f.verdicts[ANYHOP_V_FORWARDED];
	anyhop_dev_forward_free(&f);
	return (int)forwarded;
}
