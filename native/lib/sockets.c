/* SPDX-License-Identifier: MIT
 *
 * Counts the TCP connections of this host by local address and port, from the kernel's socket tables (NETLINK_SOCK_DIAG): one walk for
 * each family.
 *
 * The kernel selects by state, and by address where there are few: it runs the filter, a list, for every socket. The rest are looked up in
 * the caller's sorted list. Dual-stack sockets have mapped IPv4 addresses (::ffff:a.b.c.d) among those of IPv6, so all addresses have
 * 16 bytes here.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/sock_diag.h>

#include "bpf.h"
#include "diag.h"
#include "error.h"

/* A range of ports of one address, as the caller passes it; sorted by address, then by first port, in network order. */
struct range {
	__u8 address[16];
	__u8 first[2];
	__u8 last[2];
};

#define KEY_BYTES 18 /* of an address and a port */

/* Both ends know of the connection, and one may still send. SYN_RECV does not count, or a flood of SYNs would look like connections;
 * nor does TIME_WAIT, in which nothing is left to lose. A FIN_WAIT2 without an owner counts. */
#define STATES \
	(1u << TCP_ESTABLISHED | 1u << TCP_FIN_WAIT1 | 1u << TCP_FIN_WAIT2 | 1u << TCP_CLOSE_WAIT | 1u << TCP_LAST_ACK | \
	 1u << TCP_CLOSING)

/* With 108,000 sockets, half of them on other addresses: 26 ms with one address in the filter, 46 with eight, 65 to 90 without. */
#define FILTER_ADDRESSES_MAX 8

/* A condition on the local address: its operation, and what it is compared with. */
struct condition {
	struct inet_diag_bc_op op;
	struct inet_diag_hostcond host;
	__u8 address[16];
};

/* "This one, or else the next": a condition that holds continues at the jump to the end, one that fails behind that jump. */
struct alternative {
	struct condition condition;
	struct inet_diag_bc_op jump;
};

struct request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 asked;
	struct nlattr filter;
	struct alternative alternatives[FILTER_ADDRESSES_MAX];
};

static const __u8 mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

static int is_mapped(const __u8 *address)
{
	return !memcmp(address, mapped_prefix, sizeof(mapped_prefix));
}

/* Puts the distinct addresses that sockets of this family can have into `found`. Stops counting above FILTER_ADDRESSES_MAX. */
static __u32 addresses_of(const struct range *ranges, __u32 count, int family, const __u8 **found)
{
	__u32 number = 0;

	for (__u32 i = 0; i < count; i++) {
		if ((i && !memcmp(ranges[i].address, ranges[i - 1].address, 16)) ||
		    (family == AF_INET && !is_mapped(ranges[i].address)))
			continue;
		if (number < FILTER_ADDRESSES_MAX)
			found[number] = ranges[i].address;
		if (++number > FILTER_ADDRESSES_MAX)
			break;
	}
	return number;
}

/* Writes the filter for up to FILTER_ADDRESSES_MAX addresses. Jumps are counted in bytes from the operation that they stand in; one
 * that ends 4 bytes behind the filter's end refuses. */
static void write_filter(struct request *request, int family, const __u8 **addresses, __u32 number)
{
	__u32 size = number * sizeof(struct alternative);

	for (__u32 i = 0; i < number; i++) {
		struct alternative *at = &request->alternatives[i];
		__u32 left = size - i * sizeof(*at);
		int is_last = i == number - 1;

		/* An IPv4 address stands in the first 4 bytes; conditions are of one length all the same. */
		at->condition.host = (struct inet_diag_hostcond){
			.family = (__u8)family, .prefix_len = family == AF_INET ? 32 : 128, .port = -1};
		memcpy(at->condition.address, addresses[i] + (family == AF_INET ? 12 : 0), family == AF_INET ? 4 : 16);
		at->condition.op = (struct inet_diag_bc_op){.code = INET_DIAG_BC_S_COND,
							     .yes = sizeof(at->condition),
							     .no = (__u16)(is_last ? left + 4 : sizeof(*at))};
		at->jump = (struct inet_diag_bc_op){
			.code = INET_DIAG_BC_JMP, .yes = sizeof(at->jump), .no = (__u16)(left - sizeof(at->condition))};
	}
	request->filter = (struct nlattr){.nla_len = (__u16)(sizeof(request->filter) + size),
					  .nla_type = INET_DIAG_REQ_BYTECODE};
}

/* Counts a connection under the last range that begins at or before its address and port, if that holds it. */
static void count_one(const struct range *ranges, __u32 count, const __u8 *key, __u8 *out)
{
	__u32 low = 0, high = count, value;

	while (low < high) {
		__u32 middle = low + (high - low) / 2;

		if (memcmp(ranges[middle].address, key, KEY_BYTES) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || memcmp(ranges[low - 1].address, key, 16) || memcmp(ranges[low - 1].last, key + 16, 2) < 0)
		return;
	memcpy(&value, out + (size_t)(low - 1) * 4, 4);
	value++;
	memcpy(out + (size_t)(low - 1) * 4, &value, 4);
}

/* What is counted, and where. */
struct counting {
	const struct range *ranges;
	__u32 count;
	__u8 *out;
};

static void count_socket(const struct inet_diag_msg *socket, const struct nlmsghdr *message, void *context)
{
	const struct counting *counting = context;
	__u8 key[KEY_BYTES];

	(void)message;

	if (socket->idiag_family == AF_INET) {
		memcpy(key, mapped_prefix, sizeof(mapped_prefix));
		memcpy(key + 12, socket->id.idiag_src, 4);
	} else {
		memcpy(key, socket->id.idiag_src, 16);
	}
	memcpy(key + 16, &socket->id.idiag_sport, 2);
	count_one(counting->ranges, counting->count, key, counting->out);
}

static int count_family(int family, struct counting *counting)
{
	struct request request = {
		.header = {.nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.asked = {.sdiag_family = (__u8)family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = STATES},
	};
	const __u8 *addresses[FILTER_ADDRESSES_MAX];
	__u32 number = addresses_of(counting->ranges, counting->count, family, addresses);

	if (!number)
		return 0; /* no socket of this family has one of these addresses */
	request.header.nlmsg_len = offsetof(struct request, filter);
	if (number <= FILTER_ADDRESSES_MAX) {
		write_filter(&request, family, addresses, number);
		request.header.nlmsg_len += request.filter.nla_len;
	}
	return anyhop_diag_walk(&request.header, count_socket, counting);
}

/* Counts the connections of each of `count` ranges (20 bytes each: struct range), into as many __u32 at out. Ranges of one address do
 * not overlap. */
int anyhop_tcp_count(const __u8 *ranges, __u32 count, __u8 *out)
{
	struct counting counting = {.ranges = (const struct range *)ranges, .count = count, .out = out};
	int error;

	anyhop_error_start();
	memset(out, 0, (size_t)count * 4);
	error = count_family(AF_INET, &counting);
	if (!error)
		error = count_family(AF_INET6, &counting);
	return error ? anyhop_error_is(error, "asking the kernel for its TCP sockets") : 0;
}
