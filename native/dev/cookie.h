/* SPDX-License-Identifier: MIT
 *
 * Cases for the functions of cookie.c. test/packets/cookie.ts and test/differential/syn-answer.test.ts write them.
 */
#ifndef ANYHOP_DEV_COOKIE_H
#define ANYHOP_DEV_COOKIE_H

#include "anyhop/cookie.h"

struct anyhop_dev_cookie {
	__u64 key[2];
	struct anyhop_cookie_flow flow;
	__u32 epoch;
	__u32 given; /* options to make a cookie of, or a cookie to be checked */
};

/* A SYN for anyhop_dev_answer_syns: its frame, and where it goes. */
struct anyhop_dev_syn {
	__u64 fleet_ms;
	__u32 length;
	__u32 l2_length;
	__u32 family;
	__u32 service; /* numbers in the image */
	__u32 backend;
	__u32 reserved;
};

_Static_assert(sizeof(struct anyhop_cookie_flow) == 56 && sizeof(struct anyhop_dev_cookie) == 80, "as it is written");

#endif
