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

/* A source's counts in one row. Those of SYNs stand in a table of their own: most packets are none, and so have the cache for half of the
 * bytes, which fit into what a core has for itself. */
struct anyhop_cell {
	__u64 packets; /* SYNs included */
	__u64 others[ANYHOP_SKETCH_ROWS * ANYHOP_SKETCH_WIDTH - 1];
	__u64 syns;
};

struct anyhop_sketch {
	__u64 packets[ANYHOP_SKETCH_ROWS * ANYHOP_SKETCH_WIDTH];
	__u64 syns[ANYHOP_SKETCH_ROWS * ANYHOP_SKETCH_WIDTH];
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

/* The lesser of two numbers below 2^63. Counts of sources come in no order: a branch would be mispredicted every other time, which costs as
 * much as all else here. */
anyhop_inline __u64 anyhop_lesser(__u64 one, __u64 other)
{
	__u64 is_less = (__u64)((__s64)(one - other) >> 63);

	__asm__("" : "+r"(is_less)); /* or clang makes a branch of it */
	return other + ((one - other) & is_less);
}

/* 1 if a number is above another one, or 0, without a branch; both below 2^63. */
anyhop_inline __u64 anyhop_is_above(__u64 one, __u64 other)
{
	__u64 is_above = (other - one) >> 63;

	__asm__("" : "+r"(is_above));
	return is_above;
}

anyhop_inline struct anyhop_pair anyhop_pair_of(__u64 first, __u64 second, const struct anyhop_moment *moment)
{
	struct anyhop_pair pair = {.first = anyhop_count_as_of(first, moment->window),
				   .second = anyhop_count_as_of(second, moment->window)};
	__u32 one = anyhop_count_present(pair.first), other = anyhop_count_present(pair.second);
	__u32 former = anyhop_count_former(pair.first), others = anyhop_count_former(pair.second);

	pair.present = (__u32)anyhop_lesser(one, other);
	pair.sliding = anyhop_sliding(pair.present, (__u32)anyhop_lesser(former, others), moment->left);
	return pair;
}

/* Raises both counts to one more than the lesser says. The greater is written too, as of now, for want of a branch. */
anyhop_inline void anyhop_pair_raise(const struct anyhop_pair *pair, __u64 *first, __u64 *second)
{
	__u64 one = anyhop_count_present(pair->first), other = anyhop_count_present(pair->second);

	if (anyhop_unlikely(pair->present == ANYHOP_COUNT_MAX))
		return;
	*first = pair->first + 1 - anyhop_is_above(one, pair->present);
	*second = pair->second + 1 - anyhop_is_above(other, pair->present);
}

anyhop_inline struct anyhop_cell *anyhop_sketch_first(struct anyhop_sketch *sketch, __u32 hash)
{
	return (struct anyhop_cell *)&sketch->packets[hash & (ANYHOP_SKETCH_WIDTH - 1)];
}

anyhop_inline struct anyhop_cell *anyhop_sketch_second(struct anyhop_sketch *sketch, __u32 hash)
{
	return (struct anyhop_cell *)&sketch->packets[ANYHOP_SKETCH_WIDTH + (hash >> 16)];
}

#define ANYHOP_SKETCH_STRUCTS(S, F) S(cell) F(cell, packets) F(cell, syns) S(sketch) F(sketch, packets) F(sketch, syns)

#define ANYHOP_SKETCH_CONSTANTS(C) C(SKETCH_ROWS) C(SKETCH_WIDTH) C(COUNT_MAX)

_Static_assert(__builtin_offsetof(struct anyhop_cell, syns) == sizeof(((struct anyhop_sketch *)0)->packets), "a table further");

#endif
