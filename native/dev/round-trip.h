/* SPDX-License-Identifier: MIT
 * What scripts/native calls; described in round-trip.c. */
#ifndef ANYHOP_DEV_ROUND_TRIP_H
#define ANYHOP_DEV_ROUND_TRIP_H

#include <linux/types.h>

int anyhop_dev_echo_start(const char *address, int port);
int anyhop_dev_echo_stop(int echo);
int anyhop_dev_round_trips(const char *address, int port, __u32 count, __u32 gap_us, __u8 *out);

#endif
