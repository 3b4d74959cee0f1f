/* SPDX-License-Identifier: MIT
 *
 * Finds the listening sockets of this host that speak MPTCP, from the kernel's socket tables (NETLINK_SOCK_DIAG). Each has a TCP socket
 * below it, which says so by its upper layer protocol.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>

#include "bpf.h"
#include "diag.h"
#include "error.h"

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

static int is_mptcp(const struct inet_diag_msg *socket, const struct nlmsghdr *message)
{
	const struct rtattr *info, *name;

	info = attribute((const struct rtattr *)(socket + 1), (int)(message->nlmsg_len - NLMSG_LENGTH(sizeof(*socket))), INET_DIAG_ULP_INFO);
	if (!info)
		return 0;
	name = attribute(RTA_DATA(info), (int)RTA_PAYLOAD(info), INET_ULP_INFO_NAME);
	return name && RTA_PAYLOAD(name) >= sizeof("mptcp") && !strncmp(RTA_DATA(name), "mptcp", RTA_PAYLOAD(name));
}

static void take(const struct inet_diag_msg *socket, const struct nlmsghdr *message, void *context)
{
	struct found *found = context;
	struct listener *one = &found->list[found->count];

	if (found->count == found->max || !is_mptcp(socket, message))
		return;
	memset(one, 0, sizeof(*one));
	memcpy(one->address, socket->id.idiag_src, socket->idiag_family == AF_INET ? 4 : 16);
	memcpy(one->port, &socket->id.idiag_sport, 2);
	one->family = socket->idiag_family == AF_INET ? 4 : 6;
	found->count++;
}

static int ask(int family, struct found *found)
{
	const struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 asked;
	} request = {
		.header = {.nlmsg_len = sizeof(request), .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.asked = {.sdiag_family = (__u8)family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = 1u << TCP_LISTEN, .idiag_ext = 1 << (INET_DIAG_INFO - 1)},
	};

	return anyhop_diag_walk(&request.header, take, found);
}

/* Writes up to `max` of them (20 bytes each: struct listener) to out: how many. */
int anyhop_mptcp_listeners(__u8 *out, int max)
{
	struct found found = {.list = (struct listener *)out, .max = max};
	int error;

	anyhop_error_start();
	error = ask(AF_INET, &found);
	if (!error)
		error = ask(AF_INET6, &found);
	return error ? anyhop_error_is(error, "asking the kernel for its listening sockets") : found.count;
}
