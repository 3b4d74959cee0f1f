// SPDX-License-Identifier: Dual MIT/GPL
/*
 * Writes down what comes back from a forwarder, packet by packet, on the other end of its link: nothing is captured, so
 * nothing gets lost on the way to whoever judges it.
 *
 * A packet is known by its number, which the sender put into the sequence number of the inner TCP header. What is kept of
 * it: how often it came, and by the last bytes of the outer destination and of the MAC address, to whom.
 */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Offsets in a frame without VLAN tags: IPv4 in GRE without a key in IPv4. */
#define MAC_LAST 5
#define ETHERTYPE 12
#define OUTER 14
#define INNER (OUTER + 20 + 4)
#define SEQUENCE (INNER + 20 + 4)

#define VERSION_AND_LENGTH 0x45
#define PROTOCOL_GRE 47
#define PROTOCOL_TCP 6

struct sighting {
	__u32 times; /* 0: it has not come */
	__u32 where; /* last byte of the MAC address << 8 | last byte of the outer destination */
};

/* By number; as many as user space asks for. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sighting);
} seen SEC(".maps");

SEC("xdp")
int witness(struct xdp_md *ctx)
{
	const __u8 *frame = (const __u8 *)(long)ctx->data, *end = (const __u8 *)(long)ctx->data_end;
	struct sighting *sighting;
	__u32 number;

	if (frame + SEQUENCE + 4 > end || frame[ETHERTYPE] != 0x08 || frame[ETHERTYPE + 1] != 0x00 ||
	    frame[OUTER] != VERSION_AND_LENGTH || frame[OUTER + 9] != PROTOCOL_GRE ||
	    frame[INNER] != VERSION_AND_LENGTH || frame[INNER + 9] != PROTOCOL_TCP)
		return XDP_PASS;
	number = bpf_ntohl(*(const __u32 *)(frame + SEQUENCE));
	sighting = bpf_map_lookup_elem(&seen, &number);
	if (!sighting)
		return XDP_PASS;
	sighting->times++;
	sighting->where = (__u32)frame[MAC_LAST] << 8 | frame[OUTER + 19];
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
