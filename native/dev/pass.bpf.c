/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * Lets every packet pass. A veth interface takes frames that its peer's XDP program sends only when it has a program
 * itself (or GRO, which would merge packets that are to be counted): the lab puts this one on its router's ports.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int lab_pass(struct xdp_md *ctx __attribute__((unused)))
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
