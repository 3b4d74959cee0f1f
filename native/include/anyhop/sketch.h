/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * Counts over a sliding window, and the sketch that has them for every source. The reference is src/forward/sketch.ts.
 *
 *   count    | window 16 | former 24 | present 24 |
 *
 * A count knows two windows: the one that its number names, and the one before. What came within the last window's time is at most
 *
 *   present + former * (what is left of the present window)
 *
 * A count of a window long ago, or of one that lies ahead, counts as unused: whatever the clock does, jumps included, nobody is limited for
 * longer than two windows.
 *
 * The sketch is a count-min sketch with conservative update: a source has one cell in each of two rows, by a keyed hash of its address,
 * and has sent at most what the lesser of them says. A count is raised to the source's own and no further, so what others put into one cell
 * does not add up. Only what is admitted is counted: a source that is over its limit is read, not written, and its cache lines stay with
 * every CPU.
 *
 * Limits: a source shares both cells with others that are over the limit by a chance of (1 - (1 - 1/65536)^n)^2, when n of them are: 0.02 %
 * with 1,000, 2 % with 10,000.
 */
#ifndef ANYHOP_SKETCH_H
#define ANYHOP_SKETCH_H

#include <linux/types.h>

#include "bytes.h"

#define ANYHOP_SKETCH_ROWS 2u
#define ANYHOP_SKETCH_WIDTH 65536u /* cells of a row, as many as 16 bits of the hash tell apart */
#define ANYHOP_COUNT_MAX 0xffffffu /* what a count counts to in a window */

struct anyhop_cell {
	__u64 packets; /* SYNs included */
	__u64 syns;
};

struct anyhop_sketch {
	struct anyhop_cell cells[ANYHOP_SKETCH_ROWS * ANYHOP_SKETCH_WIDTH];
};

/* A moment, in windows of some length. */
struct anyhop_moment {
	__u32 window; /* its number */
	__u32 left;   /* of it, in 65,536th: 1 to 65,536 */
};

/* now         in units of 2^20 ns
 * reciprocal  2^32 over the window's length in units, rounded down */
anyhop_inline struct anyhop_moment anyhop_moment_at(__u32 now, __u32 reciprocal)
{
	__u64 windows = (__u64)now * reciprocal;

	return (struct anyhop_moment){.window = (__u32)(windows >> 32), .left = 65536 - (__u32)(windows >> 16 & 0xffff)};
}

/* The same count with its windows as of `window`. */
anyhop_inline __u64 anyhop_count_as_of(__u64 count, __u32 window)
{
	__u64 number = (__u64)(window & 0xffff) << 48;
	__u32 age = (window - (__u32)(count >> 48)) & 0xffff;

	if (anyhop_likely(age == 0))
		return count;
	return age == 1 ? number | (count & ANYHOP_COUNT_MAX) << 24 : number;
}

anyhop_inline __u32 anyhop_count_present(__u64 count)
{
	return (__u32)count & ANYHOP_COUNT_MAX;
}

anyhop_inline __u32 anyhop_count_former(__u64 count)
{
	return (__u32)(count >> 24) & ANYHOP_COUNT_MAX;
}

/* What came within the time of a window. */
anyhop_inline __u32 anyhop_sliding(__u32 present, __u32 former, __u32 left)
{
	return present + (__u32)((__u64)former * left >> 16);
}

anyhop_inline __u32 anyhop_count_sliding(__u64 count, const struct anyhop_moment *moment)
{
	count = anyhop_count_as_of(count, moment->window);
	return anyhop_sliding(anyhop_count_present(count), anyhop_count_former(count), moment->left);
}

/* A count with `more` in the present window. */
anyhop_inline __u64 anyhop_count_plus(__u64 count, __u32 window, __u32 more)
{
	count = anyhop_count_as_of(count, window);
	return anyhop_count_present(count) + more > ANYHOP_COUNT_MAX ? count | ANYHOP_COUNT_MAX : count + more;
}

/* What a source's two counts say together, as of now. */
struct anyhop_pair {
	__u64 first;
	__u64 second;
	__u32 present; /* the lesser */
	__u32 sliding;
};

anyhop_inline struct anyhop_pair anyhop_pair_of(__u64 first, __u64 second, const struct anyhop_moment *moment)
{
	struct anyhop_pair pair = {.first = anyhop_count_as_of(first, moment->window),
				   .second = anyhop_count_as_of(second, moment->window)};
	__u32 one = anyhop_count_present(pair.first), other = anyhop_count_present(pair.second);
	__u32 former = anyhop_count_former(pair.first), others = anyhop_count_former(pair.second);

	pair.present = one < other ? one : other;
	pair.sliding = anyhop_sliding(pair.present, former < others ? former : others, moment->left);
	return pair;
}

/* Raises both counts to one more than the lesser says. */
anyhop_inline void anyhop_pair_raise(const struct anyhop_pair *pair, __u64 *first, __u64 *second)
{
	if (pair->present == ANYHOP_COUNT_MAX)
		return;
	if (anyhop_count_present(pair->first) == pair->present)
		*first = pair->first + 1;
	if (anyhop_count_present(pair->second) == pair->present)
		*second = pair->second + 1;
}

anyhop_inline struct anyhop_cell *anyhop_sketch_first(struct anyhop_sketch *sketch, __u32 hash)
{
	return &sketch->cells[hash & (ANYHOP_SKETCH_WIDTH - 1)];
}

anyhop_inline struct anyhop_cell *anyhop_sketch_second(struct anyhop_sketch *sketch, __u32 hash)
{
	return &sketch->cells[ANYHOP_SKETCH_WIDTH + (hash >> 16)];
}

#define ANYHOP_SKETCH_STRUCTS(S, F) S(cell) F(cell, packets) F(cell, syns) S(sketch) F(sketch, cells)

#define ANYHOP_SKETCH_CONSTANTS(C) C(SKETCH_ROWS) C(SKETCH_WIDTH) C(COUNT_MAX)

_Static_assert(sizeof(struct anyhop_cell) == 16, "four cells a cache line");

#endif
