/* SPDX-License-Identifier: MIT
 *
 * Reads what an XDP program captures (anyhop/capture.h, native/bpf/capture.h): arms it, renews its lease, takes records out of its
 * ring.
 *
 *   ring    consumer page (ours to write) | producer page | records, mapped twice in a row, so that none is cut
 *                  ^ read up to here              ^ written up to here
 *
 * The kernel writes a record's length last, without a bit that says BUSY, so whatever is not busy is whole. Records are copied
 * into a buffer of the caller, as many as there is room for: one call takes a bounded time, however fast they come. A reader
 * that falls behind loses records, which the program counts.
 *
 * Not libbpf's ring_buffer: it calls back for each record, and does not stop before the ring is empty.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "anyhop/capture.h"
#include "bpf.h"
#include "error.h"

#define CAPTURES_MAX 8

static struct reader {
	struct anyhop_capture *shared; /* with the program; NULL: free */
	unsigned long *consumed;
	const unsigned long *produced;
	const __u8 *records;
	size_t shared_bytes, ring_bytes, page;
	__u32 session;
	__u64 lost_before;
	struct anyhop_capture_filter filter;
} readers[CAPTURES_MAX];

static struct reader *reader_of(int number)
{
	return number >= 0 && number < CAPTURES_MAX && readers[number].shared ? &readers[number] : NULL;
}

static __u64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (__u64)now.tv_sec * 1000000000ull + (__u64)now.tv_nsec;
}

static int info_of(int fd, struct bpf_map_info *info)
{
	__u32 size = sizeof(*info);

	memset(info, 0, size);
	return bpf_obj_get_info_by_fd(fd, info, &size) ? -errno : 0;
}

static void unmap(struct reader *reader)
{
	if (reader->shared)
		munmap(reader->shared, reader->shared_bytes);
	if (reader->consumed)
		munmap(reader->consumed, reader->page);
	if (reader->produced)
		munmap((void *)reader->produced, reader->page + 2 * reader->ring_bytes);
	memset(reader, 0, sizeof(*reader));
}

static void *map(int fd, size_t bytes, int protection, size_t offset)
{
	void *memory = mmap(NULL, bytes, protection, MAP_SHARED, fd, (off_t)offset);

	return memory == MAP_FAILED ? NULL : memory;
}

/* A reader of a program's captures, by its maps: the reader's number. The descriptors stay the caller's. */
int anyhop_capture_open(int shared, int ring)
{
	struct bpf_map_info shared_info, ring_info;
	struct reader *reader;
	int number = 0;

	anyhop_error_start();
	while (number < CAPTURES_MAX && readers[number].shared)
		number++;
	if (number == CAPTURES_MAX)
		return anyhop_error_is(-EMFILE, "%d captures at once", number);
	if (info_of(shared, &shared_info) || info_of(ring, &ring_info))
		return anyhop_error_is(-errno, "map information");
	if (shared_info.type != BPF_MAP_TYPE_ARRAY || shared_info.value_size != sizeof(struct anyhop_capture) ||
	    ring_info.type != BPF_MAP_TYPE_RINGBUF)
		return anyhop_error_is(-EINVAL, "maps of another version");
	reader = &readers[number];
	reader->page = (size_t)sysconf(_SC_PAGESIZE);
	reader->ring_bytes = ring_info.max_entries;
	reader->shared_bytes = (sizeof(struct anyhop_capture) + reader->page - 1) / reader->page * reader->page;
	reader->shared = map(shared, reader->shared_bytes, PROT_READ | PROT_WRITE, 0);
	reader->consumed = map(ring, reader->page, PROT_READ | PROT_WRITE, 0);
	reader->produced = map(ring, reader->page + 2 * reader->ring_bytes, PROT_READ, reader->page);
	if (!reader->shared || !reader->consumed || !reader->produced) {
		int error = -errno;

		unmap(reader);
		return anyhop_error_is(error, "mapping the memory of a capture");
	}
	reader->records = (const __u8 *)reader->produced + reader->page;
	return number;
}

/* Whether another session holds the program: it is armed, and the lease is good. */
static int is_taken(const struct reader *reader, __u32 session)
{
	const struct anyhop_capture *shared = reader->shared;

	return session != reader->session && __atomic_load_n(&shared->armed, __ATOMIC_ACQUIRE) &&
	       __atomic_load_n(&shared->deadline_ns, __ATOMIC_ACQUIRE) >= now_ns();
}

/* Whether nobody has armed the program after this reader: only then the ring is its own to read. */
static int is_ours(const struct reader *reader)
{
	return reader->session && __atomic_load_n(&reader->shared->session, __ATOMIC_ACQUIRE) == reader->session;
}

/* Drops what another session left in the ring. Its records must not keep ours out. */
static void skip_all(struct reader *reader)
{
	__atomic_store_n(reader->consumed, __atomic_load_n(reader->produced, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
}

static void arm(struct reader *reader)
{
	struct anyhop_capture *shared = reader->shared;

	shared->filter = reader->filter;
	memset(shared->cpus, 0, sizeof(shared->cpus));
	__atomic_store_n(&shared->deadline_ns, now_ns() + ANYHOP_CAPTURE_LEASE_NS, __ATOMIC_RELEASE);
	__atomic_store_n(&shared->armed, 1, __ATOMIC_RELEASE);
}

/* Begins to record, for one lease. -EBUSY while another session does. `filter` is one anyhop_capture_filter. */
int anyhop_capture_arm(int number, const __u8 *filter)
{
	struct reader *reader = reader_of(number);
	__u32 found, session = 0;

	anyhop_error_start();
	if (!reader)
		return anyhop_error_is(-EBADF, "capture %d", number);
	while (!session)
		if (getrandom(&session, sizeof(session), 0) != sizeof(session))
			return anyhop_error_is(-errno, "a number for the capture");
	found = __atomic_load_n(&reader->shared->session, __ATOMIC_ACQUIRE);
	if (is_taken(reader, found) ||
	    !__atomic_compare_exchange_n(&reader->shared->session, &found, session, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return anyhop_error_is(-EBUSY, "another capture runs");
	__atomic_store_n(&reader->shared->armed, 0, __ATOMIC_RELEASE);
	reader->session = session;
	reader->lost_before = __atomic_load_n(&reader->shared->lost, __ATOMIC_ACQUIRE);
	memcpy(&reader->filter, filter, sizeof(reader->filter));
	skip_all(reader);
	arm(reader);
	return 0;
}

/* Renews the lease, also one that was over because this process stood still. -EBUSY when another session has begun since. */
int anyhop_capture_extend(int number)
{
	struct reader *reader = reader_of(number);
	struct anyhop_capture *shared;

	anyhop_error_start();
	if (!reader || !reader->session)
		return anyhop_error_is(-EBADF, "capture %d", number);
	shared = reader->shared;
	if (!is_ours(reader))
		return anyhop_error_is(-EBUSY, "another capture runs");
	__atomic_store_n(&shared->deadline_ns, now_ns() + ANYHOP_CAPTURE_LEASE_NS, __ATOMIC_RELEASE);
	__atomic_store_n(&shared->armed, 1, __ATOMIC_RELEASE);
	return 0;
}

/* Copies records of this session, whole ones, one after the other, into out, which has room for one at least: how many bytes. 0: there
 * are none for now. A reader that stood still, and whose place another has taken, leaves that one's records where they are. */
int anyhop_capture_poll(int number, __u8 *out, __u32 size)
{
	struct reader *reader = reader_of(number);
	unsigned long consumed, produced;
	__u32 used = 0;

	anyhop_error_start();
	if (!reader || size > 1u << 30)
		return anyhop_error_is(reader ? -EINVAL : -EBADF, "capture %d", number);
	consumed = __atomic_load_n(reader->consumed, __ATOMIC_RELAXED);
	produced = __atomic_load_n(reader->produced, __ATOMIC_ACQUIRE);
	while (consumed < produced && is_ours(reader)) {
		const __u8 *at = reader->records + (consumed & (reader->ring_bytes - 1));
		__u32 header = __atomic_load_n((const __u32 *)at, __ATOMIC_ACQUIRE);
		__u32 bytes = header & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
		const struct anyhop_capture_record *record = (const void *)(at + BPF_RINGBUF_HDR_SZ);

		if (header & BPF_RINGBUF_BUSY_BIT || bytes > reader->ring_bytes)
			break;
		if (!(header & BPF_RINGBUF_DISCARD_BIT) && bytes >= sizeof(*record) && record->session == reader->session) {
			if (bytes > size - used)
				break;
			memcpy(out + used, record, bytes);
			used += bytes;
		}
		consumed += (bytes + BPF_RINGBUF_HDR_SZ + 7) & ~7ul;
		__atomic_store_n(reader->consumed, consumed, __ATOMIC_RELEASE);
	}
	return (int)used;
}

/* Records that found no room since the capture was armed, a __u64 at out. */
int anyhop_capture_lost(int number, __u8 *out)
{
	struct reader *reader = reader_of(number);
	__u64 lost;

	anyhop_error_start();
	if (!reader)
		return anyhop_error_is(-EBADF, "capture %d", number);
	lost = __atomic_load_n(&reader->shared->lost, __ATOMIC_ACQUIRE) - reader->lost_before;
	memcpy(out, &lost, sizeof(lost));
	return 0;
}

/* Ends recording, if this session still does; what is in the ring can still be taken. Programs that have begun may record one packet more. */
int anyhop_capture_disarm(int number)
{
	struct reader *reader = reader_of(number);

	anyhop_error_start();
	if (!reader)
		return anyhop_error_is(-EBADF, "capture %d", number);
	if (is_ours(reader)) {
		__atomic_store_n(&reader->shared->armed, 0, __ATOMIC_RELEASE);
		__atomic_store_n(&reader->shared->deadline_ns, 0, __ATOMIC_RELEASE);
	}
	return 0;
}

/* Gives everything back. */
int anyhop_capture_close(int number)
{
	struct reader *reader = reader_of(number);
	int error = anyhop_capture_disarm(number);

	if (reader)
		unmap(reader);
	return error;
}
