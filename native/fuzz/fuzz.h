/* SPDX-License-Identifier: MIT
 * What the parts of the fuzzer share: the images, and the shape of an input. */
#ifndef ANYHOP_FUZZ_H
#define ANYHOP_FUZZ_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "anyhop/pipeline.h"

/* How an input starts; the frame follows. */
struct input {
	__u8 image;   /* which one it goes through */
	__u8 damage;  /* 1: one word of the image is changed for this input; otherwise it is sound */
	__u16 word;   /* which one, modulo their number */
	__u32 value;  /* a multiple of 8, so that what an image refers to stays aligned */
};
#define INPUT_HEAD sizeof(struct input)
#define FRAME_BYTES_MAX 4096u

struct image {
	__u8 *bytes; /* a block of its own, so that a read past its end is seen */
	__u32 size;
};

/* The image that an input names by its number. */
const struct image *image_of(__u8 number);

/* A frame as it came in, and what the pipeline made of it. */
struct result {
	const struct image *image;
	int is_sound; /* the image; with a damaged one nothing is promised but where the pipeline reads and writes */
	const __u8 *original; /* a copy */
	const __u8 *frame;    /* where it lay, ANYHOP_HEADROOM bytes free before it */
	__u32 length;
	int verdict;
	struct anyhop_outcome outcome;
};

/* Ends the process, and with it the run, when something about the result is wrong. */
void check_result(const struct result *result);

/* Where the IP header of a frame starts, and its family in *family; 0 when there is none within `length`. */
__u32 find_ip(const __u8 *frame, __u32 length, __u32 *family);

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

#endif
