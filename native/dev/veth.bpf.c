// SPDX-License-Identifier: Dual MIT/GPL
/*
 * The ends of benches over veth: `bare_tx` stands in a forwarder's place and sends every packet back as it is, `sink` takes
 * what comes back and counts it, by CPU, so that a bench which means to run on one can see that it did. `sift` does that with
 * the generator's packets, wrapped or not, and lets all others pass. `unwrap` is a backend.
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

#define ETHERNET 14
#define IPV4 20

/* Whether a frame is IPv4, whose header is then there: what a namespace has to say about itself is IPv6 and ARP. */
static __always_inline int is_ipv4(const struct xdp_md *ctx)
{
	const __u8 *packet = (void *)(long)ctx->data;

	return packet + ETHERNET + IPV4 <= (__u8 *)(long)ctx->data_end &&
	       *(const __u16 *)(packet + 12) == __builtin_bswap16(0x0800);
}

SEC("xdp")
int sink(struct xdp_md *ctx)
{
	if (is_ipv4(ctx))
		sunk[bpf_get_smp_processor_id() % CPUS_MAX]++;
	return XDP_DROP;
}

#define GRE 4
#define PROTOCOL_GRE 47
#define GENERATOR_NET 20 /* the first octet of its clients (scripts/native/clients.ts) */

SEC("xdp")
int sift(struct xdp_md *ctx)
{
	const __u8 *ip = (const __u8 *)(long)ctx->data + ETHERNET;
	const __u8 *end = (void *)(long)ctx->data_end;

	if (!is_ipv4(ctx) || ip + IPV4 > end)
		return XDP_PASS;
	if (ip[9] == PROTOCOL_GRE) {
		ip += IPV4 + GRE;
		if (ip + IPV4 > end)
			return XDP_PASS;
	}
	if (ip[12] != GENERATOR_NET)
		return XDP_PASS;
	sunk[bpf_get_smp_processor_id() % CPUS_MAX]++;
	return XDP_DROP;
}

/* The backend's end of the tunnel, for IPv4 in GRE over IPv4 without a key: nothing is checked. */
SEC("xdp")
int unwrap(struct xdp_md *ctx)
{
	__u8 *packet = (void *)(long)ctx->data;
	__u64 macs;
	__u32 mac_tail;

	if (packet + ETHERNET + IPV4 + GRE > (__u8 *)(long)ctx->data_end || packet[ETHERNET + 9] != PROTOCOL_GRE)
		return XDP_PASS;
	macs = *(__u64 *)packet;
	mac_tail = *(__u32 *)(packet + 8);
	if (bpf_xdp_adjust_head(ctx, IPV4 + GRE))
		return XDP_DROP;
	packet = (void *)(long)ctx->data;
	if (packet + ETHERNET > (__u8 *)(long)ctx->data_end)
		return XDP_DROP;
	*(__u64 *)packet = macs;
	*(__u32 *)(packet + 8) = mac_tail;
	*(__u16 *)(packet + 12) = __builtin_bswap16(0x0800);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
