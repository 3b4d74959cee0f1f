/* SPDX-License-Identifier: MIT
 *
 * One question to the kernel about its sockets (NETLINK_SOCK_DIAG), and its answer, socket by socket.
 */
#include "diag.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/sock_diag.h>

#define TIMEOUT_SECONDS 5
#define REPLY_BYTES 32768 /* the most that the kernel gives at once */

static int read_answer(int diag, anyhop_diag_take *take, void *context)
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
			    header->nlmsg_len >= NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
				take(NLMSG_DATA(header), header, context);
		}
	}
}

/* Asks, and reads the answer to its end. Returns 0 or -errno. */
int anyhop_diag_walk(const struct nlmsghdr *request, anyhop_diag_take *take, void *context)
{
	const struct timeval timeout = {.tv_sec = TIMEOUT_SECONDS};
	int diag = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	int error = 0;

	if (diag < 0)
		return -errno;
	if (setsockopt(diag, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) || send(diag, request, request->nlmsg_len, 0) < 0)
		error = -errno;
	if (!error)
		error = read_answer(diag, take, context);
	close(diag);
	return error;
}
