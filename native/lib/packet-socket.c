/* SPDX-License-Identifier: MIT
 *
 * A packet socket with a filter in classic BPF, on all interfaces: for packets to this host, as XDP passes them, also those that the stack
 * drops later; or for packets that leave.
 *
 * It is bound to all protocols, and its filter tells the IP version. A socket that is bound to one of IP's stands beside the stack and not before
 * it: the kernel then gives the stack a copy of each packet, which lacks the socket that a program at tc ingress has found for it (Linux
 * 6.17; before, only one that is bound to an interface too). On a backend that would undo each SYN cookie.
 *
 * The socket never blocks, and is read now and then. In between, the kernel keeps some hundreds of packets and counts what it drops.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bpf.h"
#include "error.h"

#define FILTER_MAX 256 /* instructions */

/* Before the filter of packets that come: those of the IP version alone, and not with a VLAN tag, since they come again without it on the
 * interface of the VLAN. */
static int of_version(struct sock_filter *out, int family)
{
	const struct sock_filter start[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, (__u32)(SKF_AD_OFF + SKF_AD_PROTOCOL)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, family == 4 ? ETH_P_IP : ETH_P_IPV6, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (__u32)(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};

	memcpy(out, start, sizeof(start));
	return (int)(sizeof(start) / sizeof(*start));
}

/* A socket for the packets of one IP version that pass the filter (struct sock_filter each), from their IP header on. The filter is in
 * force before the first packet. Where `leaving` is 1, the filter tells the IP version. */
int anyhop_packet_socket(int family, int leaving, const __u8 *filter, int bytes)
{
	struct sock_filter instructions[FILTER_MAX];
	int start = leaving ? 0 : of_version(instructions, family), count = bytes / (int)sizeof(*instructions);
	struct sock_fprog program = {.len = (unsigned short)(start + count), .filter = instructions};
	struct sockaddr_ll all = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	const int ignored = !leaving;
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error = 0;

	anyhop_error_start();
	if (fd < 0)
		return anyhop_error_is(-errno, "opening a packet socket");
	if (start + count > FILTER_MAX) {
		close(fd);
		return anyhop_error_is(-E2BIG, "the filter of a packet socket");
	}
	memcpy(instructions + start, filter, (size_t)count * sizeof(*instructions));
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &ignored, sizeof(ignored)) ||
	    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) ||
	    bind(fd, (const struct sockaddr *)&all, sizeof(all)))
		error = -errno;
	if (!error)
		return fd;
	close(fd);
	return anyhop_error_is(error, "filtering a packet socket");
}

/* Reads up to `most` packets into slots of `slot` bytes each: two __u32, the index of the interface and the length of what follows, cut at
 * the slot's end. Returns how many; those of the other direction are left out, and frames for other machines, which an interface in
 * promiscuous mode shows. */
int anyhop_packet_read(int fd, int leaving, __u8 *out, __u32 slot, __u32 most)
{
	const int wanted = leaving ? PACKET_OUTGOING : PACKET_HOST;
	__u32 count = 0;

	for (__u32 reads = 0; reads < most; reads++) {
		struct sockaddr_ll from;
		socklen_t from_length = sizeof(from);
		ssize_t size = recvfrom(fd, out + 8, slot - 8, 0, (struct sockaddr *)&from, &from_length);
		__u32 about[2] = { (__u32)from.sll_ifindex, (__u32)size };

		if (size < 0 && (errno == EAGAIN || errno == EINTR || errno == ENETDOWN))
			break;
		if (size < 0)
			return anyhop_error_is(-errno, "reading a packet socket");
		if (from.sll_pkttype != wanted)
			continue;
		memcpy(out, about, sizeof(about));
		out += slot;
		count++;
	}
	return (int)count;
}

/* Packets that the kernel dropped since the last call, for want of room. */
int anyhop_packet_dropped(int fd)
{
	struct tpacket_stats stats;
	socklen_t size = sizeof(stats);

	anyhop_error_start();
	if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size))
		return anyhop_error_is(-errno, "the counters of a packet socket");
	return (int)(stats.tp_drops & 0x7fffffff);
}
