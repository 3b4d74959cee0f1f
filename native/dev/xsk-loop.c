/* SPDX-License-Identifier: MIT
 *
 * The forwarding loop of src/engine/af_xdp (loop.ts, worker.ts) all in C, step by step the same: the same rings, batches, kicks
 * and sleeps, on a pinned thread. What bench/afxdp.ts holds TypeScript against. One at a time.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include <linux/if_xdp.h>

#include "error.h"
#include "forward.h"
#include "xsk-loop.h"
#include "xsk.h"

#define BATCH_FRAMES 256u
#define GROUP_FRAMES 16u
#define NEXT_LINE 48
#define SLEEP_MS 100
#define SLEEP_UNSENT_MS 1

struct ring {
	_Atomic __u32 *own_word, *other_word;
	const _Atomic __u32 *flags;
	void *entries;
	__u32 mask, own;
};

static struct {
	int xsk, core;
	__u64 busy_poll_ns;
	__u8 *umem;
	struct ring rx, tx, fill, completion;
	struct anyhop_dev_forward forward;
	_Atomic __u64 queued, unqueued;
	atomic_int stop, error;
	pthread_t thread;
} loop;

static void open_ring(struct ring *ring, int which, int is_producer)
{
	struct anyhop_xsk_ring layouts[4];
	const struct anyhop_xsk_ring *layout = &layouts[which - ANYHOP_XSK_RX];
	char *at = anyhop_xsk_map(loop.xsk, which);

	anyhop_xsk_rings(loop.xsk, (__u8 *)layouts, sizeof(layouts));
	ring->own_word = (_Atomic __u32 *)(at + (is_producer ? layout->producer : layout->consumer));
	ring->other_word = (_Atomic __u32 *)(at + (is_producer ? layout->consumer : layout->producer));
	ring->flags = (_Atomic __u32 *)(at + layout->flags);
	ring->entries = at + layout->desc;
	ring->mask = layout->entries - 1;
	ring->own = atomic_load(ring->own_word);
}

static __u32 available(struct ring *ring)
{
	return atomic_load_explicit(ring->other_word, memory_order_acquire) - ring->own;
}

static __u32 pending(struct ring *ring)
{
	return ring->own - atomic_load_explicit(ring->other_word, memory_order_acquire);
}

static void publish(struct ring *ring)
{
	atomic_store_explicit(ring->own_word, ring->own, memory_order_release);
}

static int needs_wakeup(struct ring *ring)
{
	return (atomic_load_explicit(ring->flags, memory_order_relaxed) & XDP_RING_NEED_WAKEUP) != 0;
}

static void give_back(__u64 address)
{
	((__u64 *)loop.fill.entries)[loop.fill.own++ & loop.fill.mask] = address;
}

static void reclaim(void)
{
	__u32 count = available(&loop.completion);

	if (!count)
		return;
	for (__u32 i = 0; i < count; i++)
		give_back(((__u64 *)loop.completion.entries)[loop.completion.own++ & loop.completion.mask]);
	publish(&loop.completion);
	publish(&loop.fill);
}

/* As ForwardingLoop's #touch. */
static void touch(__u32 count)
{
	for (__u32 i = 0; i < count; i++) {
		const struct xdp_desc *in = (struct xdp_desc *)loop.rx.entries + ((loop.rx.own + i) & loop.rx.mask);

		__builtin_prefetch(loop.umem + in->addr);
		__builtin_prefetch(loop.umem + in->addr + NEXT_LINE);
	}
}

static __u32 batch(__u32 limit)
{
	__u32 count, room;
	__u64 queued = 0, unqueued = 0;

	reclaim();
	count = available(&loop.rx);
	if (count > limit)
		count = limit;
	if (!count)
		return 0;
	room = loop.tx.mask + 1 - pending(&loop.tx);
	for (__u32 i = 0; i < count; i++) {
		const struct xdp_desc *in = (struct xdp_desc *)loop.rx.entries + (loop.rx.own & loop.rx.mask);
		struct anyhop_outcome outcome;
		__u64 start = in->addr;
		int verdict;

		if (i % GROUP_FRAMES == 0)
			touch(count - i < GROUP_FRAMES ? count - i : GROUP_FRAMES);
		loop.rx.own++;
		verdict = anyhop_dev_process(&loop.forward, loop.umem + start, in->len, &outcome);

		if (verdict <= ANYHOP_V_SYN_COOKIE_ANSWERED && room > 0) {
			struct xdp_desc *out = (struct xdp_desc *)loop.tx.entries + (loop.tx.own++ & loop.tx.mask);

			out->addr = (__u64)(outcome.frame - loop.umem);
			out->len = outcome.length;
			room--;
			queued++;
			continue;
		}
		if (verdict <= ANYHOP_V_SYN_COOKIE_ANSWERED)
			unqueued++;
		give_back(start);
	}
	publish(&loop.rx);
	publish(&loop.fill);
	publish(&loop.tx);
	atomic_fetch_add_explicit(&loop.queued, queued, memory_order_relaxed);
	atomic_fetch_add_explicit(&loop.unqueued, unqueued, memory_order_relaxed);
	return count;
}

static int turn(void)
{
	__u32 count = batch(BATCH_FRAMES);
	int receive = needs_wakeup(&loop.fill), error = 0;

	if (receive || (pending(&loop.tx) > 0 && needs_wakeup(&loop.tx)))
		error = anyhop_xsk_kick(loop.xsk, receive);
	return error < 0 ? error : (int)count;
}

static __u64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (__u64)now.tv_sec * 1000000000u + (__u64)now.tv_nsec;
}

static void *run(void *unused)
{
	__u64 busy_until = 0;
	int result = anyhop_pin_thread(loop.core);

	(void)unused;
	while (result >= 0 && !atomic_load(&loop.stop)) {
		__u64 now = now_ns();

		loop.forward.guarding.tick = (__u32)(now / (ANYHOP_BUDGET_TICK_MS * 1000000u));
		result = turn();
		if (result > 0)
			busy_until = now + loop.busy_poll_ns;
		else if (result == 0 && now >= busy_until)
			result = anyhop_xsk_wait(loop.xsk, pending(&loop.tx) > 0 ? SLEEP_UNSENT_MS : SLEEP_MS);
	}
	atomic_store(&loop.error, result < 0 ? result : 0);
	return NULL;
}

/* Starts the thread over a bound socket. */
int anyhop_dev_loop_start(int xsk, int core, int busy_poll_us, const __u8 *image, int image_bytes)
{
	int error;

	anyhop_error_start();
	memset(&loop, 0, sizeof(loop));
	loop.xsk = xsk;
	loop.core = core;
	loop.busy_poll_ns = (__u64)busy_poll_us * 1000;
	loop.umem = anyhop_xsk_map(xsk, ANYHOP_XSK_UMEM);
	open_ring(&loop.rx, ANYHOP_XSK_RX, 0);
	open_ring(&loop.tx, ANYHOP_XSK_TX, 1);
	open_ring(&loop.fill, ANYHOP_XSK_FILL, 1);
	open_ring(&loop.completion, ANYHOP_XSK_COMPLETION, 0);
	error = anyhop_dev_forward_make(&loop.forward, image, (__u32)image_bytes);
	if (!error)
		error = -pthread_create(&loop.thread, NULL, run, NULL);
	return error ? anyhop_error_is(error, "the loop") : 0;
}

/* Frames put on the TX ring, and those that a full one kept from being sent, as two __u64. */
int anyhop_dev_loop_counts(__u8 *out, int size)
{
	__u64 counts[2] = { atomic_load(&loop.queued), atomic_load(&loop.unqueued) };

	anyhop_error_start();
	if (size < (int)sizeof(counts))
		return anyhop_error_is(-ENOSPC, "counts");
	memcpy(out, counts, sizeof(counts));
	return 0;
}

/* Ends the thread. The socket is the caller's to close. */
int anyhop_dev_loop_stop(void)
{
	anyhop_error_start();
	atomic_store(&loop.stop, 1);
	anyhop_xsk_wake(loop.xsk);
	pthread_join(loop.thread, NULL);
	anyhop_dev_forward_free(&loop.forward);
	return atomic_load(&loop.error) < 0 ? anyhop_error_is(atomic_load(&loop.error), "the loop") : 0;
}
