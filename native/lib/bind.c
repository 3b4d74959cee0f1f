/* SPDX-License-Identifier: MIT
 *
 * Binds a socket whose descriptor another library keeps to itself. The kernel applies rules for a source (`ip rule add from`) to a raw
 * socket only when the socket is bound to that source, whatever source the packet has.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/types.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "error.h"

/* The descriptor of this process whose socket has this cookie (SO_COOKIE), or -ENOENT. */
static int socket_of(__u64 cookie)
{
	DIR *directory = opendir("/proc/self/fd");
	int found = directory ? -ENOENT : -errno;
	struct dirent *entry;

	while (found == -ENOENT && (entry = readdir(directory))) {
		__u64 own = 0;
		socklen_t size = sizeof(own);
		int fd = atoi(entry->d_name); /* 0 for "." and "..": standard input has no such cookie */

		if (!getsockopt(fd, SOL_SOCKET, SO_COOKIE, &own, &size) && own == cookie)
			found = fd;
	}
	if (directory)
		closedir(directory);
	return found;
}

/* Binds the socket with this cookie to an address of 4 or 16 bytes. Returns -EADDRNOTAVAIL for an IPv4 address that is not this host's;
 * an IPv6 address need not be. */
int anyhop_bind(const __u8 *cookie, const __u8 *address, int length)
{
	struct sockaddr_in in4 = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	int is4 = length == 4, on = 1;
	__u64 wanted;
	int fd, error;

	memcpy(&wanted, cookie, sizeof(wanted));
	anyhop_error_start();
	fd = socket_of(wanted);
	if (fd < 0)
		return anyhop_error_is(fd, "a socket of this process");
	if (is4)
		memcpy(&in4.sin_addr, address, 4);
	else
		memcpy(&in6.sin6_addr, address, 16);
	if (!is4 && setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on)))
		return anyhop_error_is(-errno, "IPV6_FREEBIND");
	error = is4 ? bind(fd, (struct sockaddr *)&in4, sizeof(in4)) : bind(fd, (struct sockaddr *)&in6, sizeof(in6));
	return error ? anyhop_error_is(-errno, "binding a raw socket") : 0;
}
