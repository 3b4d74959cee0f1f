/* SPDX-License-Identifier: MIT
 *
 * Counters of the driver and the interface, as `ethtool -S` and `ip -s link` show them, without starting a process.
 */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "error.h"

/* A driver with more counters than this is not asked: the largest known have some 20,000. */
#define COUNTERS_MAX (1 << 20)

static int ethtool(int fd, const char *interface, void *command)
{
	struct ifreq request = {};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	request.ifr_data = command;
	return ioctl(fd, SIOCETHTOOL, &request) ? -errno : 0;
}

/* How many counters a driver has; 0 when it has none, or does not say. */
static __u32 counter_count(int fd, const char *interface)
{
	struct {
		struct ethtool_sset_info info;
		__u32 count;
	} sets = {.info = {.cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ULL << ETH_SS_STATS}};

	if (ethtool(fd, interface, &sets) || !(sets.info.sset_mask & (1ULL << ETH_SS_STATS)))
		return 0;
	return sets.count <= COUNTERS_MAX ? sets.count : 0;
}

/* Adds lines "NAME: COUNT" of the counters with `part` in their names, as long as there is room. Returns their length. */
static int driver_lines(int fd, const char *interface, const char *part, char *out, int size)
{
	__u32 count = counter_count(fd, interface);
	struct ethtool_gstrings *names = calloc(1, sizeof(*names) + (size_t)count * ETH_GSTRING_LEN);
	struct ethtool_stats *values = calloc(1, sizeof(*values) + (size_t)count * sizeof(__u64));
	int length = 0;

	if (names && values && count) {
		*names = (struct ethtool_gstrings){.cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_STATS, .len = count};
		*values = (struct ethtool_stats){.cmd = ETHTOOL_GSTATS, .n_stats = count};
		if (ethtool(fd, interface, names) || ethtool(fd, interface, values))
			count = 0;
		for (__u32 i = 0; i < count && i < names->len && i < values->n_stats; i++) {
			char name[ETH_GSTRING_LEN + 1] = {};

			memcpy(name, names->data + i * ETH_GSTRING_LEN, ETH_GSTRING_LEN);
			if (!strstr(name, part) || size - length < ETH_GSTRING_LEN + 24)
				continue;
			length += sprintf(out + length, "%s: %llu\n", name, (unsigned long long)values->data[i]);
		}
	}
	free(names);
	free(values);
	return length;
}

/* The line "missed: COUNT" (rx_missed_errors), or nothing when the kernel does not say. Returns its length. */
static int missed_line(int index, char *out)
{
	struct {
		struct nlmsghdr header;
		struct if_stats_msg body;
	} request = {
		.header = {.nlmsg_len = sizeof(request), .nlmsg_type = RTM_GETSTATS, .nlmsg_flags = NLM_F_REQUEST},
		.body = {.ifindex = (__u32)index, .filter_mask = IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64)},
	};
	_Alignas(struct nlmsghdr) char answer[4096];
	struct nlmsghdr *header = (struct nlmsghdr *)answer;
	struct rtnl_link_stats64 counted;
	struct rtattr *attribute;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	ssize_t got = -1;
	int left;

	if (fd < 0)
		return 0;
	if (send(fd, &request, sizeof(request), 0) == (ssize_t)sizeof(request))
		got = recv(fd, answer, sizeof(answer), 0);
	close(fd);
	if (got < 0 || !NLMSG_OK(header, (__u32)got) || header->nlmsg_type != RTM_NEWSTATS)
		return 0;
	attribute = (struct rtattr *)((char *)NLMSG_DATA(header) + NLMSG_ALIGN(sizeof(struct if_stats_msg)));
	left = (int)header->nlmsg_len - (int)NLMSG_SPACE(sizeof(struct if_stats_msg));
	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
		if (attribute->rta_type != IFLA_STATS_LINK_64)
			continue;
		memset(&counted, 0, sizeof(counted));
		memcpy(&counted, RTA_DATA(attribute),
		       RTA_PAYLOAD(attribute) < sizeof(counted) ? RTA_PAYLOAD(attribute) : sizeof(counted));
		return sprintf(out, "missed: %llu\n", (unsigned long long)counted.rx_missed_errors);
	}
	return 0;
}

/* Text of lines "NAME: COUNT": `missed`, and the driver's counters with `part` in their names; what is not told is left out.
 * Returns the text's length. */
int anyhop_interface_counters(const char *interface, const char *part, char *out, int size)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int error = -errno;
	int length;

	anyhop_error_start();
	if (fd < 0)
		return anyhop_error_is(error, "a socket to ask %s by", interface);
	length = size < 64 ? 0 : missed_line((int)if_nametoindex(interface), out);
	length += driver_lines(fd, interface, part, out + length, size - length);
	close(fd);
	return length;
}
