// SPDX-License-Identifier: MIT OR GPL-2.0-only
/*
 * The forwarder's XDP program: the pipeline of native/include/anyhop over the maps that anyhop/xdp.h describes.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "anyhop/xdp.h"

/* Sizes that the object loads with; user space sets its own before it loads (bpf_map__set_value_size, max_entries). */
#define IMAGE_BYTES_DEFAULT 4096u
#define COUNTERS_BYTES_DEFAULT (sizeof(struct anyhop_counters) + 4 * sizeof(struct anyhop_traffic))

const volatile struct anyhop_sizes sizes SEC(".rodata.sizes") = {
	.image_bytes = IMAGE_BYTES_DEFAULT,
	.service_counters = 2,
	.backend_counters = 2,
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
	__uint(value_size, COUNTERS_BYTES_DEFAULT);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, ANYHOP_LIMIT_BUCKETS * sizeof(__u32));
} limiter SEC(".maps");

SEC("xdp")
int anyhop_forward(struct xdp_md *ctx)
{
	__u32 first = 0, cpu = ctx ? bpf_get_smp_processor_id() : 0;
	const struct anyhop_live *in_force = bpf_map_lookup_elem(&live, &first);
	struct anyhop_counters *counted = bpf_map_lookup_elem(&counters, &cpu);
	__u32 buffer = in_force ? in_force->buffer : 0;
	const struct anyhop_header *image = bpf_map_lookup_elem(&images, &buffer);
	const __u32 *ticks = bpf_map_lookup_elem(&limiter, &first);

	if (!image || !counted || !ticks || image->size > sizes.image_bytes)
		return XDP_PASS;
	counted->verdicts[ANYHOP_V_PASS_NOT_IP]++;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
