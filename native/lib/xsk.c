/* SPDX-License-Identifier: MIT
 *
 * AF_XDP sockets by plain system calls: packet memory (UMEM) and four rings for one receive queue of an interface
 * (Documentation/networking/af_xdp.rst). The owner of a socket works on the rings in mapped memory; this file sets them up and makes the
 * remaining calls into the kernel.
 *
 *   fill        -> kernel: frames to receive into        RX          <- kernel: frames that came in
 *   TX          -> kernel: frames to send                completion  <- kernel: frames that were sent
 *
 * A socket is a small number, and belongs to the process. The worker that owns the rings calls anyhop_xsk_kick and anyhop_xsk_wait while
 * the main thread may call others: these two return a negative errno without a text.
 */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/if_xdp.h>

#include "error.h"
#include "xsk.h"

/* Since Linux 6.17, younger than Debian 12's headers. */
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif

#define XSKS_MAX 256
/* One call of a kernel that has no XDP_MAX_TX_SKB_BUDGET takes 32 frames: enough calls for a whole ring. */
#define KICKS_MAX 128

struct ring {
	void *at;
	struct anyhop_xsk_ring layout;
};

struct xsk {
	int fd;
	int wake; /* eventfd */
	__u32 interface, queue;
	void *umem;
	size_t umem_bytes;
	struct ring rings[ANYHOP_XSK_COMPLETION + 1]; /* that of ANYHOP_XSK_UMEM is not used */
	/* Frames that the kernel took off the TX ring and then dropped; written by the worker. */
	_Atomic __u64 refused;
};

static struct xsk *xsks[XSKS_MAX];

static struct xsk *xsk_of(int xsk)
{
	return xsk >= 0 && xsk < XSKS_MAX ? xsks[xsk] : NULL;
}

static void destroy(struct xsk *x)
{
	for (int which = ANYHOP_XSK_RX; which <= ANYHOP_XSK_COMPLETION; which++)
		if (x->rings[which].at)
			munmap(x->rings[which].at, x->rings[which].layout.bytes);
	if (x->fd >= 0)
		close(x->fd);
	if (x->wake >= 0)
		close(x->wake);
	if (x->umem)
		munmap(x->umem, x->umem_bytes);
	free(x);
}

static int register_umem(struct xsk *x, int frame_bytes, int frames, int headroom)
{
	struct xdp_umem_reg reg = {
		.len = (__u64)frame_bytes * (__u64)frames,
		.chunk_size = (__u32)frame_bytes,
		.headroom = (__u32)headroom,
	};

	x->umem_bytes = reg.len;
	x->umem = mmap(NULL, x->umem_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (x->umem == MAP_FAILED) {
		x->umem = NULL;
		return anyhop_error_is(-errno, "%zu bytes of packet memory", x->umem_bytes);
	}
	reg.addr = (__u64)(unsigned long)x->umem;
	if (!setsockopt(x->fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)))
		return 0;
	if (errno == ENOBUFS) /* linux/mm: the only reason that this call has for it */
		return anyhop_error_is(-ENOBUFS, "the limit on locked memory (RLIMIT_MEMLOCK) is too low for %zu bytes, and CAP_IPC_LOCK is missing",
				       x->umem_bytes);
	return anyhop_error_is(-errno, "XDP_UMEM_REG of %d frames of %d bytes", frames, frame_bytes);
}

static int map_ring(struct xsk *x, int which, __u32 entries, size_t entry_bytes, const struct xdp_ring_offset *offset,
		    off_t at)
{
	struct ring *ring = &x->rings[which];

	ring->layout = (struct anyhop_xsk_ring){
		.bytes = (__u32)(offset->desc + entries * entry_bytes),
		.entries = entries,
		.producer = (__u32)offset->producer,
		.consumer = (__u32)offset->consumer,
		.flags = (__u32)offset->flags,
		.desc = (__u32)offset->desc,
	};
	ring->at = mmap(NULL, ring->layout.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, x->fd, at);
	if (ring->at != MAP_FAILED)
		return 0;
	ring->at = NULL;
	return anyhop_error_is(-errno, "mapping ring %d of %u entries", which, entries);
}

/* The fill ring has room for every frame, so a frame can always be returned. RX and TX hold half of them each, so neither starves the
 * other. */
static int make_rings(struct xsk *x, int frames)
{
	__u32 all = (__u32)frames, half = all / 2;
	const struct {
		int which, option;
		__u32 entries;
	} wanted[] = {
		{ ANYHOP_XSK_FILL, XDP_UMEM_FILL_RING, all },
		{ ANYHOP_XSK_COMPLETION, XDP_UMEM_COMPLETION_RING, all },
		{ ANYHOP_XSK_RX, XDP_RX_RING, half },
		{ ANYHOP_XSK_TX, XDP_TX_RING, half },
	};
	struct xdp_mmap_offsets offsets;
	socklen_t size = sizeof(offsets);
	int budget = (int)half, error;

	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		if (setsockopt(x->fd, SOL_XDP, wanted[i].option, &wanted[i].entries, sizeof(wanted[i].entries)))
			return anyhop_error_is(-errno, "AF_XDP ring %d of %u entries", wanted[i].which, wanted[i].entries);
	/* How many frames one call sends in copy mode: 32 where the kernel does not know the option. */
	setsockopt(x->fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof(budget));
	if (getsockopt(x->fd, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &size) || size != sizeof(offsets))
		return anyhop_error_is(-EOPNOTSUPP, "the layout of AF_XDP rings (Linux 5.4 or later tells it)");
	error = map_ring(x, ANYHOP_XSK_FILL, all, sizeof(__u64), &offsets.fr, XDP_UMEM_PGOFF_FILL_RING);
	if (!error)
		error = map_ring(x, ANYHOP_XSK_COMPLETION, all, sizeof(__u64), &offsets.cr, XDP_UMEM_PGOFF_COMPLETION_RING);
	if (!error)
		error = map_ring(x, ANYHOP_XSK_RX, half, sizeof(struct xdp_desc), &offsets.rx, XDP_PGOFF_RX_RING);
	if (!error)
		error = map_ring(x, ANYHOP_XSK_TX, half, sizeof(struct xdp_desc), &offsets.tx, XDP_PGOFF_TX_RING);
	return error;
}

/* Gives the kernel every frame to receive into. */
static void fill(struct xsk *x, int frame_bytes, int frames)
{
	struct ring *ring = &x->rings[ANYHOP_XSK_FILL];
	__u64 *entries = (__u64 *)((char *)ring->at + ring->layout.desc);

	for (int i = 0; i < frames; i++)
		entries[i] = (__u64)i * (__u64)frame_bytes;
	atomic_store_explicit((_Atomic __u32 *)((char *)ring->at + ring->layout.producer), (__u32)frames,
			      memory_order_release);
}

/* A socket for a receive queue, with `frames` (a power of two) of `frame_bytes` (2048 or 4096) each and `headroom` free
 * bytes before what is received. It takes nothing before anyhop_xsk_bind. Returns the socket's number. */
int anyhop_xsk_open(int interface, int queue, int frame_bytes, int frames, int headroom)
{
	struct xsk *x;
	int number = 0, error;

	anyhop_error_start();
	while (number < XSKS_MAX && xsks[number])
		number++;
	if (number == XSKS_MAX)
		return anyhop_error_is(-EMFILE, "%d AF_XDP sockets", XSKS_MAX);
	x = calloc(1, sizeof(*x));
	if (!x)
		return anyhop_error_is(-ENOMEM, "an AF_XDP socket");
	x->interface = (__u32)interface;
	x->queue = (__u32)queue;
	x->wake = -1;
	x->fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (x->fd < 0)
		error = anyhop_error_is(-errno, "an AF_XDP socket (CONFIG_XDP_SOCKETS, CAP_NET_RAW)");
	else
		error = register_umem(x, frame_bytes, frames, headroom);
	if (!error)
		error = make_rings(x, frames);
	if (!error) {
		fill(x, frame_bytes, frames);
		x->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (x->wake < 0)
			error = anyhop_error_is(-errno, "eventfd");
	}
	if (error) {
		destroy(x);
		return error;
	}
	xsks[number] = x;
	return number;
}

/* Binds the socket to its queue, with zero copy where the driver offers it (unless copying is forced, as generic XDP
 * needs it). Returns 1 with zero copy, 0 with copies. */
int anyhop_xsk_bind(int xsk, int force_copy)
{
	struct xsk *x = xsk_of(xsk);
	struct sockaddr_xdp address = {
		.sxdp_family = AF_XDP,
		.sxdp_flags = XDP_USE_NEED_WAKEUP | (force_copy ? XDP_COPY : 0),
	};
	struct xdp_options options = {};
	socklen_t size = sizeof(options);

	anyhop_error_start();
	if (!x)
		return anyhop_error_is(-EBADF, "AF_XDP socket %d", xsk);
	address.sxdp_ifindex = x->interface;
	address.sxdp_queue_id = x->queue;
	if (bind(x->fd, (struct sockaddr *)&address, sizeof(address))) {
		if (errno == EBUSY)
			return anyhop_error_is(-EBUSY, "queue %u: another AF_XDP socket has it", x->queue);
		return anyhop_error_is(-errno, "binding an AF_XDP socket to queue %u", x->queue);
	}
	if (getsockopt(x->fd, SOL_XDP, XDP_OPTIONS, &options, &size))
		return anyhop_error_is(-errno, "XDP_OPTIONS");
	return (options.flags & XDP_OPTIONS_ZEROCOPY) != 0;
}

/* Its file descriptor, for an XSKMAP. */
int anyhop_xsk_fd(int xsk)
{
	struct xsk *x = xsk_of(xsk);

	anyhop_error_start();
	return x ? x->fd : anyhop_error_is(-EBADF, "AF_XDP socket %d", xsk);
}

/* struct anyhop_xsk_ring of RX, TX, fill and completion, one after the other. */
int anyhop_xsk_rings(int xsk, __u8 *out, int size)
{
	struct xsk *x = xsk_of(xsk);

	anyhop_error_start();
	if (!x)
		return anyhop_error_is(-EBADF, "AF_XDP socket %d", xsk);
	for (int which = ANYHOP_XSK_RX; which <= ANYHOP_XSK_COMPLETION; which++) {
		struct anyhop_xsk_ring *layout = &x->rings[which].layout;

		if (size < (int)sizeof(*layout))
			return anyhop_error_is(-ENOSPC, "the layout of the rings");
		memcpy(out, layout, sizeof(*layout));
		out += sizeof(*layout);
		size -= (int)sizeof(*layout);
	}
	return 0;
}

/* The memory of one of enum anyhop_xsk_memory, until anyhop_xsk_close; NULL when there is none. Any thread may call it. */
void *anyhop_xsk_map(int xsk, int which)
{
	struct xsk *x = xsk_of(xsk);

	if (!x || which < ANYHOP_XSK_UMEM || which > ANYHOP_XSK_COMPLETION)
		return NULL;
	return which == ANYHOP_XSK_UMEM ? x->umem : x->rings[which].at;
}

static __u32 ring_word(const struct ring *ring, __u32 offset)
{
	return atomic_load_explicit((_Atomic __u32 *)((char *)ring->at + offset), memory_order_acquire);
}

/* Has the kernel send what is in the TX ring, and with `receive` also look at the fill ring again. Never waits. What the
 * kernel cannot take now stays in the ring. Returns 0, or a negative errno when the socket is of no more use.
 *
 * In copy mode one call sends at most a budget of frames, and ends at each frame that the interface drops (EBUSY). */
int anyhop_xsk_kick(int xsk, int receive)
{
	struct xsk *x = xsk_of(xsk);
	const struct ring *tx;
	__u32 before;

	if (!x)
		return -EBADF;
	if (receive && recvfrom(x->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL) < 0 && (errno == EBADF || errno == ENOTSOCK))
		return -errno;
	tx = &x->rings[ANYHOP_XSK_TX];
	before = ring_word(tx, tx->layout.consumer);
	for (int i = 0; i < KICKS_MAX && before != ring_word(tx, tx->layout.producer); i++) {
		__u32 after;

		if (sendto(x->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) >= 0)
			return 0;
		after = ring_word(tx, tx->layout.consumer);
		switch (errno) {
		case EBUSY:
			/* Copy mode: the last frame that left the ring was dropped. Zero copy: the driver is busy. */
			if (after == before)
				return 0;
			atomic_fetch_add_explicit(&x->refused, 1, memory_order_relaxed);
			break;
		case EAGAIN:
			if (after == before)
				return 0; /* not the budget, but memory or the interface's queue */
			break;
		case EINTR:
			break;
		case EBADF:
		case ENOTSOCK:
			return -errno;
		default: /* ENOBUFS, ENETDOWN, ENXIO: not now; anyhop_xsk_wait tells when it is for good */
			return 0;
		}
		before = after;
	}
	return 0;
}

/* Sleeps until there is something to do: 1 when frames came in, 2 after anyhop_xsk_wake, both added up, 0 when the time
 * is up. Negative errno when the socket is of no more use: ENETDOWN when its interface is gone. */
int anyhop_xsk_wait(int xsk, int timeout_ms)
{
	struct xsk *x = xsk_of(xsk);
	struct pollfd polled[2];
	int ready, error = 0;
	__u64 count;

	if (!x)
		return -EBADF;
	polled[0] = (struct pollfd){ .fd = x->fd, .events = POLLIN };
	polled[1] = (struct pollfd){ .fd = x->wake, .events = POLLIN };
	ready = poll(polled, 2, timeout_ms);
	if (ready < 0)
		return errno == EINTR ? 0 : -errno;
	ready = (polled[0].revents & POLLIN ? 1 : 0) | (polled[1].revents & POLLIN ? 2 : 0);
	if (ready & 2 && read(x->wake, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return -errno;
	if (!(ready & 1)) {
		socklen_t size = sizeof(error);

		if (!getsockopt(x->fd, SOL_SOCKET, SO_ERROR, &error, &size) && error)
			return -error;
	}
	return ready;
}

/* Ends the running anyhop_xsk_wait, or else the next one. */
int anyhop_xsk_wake(int xsk)
{
	struct xsk *x = xsk_of(xsk);
	__u64 one = 1;

	anyhop_error_start();
	if (!x)
		return anyhop_error_is(-EBADF, "AF_XDP socket %d", xsk);
	if (write(x->wake, &one, sizeof(one)) < 0 && errno != EAGAIN)
		return anyhop_error_is(-errno, "waking the worker of queue %u", x->queue);
	return 0;
}

/* Frames that were lost, as three __u64: before the RX ring (no frame to receive into, too long), at a full RX ring, and
 * on the way out after they had left the TX ring. */
int anyhop_xsk_statistics(int xsk, __u8 *out, int size)
{
	struct xsk *x = xsk_of(xsk);
	struct xdp_statistics statistics = {};
	socklen_t length = sizeof(statistics);
	__u64 lost[3];

	anyhop_error_start();
	if (!x)
		return anyhop_error_is(-EBADF, "AF_XDP socket %d", xsk);
	if (size < (int)sizeof(lost) || getsockopt(x->fd, SOL_XDP, XDP_STATISTICS, &statistics, &length))
		return anyhop_error_is(size < (int)sizeof(lost) ? -ENOSPC : -errno, "XDP_STATISTICS");
	lost[0] = statistics.rx_dropped;
	lost[1] = statistics.rx_ring_full;
	lost[2] = statistics.tx_invalid_descs + atomic_load_explicit(&x->refused, memory_order_relaxed);
	memcpy(out, lost, sizeof(lost));
	return 0;
}

/* Frees the socket. No view on its memory may be used from then on. */
int anyhop_xsk_close(int xsk)
{
	struct xsk *x = xsk_of(xsk);

	anyhop_error_start();
	if (!x)
		return anyhop_error_is(-EBADF, "AF_XDP socket %d", xsk);
	xsks[xsk] = NULL;
	destroy(x);
	return 0;
}
