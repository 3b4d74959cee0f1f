/* SPDX-License-Identifier: MIT
 *
 * Runs the generator's program on live frames (BPF_F_TEST_XDP_LIVE_FRAMES, since Linux 5.18) for a given time.
 *
 * A run takes milliseconds to set up, so one run covers the whole time. A timer ends it: the kernel leaves a test run when a signal is
 * pending. Any other signal ends it too, and the caller decides whether to go on.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "error.h"
#include "generator-run.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static void on_timer(int number)
{
	(void)number;
}

/* Nobody else in the process has a use for the highest signal. */
static int start_timer(timer_t *timer, __u32 milliseconds)
{
	struct sigaction action = { .sa_handler = on_timer };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMAX };
	struct itimerspec when = {
		.it_value = { .tv_sec = milliseconds / 1000, .tv_nsec = (long)(milliseconds % 1000) * 1000000 },
	};

	event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
	if (sigaction(SIGRTMAX, &action, NULL) || timer_create(CLOCK_MONOTONIC, &event, timer))
		return -errno;
	if (timer_settime(*timer, 0, &when, NULL)) {
		timer_delete(*timer);
		return -errno;
	}
	return 0;
}

/* Runs a program on `repeat` live frames made of `frame`, `milliseconds` (1 at least) at most: 0. */
int anyhop_dev_live_run(int program, const __u8 *frame, __u32 size, __u32 repeat, __u32 milliseconds)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = size, .repeat = (int)repeat,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES);
	timer_t timer;
	int error;

	anyhop_error_start();
	error = start_timer(&timer, milliseconds);
	if (error)
		return anyhop_error_is(error, "a timer of %u ms", milliseconds);
	error = bpf_prog_test_run_opts(program, &options) ? -errno : 0;
	timer_delete(timer);
	return error && error != -EINTR ? anyhop_error_is(error, "live frames of %u bytes", size) : 0;
}
