/* SPDX-License-Identifier: MIT */
#ifndef ANYHOP_DEV_LISTS_H
#define ANYHOP_DEV_LISTS_H

#include <linux/types.h>

int anyhop_dev_lists(const __u8 *lists, __u32 bytes, const __u8 *addresses, __u32 count, __u32 family, __u8 *out);

#endif
