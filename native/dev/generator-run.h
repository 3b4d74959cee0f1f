/* SPDX-License-Identifier: MIT
 * What scripts/native calls; described in generator.c. */
#ifndef ANYHOP_DEV_GENERATOR_RUN_H
#define ANYHOP_DEV_GENERATOR_RUN_H

#include <linux/types.h>

int anyhop_dev_live_run(int program, const __u8 *frame, __u32 size, __u32 repeat, __u32 milliseconds);

#endif
