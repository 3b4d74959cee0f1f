/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * Lets every packet pass: `anyhop pass`. A veth interface takes the frames that an XDP program sends from its far end only while it
 * has an XDP program itself.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int anyhop_pass(struct xdp_md *ctx __attribute__((unused)))
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
