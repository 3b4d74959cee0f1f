/* SPDX-License-Identifier: MIT
 *
 * Hides the errors of a packet socket from an event loop that crashes on them. When an interface goes down, its packet sockets get an
 * error (ENETDOWN). libuv reports it to npm cap, and an assertion in cap ends the process.
 *
 * So the loop polls an epoll instance in place of the socket, under the socket's number. The instance is readable when the socket is
 * readable or has an error, and never has an error itself. libpcap reads packets from its mapped ring and only polls that number. The
 * socket moves to another number, by which its error is read and cleared. It stays bound, so packets return with the interface.
 */
#define _GNU_SOURCE /* dup3 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_packet.h>

#include "bpf.h"
#include "error.h"

static int is_packet_socket(int fd)
{
	int domain;
	socklen_t size = sizeof(domain);

	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) && domain == AF_PACKET;
}

/* Writes the numbers of this process's packet sockets to out, as up to `max` __u32s. Returns how many there are. */
int anyhop_packet_sockets(__u8 *out, int max)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;
	int count = 0;

	anyhop_error_start();
	if (!directory)
		return anyhop_error_is(-errno, "/proc/self/fd");
	while ((entry = readdir(directory))) {
		__u32 fd = (__u32)atoi(entry->d_name); /* 0 for "." and "..": standard input is no packet socket */

		if (!is_packet_socket((int)fd))
			continue;
		if (count < max)
			memcpy(out + 4 * count, &fd, sizeof(fd));
		count++;
	}
	closedir(directory);
	return count;
}

/* Replaces a packet socket by an epoll instance, before an event loop polls it. Returns the socket's new number. */
int anyhop_capture_shield(int fd)
{
	struct epoll_event event = {.events = EPOLLIN};
	int kept = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	int instance = epoll_create1(EPOLL_CLOEXEC);
	int error = 0;

	anyhop_error_start();
	if (kept < 0 || instance < 0 || epoll_ctl(instance, EPOLL_CTL_ADD, kept, &event) ||
	    dup3(instance, fd, O_CLOEXEC) < 0)
		error = -errno;
	if (instance >= 0)
		close(instance);
	if (!error)
		return kept;
	if (kept >= 0)
		close(kept);
	return anyhop_error_is(error, "polling a packet socket through another one");
}

/* Clears the socket's error and looks at its interface: returns 0 when it is up, -ENETDOWN when it is down, -ENODEV when it is gone. */
int anyhop_capture_state(int kept)
{
	struct sockaddr_ll bound;
	struct ifreq request = {0};
	socklen_t size = sizeof(bound);
	int error;
	socklen_t error_size = sizeof(error);

	anyhop_error_start();
	if (getsockopt(kept, SOL_SOCKET, SO_ERROR, &error, &error_size) ||
	    getsockname(kept, (struct sockaddr *)&bound, &size))
		return anyhop_error_is(-errno, "a packet socket");
	if (bound.sll_ifindex <= 0)
		return anyhop_error_is(-ENODEV, "the interface");
	request.ifr_ifindex = bound.sll_ifindex;
	if (ioctl(kept, SIOCGIFNAME, &request) || ioctl(kept, SIOCGIFFLAGS, &request))
		return anyhop_error_is(-errno, "the interface");
	return request.ifr_flags & IFF_UP ? 0 : anyhop_error_is(-ENETDOWN, "the interface");
}
