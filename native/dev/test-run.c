/* SPDX-License-Identifier: MIT
 *
 * Times a program by BPF_PROG_TEST_RUN: one frame, run many times over within one system call.
 *
 * The clock is this thread's CPU time, so other processes on the core do not count. The set-up of the call, some 20 us, is spread over the
 * repeats. The kernel does not restore the frame between two repeats: bench.bpf.c does.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>

#include "error.h"
#include "test-run.h"

static __u64 cpu_time_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (__u64)now.tv_sec * 1000000000ull + (__u64)now.tv_nsec;
}

/* Keeps the calling thread on one CPU. */
int anyhop_dev_pin(int cpu)
{
	cpu_set_t set;

	anyhop_error_start();
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? anyhop_error_is(-errno, "cannot stay on CPU %d", cpu) : 0;
}

/* Keeps the calling thread, and whatever it starts from now on, off one CPU. */
int anyhop_dev_avoid(int cpu)
{
	cpu_set_t set;

	anyhop_error_start();
	if (sched_getaffinity(0, sizeof(set), &set))
		return anyhop_error_is(-errno, "the CPUs of this thread");
	CPU_CLR(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? anyhop_error_is(-errno, "cannot stay off CPU %d", cpu) : 0;
}

/* Runs a program `repeat` times: the last run's XDP action. Out gets the nanoseconds of CPU time that all of it took, a
 * __u64. */
int anyhop_dev_test_run(int program, const __u8 *frame, __u32 size, __u32 repeat, __u8 *out)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = size, .repeat = (int)repeat);
	__u64 ns;

	anyhop_error_start();
	ns = cpu_time_ns();
	if (bpf_prog_test_run_opts(program, &options))
		return anyhop_error_is(-errno, "a timed test run");
	ns = cpu_time_ns() - ns;
	memcpy(out, &ns, sizeof(ns));
	return (int)options.retval;
}

#define CPUS_MAX 64u

/* One CPU's part of anyhop_dev_test_run_each. */
struct each {
	pthread_t thread;
	pthread_barrier_t *start;
	const __u8 *frame;
	__u32 size, repeat, cpu;
	int program, error;
	__u64 ns;
};

static void *run_each(void *argument)
{
	struct each *each = argument;
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = each->frame, .data_size_in = each->size, .repeat = (int)each->repeat);
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(each->cpu, &set);
	each->error = pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	pthread_barrier_wait(each->start);
	each->ns = cpu_time_ns();
	if (!each->error && bpf_prog_test_run_opts(each->program, &options))
		each->error = errno;
	each->ns = cpu_time_ns() - each->ns;
	return NULL;
}

/* Runs `count` programs at once, the first on CPU 0 and so on, each `repeat` times on a frame of its own. Out gets the CPU time that each
 * took, a __u64. */
int anyhop_dev_test_run_each(const __u8 *programs, __u32 count, const __u8 *frame, __u32 size, __u32 repeat, __u8 *out)
{
	static struct each all[CPUS_MAX];
	pthread_barrier_t start;
	__u32 started = 0;
	int error = 0;

	anyhop_error_start();
	if (count == 0 || count > CPUS_MAX)
		return anyhop_error_is(-ERANGE, "%u programs at once", count);
	pthread_barrier_init(&start, NULL, count);
	for (; started < count; started++) {
		struct each *each = &all[started];

		*each = (struct each){.start = &start, .frame = frame, .size = size, .repeat = repeat, .cpu = started};
		memcpy(&each->program, programs + 4 * started, 4);
		error = pthread_create(&each->thread, NULL, run_each, each);
		if (error) /* the others would wait for it for ever */
			return anyhop_error_is(-error, "a thread for CPU %u", started);
	}
	for (__u32 i = 0; i < count; i++) {
		pthread_join(all[i].thread, NULL);
		memcpy(out + 8 * i, &all[i].ns, 8);
		error = error ? error : all[i].error;
	}
	pthread_barrier_destroy(&start);
	return error ? anyhop_error_is(-error, "test runs at once") : 0;
}
