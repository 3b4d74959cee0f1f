/* SPDX-License-Identifier: MIT
 *
 * Rows of a routing table of the kernel (rtnetlink): reads those of one protocol, and adds and deletes host routes of type blackhole.
 *
 * The kernel filters by table, protocol and type (NETLINK_GET_STRICT_CHK, Linux 4.20): a main table with a million routes is walked, but
 * not copied. What identifies a row is prefix, metric, type and protocol. A row with the prefix and metric of another one is refused
 * (NLM_F_EXCL), whatever the other one is. A deletion names all four, so that another program's row is safe. IPv6 does not look at the
 * type; blackhole routes are on the loopback interface there, so a deletion names that too.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "bpf.h"
#include "error.h"

/* A host route, as the caller passes and gets it; numbers in the host's order. IPv4 addresses are the first 4 bytes. */
struct row {
	__u8 address[16];
	__u32 metric;
	__u8 family;   /* AF_INET or AF_INET6 */
	__u8 type;     /* RTN_*; ignored in a request */
	__u8 protocol; /* RTPROT_* */
	__u8 add;      /* in a request: 1 adds the row, 0 deletes it */
};

#define LOOPBACK 1	   /* its index, in every network namespace */
#define TIMEOUT_SECONDS 5
#define REPLY_BYTES 32768  /* the most that the kernel gives at once */
#define READS_MAX 8	   /* of a table that changes while it is read */
#define BATCH_MAX 64	   /* requests that are sent at once: the answers to more could overrun the socket's buffer */

struct request {
	struct nlmsghdr header;
	struct rtmsg route;
	__u8 attributes[64]; /* a table, an address, a metric and an interface: 8, 20, 8 and 8 bytes */
};

static __u8 reply[REPLY_BYTES] __attribute__((aligned(NLMSG_ALIGNTO)));

/* A socket for routes with a time limit; or a negative errno. */
static int open_socket(void)
{
	const struct timeval timeout = {.tv_sec = TIMEOUT_SECONDS};
	const int on = 1;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int error;

	if (fd < 0)
		return -errno;
	if (!setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) &&
	    !setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on)) &&
	    !setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on)))
		return fd;
	error = -errno;
	close(fd);
	return error;
}

/* Appends an attribute of one 32-bit number or one address. */
static void append(struct request *request, unsigned short type, const void *value, unsigned short bytes)
{
	struct rtattr *attribute = (struct rtattr *)((__u8 *)request + NLMSG_ALIGN(request->header.nlmsg_len));

	attribute->rta_type = type;
	attribute->rta_len = (unsigned short)RTA_LENGTH(bytes);
	memcpy(RTA_DATA(attribute), value, bytes);
	request->header.nlmsg_len = NLMSG_ALIGN(request->header.nlmsg_len) + RTA_ALIGN(attribute->rta_len);
}

static unsigned short address_bytes(int family)
{
	return family == AF_INET ? 4 : 16;
}

/* The next message of the kernel's: its length, or a negative errno. */
static ssize_t receive(int fd)
{
	for (;;) {
		ssize_t size = recv(fd, reply, sizeof(reply), MSG_TRUNC);

		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		return (size_t)size > sizeof(reply) ? -EMSGSIZE : size;
	}
}

/* The error that a message carries; 0 in an acknowledgement. */
static int error_of(const struct nlmsghdr *header)
{
	return header->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr)) ? -EPROTO :
									   ((const struct nlmsgerr *)NLMSG_DATA(header))->error;
}

/* What a reader of a table collects. */
struct reading {
	__u32 table;
	__u32 protocol; /* 0: all */
	__u32 type;	/* 0: all */
	__u32 left;	/* routes that are still looked at, of this family */
	__u32 cut;	/* there were more */
	__u32 count;	/* rows found */
	struct row *out;
};

/* Keeps a route if it is a row that is asked for: a host route without a TOS or a source prefix. */
static void keep_route(struct reading *reading, const struct nlmsghdr *header, int family)
{
	const struct rtmsg *route = NLMSG_DATA(header);
	const struct rtattr *attribute = RTM_RTA(route);
	int left = (int)header->nlmsg_len - (int)NLMSG_LENGTH(sizeof(*route));
	struct row row = {.family = (__u8)family};
	__u32 table = route->rtm_table;
	int has_address = 0;

	if (route->rtm_family != family || route->rtm_dst_len != 8 * address_bytes(family) || route->rtm_src_len ||
	    route->rtm_tos || (reading->protocol && route->rtm_protocol != reading->protocol) ||
	    (reading->type && route->rtm_type != reading->type))
		return;
	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
		if (attribute->rta_type == RTA_TABLE && RTA_PAYLOAD(attribute) >= sizeof(table))
			memcpy(&table, RTA_DATA(attribute), sizeof(table));
		if (attribute->rta_type == RTA_PRIORITY && RTA_PAYLOAD(attribute) >= sizeof(row.metric))
			memcpy(&row.metric, RTA_DATA(attribute), sizeof(row.metric));
		if (attribute->rta_type == RTA_DST && RTA_PAYLOAD(attribute) >= address_bytes(family)) {
			memcpy(row.address, RTA_DATA(attribute), address_bytes(family));
			has_address = 1;
		}
	}
	if (!has_address || table != reading->table)
		return;
	row.type = route->rtm_type;
	row.protocol = route->rtm_protocol;
	reading->out[reading->count++] = row;
}

/* Reads the kernel's answer to its end, or until enough was looked at. Returns 0, a negative errno, or -EINTR when the table changed. */
static int read_answer(int fd, int family, struct reading *reading)
{
	int changed = 0;

	for (;;) {
		ssize_t size = receive(fd);
		const struct nlmsghdr *header = (const struct nlmsghdr *)reply;

		if (size < 0)
			return (int)size;
		for (; NLMSG_OK(header, size); header = NLMSG_NEXT(header, size)) {
			if (header->nlmsg_flags & NLM_F_DUMP_INTR)
				changed = 1;
			if (header->nlmsg_type == NLMSG_ERROR)
				return error_of(header);
			if (header->nlmsg_type == NLMSG_DONE) {
				int error = 0; /* the table may be found missing only here */

				if (header->nlmsg_len >= NLMSG_LENGTH(sizeof(error)))
					memcpy(&error, NLMSG_DATA(header), sizeof(error));
				return error < 0 ? error : changed ? -EINTR : 0;
			}
			if (header->nlmsg_type != RTM_NEWROUTE || header->nlmsg_len < NLMSG_LENGTH(sizeof(struct rtmsg)))
				continue;
			if (!reading->left) {
				reading->cut = 1;
				return 0;
			}
			reading->left--;
			keep_route(reading, header, family);
		}
	}
}

/* Asks for the rows of one family. Each question has a socket of its own, since an answer may be left unread. */
static int read_family(int family, struct reading *reading)
{
	struct request request = {
		.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)),
			   .nlmsg_type = RTM_GETROUTE,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.route = {.rtm_family = (__u8)family,
			  .rtm_protocol = (__u8)reading->protocol,
			  .rtm_type = (__u8)reading->type},
	};
	int fd = open_socket();
	int error;

	if (fd < 0)
		return fd;
	append(&request, RTA_TABLE, &reading->table, sizeof(reading->table));
	error = send(fd, &request, request.header.nlmsg_len, 0) < 0 ? -errno : read_answer(fd, family, reading);
	close(fd);
	/* No such table yet, or no such family in this kernel: no rows. */
	return error == -ENOENT || error == -EAFNOSUPPORT || error == -EOPNOTSUPP ? 0 : error;
}

/* Reads the host routes of a table, IPv4 then IPv6, into rows at out (24 bytes each: struct row). A protocol or type of 0 stands for all.
 * Looks at `routes_max` routes of each family, not counting those that the kernel filters out, and leaves the rest: `cut` (__u32) says
 * whether there are more. So out has room for twice as many rows. Returns their number. A table that changes while it is read is read
 * again; of one that never holds still, the last answer counts, in which a row may be missing. */
int anyhop_rows_read(__u32 table, __u32 protocol, __u32 type, __u32 routes_max, __u8 *out, __u8 *cut)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct reading all = {.table = table, .protocol = protocol, .type = type};

	anyhop_error_start();
	all.out = (struct row *)out;
	for (int i = 0; i < 2; i++) {
		struct reading reading;
		int error = -EINTR;

		for (int tries = 0; tries < READS_MAX && error == -EINTR; tries++) {
			reading = all;
			reading.left = routes_max;
			error = read_family(families[i], &reading);
		}
		if (error && error != -EINTR)
			return anyhop_error_is(error, "reading routing table %u", table);
		all = reading;
	}
	memcpy(cut, &all.cut, sizeof(all.cut));
	return (int)all.count;
}

/* Writes the request to add or delete a row. */
static void write_request(struct request *request, __u32 table, const struct row *row)
{
	const __u32 loopback = LOOPBACK;

	memset(request, 0, sizeof(*request));
	request->header.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg));
	request->header.nlmsg_type = row->add ? RTM_NEWROUTE : RTM_DELROUTE;
	request->header.nlmsg_flags = (__u16)(NLM_F_REQUEST | NLM_F_ACK | (row->add ? NLM_F_CREATE | NLM_F_EXCL : 0));
	request->route.rtm_family = row->family;
	request->route.rtm_dst_len = (__u8)(8 * address_bytes(row->family));
	request->route.rtm_table = RT_TABLE_UNSPEC; /* RTA_TABLE says it */
	request->route.rtm_protocol = row->protocol;
	request->route.rtm_type = RTN_BLACKHOLE;
	append(request, RTA_TABLE, &table, sizeof(table));
	append(request, RTA_DST, row->address, address_bytes(row->family));
	append(request, RTA_PRIORITY, &row->metric, sizeof(row->metric));
	if (row->family == AF_INET6 && !row->add)
		append(request, RTA_OIF, &loopback, sizeof(loopback));
}

/* Reads the acknowledgements of `count` requests, whose numbers count from `first`. */
static int read_results(int fd, __u32 first, __u32 count, __u8 *results)
{
	for (__u32 heard = 0; heard < count;) {
		ssize_t size = receive(fd);
		const struct nlmsghdr *header = (const struct nlmsghdr *)reply;

		if (size < 0)
			return (int)size;
		for (; NLMSG_OK(header, size); header = NLMSG_NEXT(header, size)) {
			int error = error_of(header);

			if (header->nlmsg_type != NLMSG_ERROR || header->nlmsg_seq - first >= count)
				continue;
			memcpy(results + (size_t)header->nlmsg_seq * 4, &error, 4);
			heard++;
		}
	}
	return 0;
}

/* Makes `count` changes (struct row), in their order, and writes what the kernel says of each, 0 or a negative errno, into as many __s32 at
 * results. A change that fails stops none of the others. Fails as a whole when the kernel cannot be asked; then the changes that it did not
 * answer are -EINPROGRESS. */
int anyhop_rows_change(__u32 table, const __u8 *changes, __u32 count, __u8 *results)
{
	static struct request batch[BATCH_MAX];
	static struct iovec pieces[BATCH_MAX];
	const struct row *rows = (const struct row *)changes;
	const int unanswered = -EINPROGRESS;
	int fd = open_socket();
	int error = fd < 0 ? fd : 0;

	anyhop_error_start();
	for (__u32 i = 0; i < count; i++)
		memcpy(results + (size_t)i * 4, &unanswered, 4);
	for (__u32 first = 0; first < count && !error; first += BATCH_MAX) {
		__u32 number = count - first < BATCH_MAX ? count - first : BATCH_MAX;
		struct msghdr message = {.msg_iov = pieces, .msg_iovlen = number};

		for (__u32 i = 0; i < number; i++) {
			write_request(&batch[i], table, &rows[first + i]);
			batch[i].header.nlmsg_seq = first + i;
			pieces[i] = (struct iovec){.iov_base = &batch[i], .iov_len = batch[i].header.nlmsg_len};
		}
		error = sendmsg(fd, &message, 0) < 0 ? -errno : read_results(fd, first, number, results);
	}
	if (fd >= 0)
		close(fd);
	return error ? anyhop_error_is(error, "changing routing table %u", table) : 0;
}
