/* SPDX-License-Identifier: MIT
 *
 * Finds the listening sockets of this host that speak MPTCP, from the kernel's socket tables (NETLINK_SOCK_DIAG). Each has a TCP socket
 * below it, which says so by its upper layer protocol.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>

#include "bpf.h"
#include "error.h"

#define TIMEOUT_SECONDS 5
#define REPLY_BYTES 32768 /* the most that the kernel gives at once */

/* What the caller gets of each: mapped addresses are IPv4's (::ffff:a.b.c.d), all zero is every one of its family. */
struct listener {
	__u8 address[16];
	__u8 port[2]; /* network order */
	__u8 family;  /* 4 or 6 */
	__u8 reserved;
};

struct found {
	struct listener *list;
	int count;
	int max;
};

static const struct rtattr *attribute(const struct rtattr *first, int size, unsigned short type)
{
	for (; RTA_OK(first, size); first = RTA_NEXT(first, size))
		if ((first->rta_type & NLA_TYPE_MASK) == type)
			return first;
	return NULL;
}

static int is_mptcp(const struct nlmsghdr *header)
{
	const struct inet_diag_msg *socket = NLMSG_DATA(header);
	const struct rtattr *info, *name;

	info = attribute((const struct rtattr *)(socket + 1), (int)(header->nlmsg_len - NLMSG_LENGTH(sizeof(*socket))), INET_DIAG_ULP_INFO);
	if (!info)
		return 0;
	name = attribute(RTA_DATA(info), (int)RTA_PAYLOAD(info), INET_ULP_INFO_NAME);
	return name && RTA_PAYLOAD(name) >= sizeof("mptcp") && !strncmp(RTA_DATA(name), "mptcp", RTA_PAYLOAD(name));
}

static void take(struct found *found, const struct inet_diag_msg *socket)
{
	struct listener *one = &found->list[found->count];

	if (found->count == found->max)
		return;
	memset(one, 0, sizeof(*one));
	memcpy(one->address, socket->id.idiag_src, socket->idiag_family == AF_INET ? 4 : 16);
	memcpy(one->port, &socket->id.idiag_sport, 2);
	one->family = socket->idiag_family == AF_INET ? 4 : 6;
	found->count++;
}

static int read_answer(int diag, struct found *found)
{
	static __u8 reply[REPLY_BYTES] __attribute__((aligned(NLMSG_ALIGNTO)));

	for (;;) {
		ssize_t size = recv(diag, reply, sizeof(reply), MSG_TRUNC);
		const struct nlmsghdr *header = (const struct nlmsghdr *)reply;

		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			return -errno;
		if ((size_t)size > sizeof(reply))
			return -EMSGSIZE;
		for (; NLMSG_OK(header, size); header = NLMSG_NEXT(header, size)) {
			if (header->nlmsg_type == NLMSG_DONE)
				return 0;
			if (header->nlmsg_type == NLMSG_ERROR)
				return header->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr)) ?
					       -EPROTO :
					       ((const struct nlmsgerr *)NLMSG_DATA(header))->error;
			if (header->nlmsg_type == SOCK_DIAG_BY_FAMILY &&
			    header->nlmsg_len >= NLMSG_LENGTH(sizeof(struct inet_diag_msg)) && is_mptcp(header))
				take(found, NLMSG_DATA(header));
		}
	}
}

static int ask(int diag, int family, struct found *found)
{
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 asked;
	} request = {
		.header = {.nlmsg_len = sizeof(request), .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.asked = {.sdiag_family = (__u8)family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = 1u << TCP_LISTEN, .idiag_ext = 1 << (INET_DIAG_INFO - 1)},
	};

	if (send(diag, &request, sizeof(request), 0) < 0)
		return -errno;
	return read_answer(diag, found);
}

/* Writes up to `max` of them (20 bytes each: struct listener) to out: how many. */
int anyhop_mptcp_listeners(__u8 *out, int max)
{
	const struct timeval timeout = {.tv_sec = TIMEOUT_SECONDS};
	struct found found = {.list = (struct listener *)out, .max = max};
	int diag = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	int error = diag < 0 ? -errno : 0;

	anyhop_error_start();
	if (!error && setsockopt(diag, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)))
		error = -errno;
	if (!error)
		error = ask(diag, AF_INET, &found);
	if (!error)
		error = ask(diag, AF_INET6, &found);
	if (diag >= 0)
		close(diag);
	return error ? anyhop_error_is(error, "asking the kernel for its listening sockets") : found.count;
}
