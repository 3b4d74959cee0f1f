// SPDX-License-Identifier: Dual MIT/GPL
/*
 * The ends of a throughput bench over veth: `bare_tx` stands in a forwarder's place and sends every packet back as it is,
 * `sink` takes what comes back and counts it, by CPU, so that a bench which means to run on one can see that it did.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define CPUS_MAX 64

__u64 sunk[CPUS_MAX];

SEC("xdp")
int bare_tx(struct xdp_md *ctx __attribute__((unused)))
{
	return XDP_TX;
}

SEC("xdp")
int sink(struct xdp_md *ctx __attribute__((unused)))
{
	sunk[bpf_get_smp_processor_id() % CPUS_MAX]++;
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
