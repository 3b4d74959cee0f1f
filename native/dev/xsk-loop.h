/* SPDX-License-Identifier: MIT
 * What bench/afxdp calls; described in xsk-loop.c. */
#ifndef ANYHOP_DEV_XSK_LOOP_H
#define ANYHOP_DEV_XSK_LOOP_H

#include <linux/types.h>

int anyhop_dev_loop_start(int xsk, int core, int busy_poll_us, const __u8 *image, int image_bytes);
int anyhop_dev_loop_counts(__u8 *out, int size);
int anyhop_dev_loop_stop(void);

#endif
