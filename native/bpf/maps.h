/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * The maps that the program that forwards and the one that steers have alike, as anyhop/xdp.h describes them. The sizes here
 * are only what the object files load with: user space sets its own before it loads one (bpf_map__set_value_size,
 * max_entries).
 */
#ifndef ANYHOP_BPF_MAPS_H
#define ANYHOP_BPF_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "anyhop/defend.h"
#include "anyhop/xdp.h"

#define IMAGE_BYTES_DEFAULT 4096u
#define LISTS_BYTES_DEFAULT 256u
#define COUNTERS_DEFAULT 2u /* services, and backends */

const volatile struct anyhop_sizes sizes SEC(".rodata.sizes") = {
	.image_bytes = IMAGE_BYTES_DEFAULT,
	.backends_at = sizeof(struct anyhop_counters) + COUNTERS_DEFAULT * sizeof(struct anyhop_traffic),
	.counter_last = sizeof(struct anyhop_counters) + (2 * COUNTERS_DEFAULT - 1) * sizeof(struct anyhop_traffic),
	.guarded_at = sizeof(struct anyhop_counters) + 2 * COUNTERS_DEFAULT * sizeof(struct anyhop_traffic),
	.state_last = (COUNTERS_DEFAULT - 1) * sizeof(struct anyhop_service_state),
	.lists_bytes = LISTS_BYTES_DEFAULT,
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, ANYHOP_IMAGES);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, IMAGE_BYTES_DEFAULT);
} images SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct anyhop_live);
} live SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2); /* one CPU and user space */
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct anyhop_counters) + 2 * COUNTERS_DEFAULT * sizeof(struct anyhop_traffic) +
			    COUNTERS_DEFAULT * sizeof(struct anyhop_guarded));
} counters SEC(".maps");

#endif
