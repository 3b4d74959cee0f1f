/* SPDX-License-Identifier: MIT
 *
 * The socket option for a filter in classic BPF. npm raw-socket sets any option from bytes, but this one holds a pointer, which
 * TypeScript cannot write.
 */
#include <linux/filter.h>
#include <string.h>

#include "bpf.h"
#include "error.h"

/* Writes the value of SO_ATTACH_FILTER for these instructions (struct sock_filter each) to out, and returns its length. The
 * instructions must stay in place until the option is set. */
int anyhop_filter_option(const __u8 *instructions, int bytes, __u8 *out)
{
	struct sock_fprog option = {
		.len = (unsigned short)(bytes / (int)sizeof(struct sock_filter)),
		.filter = (struct sock_filter *)instructions,
	};

	memcpy(out, &option, sizeof(option));
	return sizeof(option);
}
