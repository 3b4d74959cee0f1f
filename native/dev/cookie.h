/* SPDX-License-Identifier: MIT
 *
 * A case for anyhop_dev_cookies. test/packets/cookie.ts writes them.
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

_Static_assert(sizeof(struct anyhop_cookie_flow) == 56 && sizeof(struct anyhop_dev_cookie) == 80, "as it is written");

#endif
