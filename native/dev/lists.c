/* SPDX-License-Identifier: MIT
 *
 * What compiled lists say of a batch of addresses, for test/lists.
 */
#include "anyhop/lists.h"
#include "lists.h"

/* Addresses are 16 bytes each, those of IPv4 in the first four; one byte of answer each. `lists` may be damaged. */
int anyhop_dev_lists(const __u8 *lists, __u32 bytes, const __u8 *addresses, __u32 count, __u32 family, __u8 *out)
{
	const struct anyhop_view view = {.image = lists, .limit = bytes - ANYHOP_READ_MAX};

	for (__u32 i = 0; i < count; i++, addresses += 16)
		out[i] = (__u8)(family == 4 ? anyhop_listed4(&view, __builtin_bswap32(anyhop_get32(addresses)))
					    : anyhop_listed6(&view, __builtin_bswap64(anyhop_get64(addresses)),
							     __builtin_bswap64(anyhop_get64(addresses + 8))));
	return 0;
}
