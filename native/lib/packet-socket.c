/* SPDX-License-Identifier: MIT
 *
 * A packet socket with a filter in classic BPF, on all interfaces. It sees what XDP passes, also what the stack drops later.
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

/* A socket for the packets of one IP version that pass the filter (struct sock_filter each), from their IP header on. The filter is in
 * force before the first packet. */
int anyhop_packet_socket(int family, const __u8 *filter, int bytes)
{
	struct sock_fprog program = {
		.len = (unsigned short)(bytes / (int)sizeof(struct sock_filter)),
		.filter = (struct sock_filter *)filter,
	};
	struct sockaddr_ll all = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(family == 4 ? ETH_P_IP : ETH_P_IPV6),
	};
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error = 0;

	anyhop_error_start();
	if (fd < 0)
		return anyhop_error_is(-errno, "opening a packet socket");
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) ||
	    bind(fd, (const struct sockaddr *)&all, sizeof(all)))
		error = -errno;
	if (!error)
		return fd;
	close(fd);
	return anyhop_error_is(error, "filtering a packet socket");
}

/* Reads up to `most` packets into slots of `slot` bytes each: a __u32 with the length of what follows, cut at the slot's end.
 * Returns how many; frames for other machines, which an interface in promiscuous mode shows, are left out. */
int anyhop_packet_read(int fd, __u8 *out, __u32 slot, __u32 most)
{
	__u32 count = 0;

	for (__u32 reads = 0; reads < most; reads++) {
		struct sockaddr_ll from;
		socklen_t from_length = sizeof(from);
		ssize_t size = recvfrom(fd, out + 4, slot - 4, 0, (struct sockaddr *)&from, &from_length);
		__u32 length = (__u32)size;

		if (size < 0 && (errno == EAGAIN || errno == EINTR || errno == ENETDOWN))
			break;
		if (size < 0)
			return anyhop_error_is(-errno, "reading a packet socket");
		if (from.sll_pkttype != PACKET_HOST)
			continue;
		memcpy(out, &length, sizeof(length));
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
