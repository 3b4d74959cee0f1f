/* SPDX-License-Identifier: MIT
 * What scripts/native calls; described in test-run.c. */
#ifndef ANYHOP_DEV_TEST_RUN_H
#define ANYHOP_DEV_TEST_RUN_H

#include <linux/types.h>

int anyhop_dev_pin(int cpu);
int anyhop_dev_avoid(int cpu);
int anyhop_dev_test_run(int program, const __u8 *frame, __u32 size, __u32 repeat, __u8 *out);
int anyhop_dev_test_run_each(const __u8 *programs, __u32 count, const __u8 *frame, __u32 size, __u32 repeat, __u8 *out);

#endif
