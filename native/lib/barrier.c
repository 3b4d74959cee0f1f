/* SPDX-License-Identifier: MIT
 *
 * Waits until no BPF program can still read replaced data: an old image, the counters of an old program.
 *
 * A program runs inside an RCU read-side critical section, and MEMBARRIER_CMD_GLOBAL is synchronize_rcu for user space: when it
 * returns, every program that had started before has ended. It takes some 8 ms, so a thread waits. One wait serves all who asked
 * before it began:
 *
 *     asked    1 2 3 .......... 4 5 ...........
 *     thread     |-- for 1 --| |-- for 2..4 --| |-- for 5 ...
 *     passed                   1                4
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bpf.h"
#include "error.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t asked_for = PTHREAD_COND_INITIALIZER;
static int running;
static int asked, passed; /* tickets */

static int membarrier(int command)
{
	return (int)syscall(SYS_membarrier, command, 0, 0);
}

static void *wait_for_programs(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&lock);
	for (;;) {
		int ticket;

		while (asked == passed)
			pthread_cond_wait(&asked_for, &lock);
		ticket = asked;
		pthread_mutex_unlock(&lock);
		/* Cannot fail: the kernel has said that it knows this command. */
		membarrier(MEMBARRIER_CMD_GLOBAL);
		pthread_mutex_lock(&lock);
		passed = ticket;
	}
	return NULL;
}

/* Asks for a barrier. Returns its ticket, 1 or more, for anyhop_barrier_passed. */
int anyhop_barrier_ask(void)
{
	pthread_t thread;
	int ticket, commands, error = 0;

	anyhop_error_start();
	pthread_mutex_lock(&lock);
	if (!running) {
		commands = membarrier(MEMBARRIER_CMD_QUERY);
		if (commands < 0)
			error = -errno;
		else if (!(commands & MEMBARRIER_CMD_GLOBAL))
			error = -EOPNOTSUPP;
		else
			error = -pthread_create(&thread, NULL, wait_for_programs, NULL);
		if (!error) {
			pthread_detach(thread);
			running = 1;
		}
	}
	ticket = running ? ++asked : 0;
	pthread_cond_signal(&asked_for);
	pthread_mutex_unlock(&lock);
	return error ? anyhop_error_is(error, "membarrier(MEMBARRIER_CMD_GLOBAL), which a kernel with nohz_full does not have") : ticket;
}

/* The highest ticket whose barrier is over; so are all lower ones. */
int anyhop_barrier_passed(void)
{
	int ticket;

	pthread_mutex_lock(&lock);
	ticket = passed;
	pthread_mutex_unlock(&lock);
	return ticket;
}
