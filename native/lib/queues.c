/* SPDX-License-Identifier: MIT
 *
 * Queues and cores: how many queues an interface has, and which core a worker runs on.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/sockios.h>

#include "error.h"
#include "xsk.h"

/* The numbers of receive and transmit queues in use, as two __u32; 1 and 1 where the driver does not say (ETHTOOL_GCHANNELS). */
int anyhop_queues(const char *interface, __u8 *out, int size)
{
	struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };
	struct ifreq request = {};
	__u32 counts[2] = { 1, 1 };
	int fd, error = 0;

	anyhop_error_start();
	if (size < (int)sizeof(counts))
		return anyhop_error_is(-ENOSPC, "the queues of %s", interface);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return anyhop_error_is(-errno, "the queues of %s", interface);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	request.ifr_data = (void *)&channels;
	if (!ioctl(fd, SIOCETHTOOL, &request)) {
		/* Combined channels are one of each. */
		counts[0] = channels.combined_count + channels.rx_count;
		counts[1] = channels.combined_count + channels.tx_count;
	} else if (errno != EOPNOTSUPP) {
		error = anyhop_error_is(-errno, "the queues of %s", interface);
	}
	close(fd);
	memcpy(out, counts, sizeof(counts));
	return error;
}

/* Pins the calling thread to the core with this number, modulo those that the process may use. Returns the core, or a negative errno
 * without a text. */
int anyhop_pin_thread(int index)
{
	cpu_set_t allowed, one;
	int left;

	if (index < 0)
		return -EINVAL;
	if (sched_getaffinity(getpid(), sizeof(allowed), &allowed))
		return -errno;
	left = index % CPU_COUNT(&allowed);
	for (int core = 0; core < CPU_SETSIZE; core++) {
		if (!CPU_ISSET(core, &allowed) || left-- > 0)
			continue;
		CPU_ZERO(&one);
		CPU_SET(core, &one);
		return sched_setaffinity(0, sizeof(one), &one) ? -errno : core;
	}
	return -ENOENT;
}
