/* SPDX-License-Identifier: MIT
 *
 * Round trips over UDP, timed without an event loop in the way: a server that sends every datagram back, in a thread of its
 * own, and a client that asks at fixed times and waits for each answer. IPv4.
 *
 * Both run at the lowest real-time priority while they work, which is a few microseconds at a time: what is measured is
 * the way and who forwards on it, and not how long client and server wait for other processes. Needs CAP_SYS_NICE.
 *
 * Sockets belong to the network namespace that the calling thread is in when they are made (attach.c). One server at a
 * time for each handle; a client blocks its thread.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "error.h"
#include "round-trip.h"

#define ECHOS_MAX 8
#define DATAGRAM 64
#define WAIT_US 100000 /* for an answer, and for the server's thread to see that it shall end */
#define LOST 0xffffffffu

struct echo {
	pthread_t thread;
	int fd;
	int is_used;
	volatile int is_ending;
};

static struct echo echos[ECHOS_MAX];

/* A UDP socket that gives up waiting after WAIT_US, and its address. */
static int open_socket(const char *address, int port, struct sockaddr_in *to)
{
	struct timeval wait = { .tv_usec = WAIT_US };
	int fd;

	*to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((__u16)port) };
	if (inet_pton(AF_INET, address, &to->sin_addr) != 1)
		return -EINVAL;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait))) {
		close(fd);
		return -errno;
	}
	return fd;
}

static int set_policy(int policy)
{
	struct sched_param parameters = { .sched_priority = policy == SCHED_FIFO ? 1 : 0 };

	return pthread_setschedparam(pthread_self(), policy, &parameters);
}

static void *serve(void *argument)
{
	struct echo *echo = argument;
	__u8 datagram[DATAGRAM];

	(void)set_policy(SCHED_FIFO); /* a client that may not either says so */
	while (!echo->is_ending) {
		struct sockaddr_in from;
		socklen_t length = sizeof(from);
		ssize_t size = recvfrom(echo->fd, datagram, sizeof(datagram), 0, (struct sockaddr *)&from, &length);

		/* An answer that cannot be sent is one that the client counts as lost. */
		if (size > 0)
			(void)sendto(echo->fd, datagram, (size_t)size, 0, (struct sockaddr *)&from, length);
	}
	return NULL;
}

/* Starts a server on an address of this thread's network namespace: its number. */
int anyhop_dev_echo_start(const char *address, int port)
{
	struct sockaddr_in at;
	int echo = 0, error;

	anyhop_error_start();
	while (echo < ECHOS_MAX && echos[echo].is_used)
		echo++;
	if (echo == ECHOS_MAX)
		return anyhop_error_is(-EMFILE, "an echo server on %s", address);
	echos[echo] = (struct echo){ .fd = open_socket(address, port, &at) };
	if (echos[echo].fd < 0)
		return anyhop_error_is(echos[echo].fd, "an echo server on %s", address);
	error = bind(echos[echo].fd, (struct sockaddr *)&at, sizeof(at)) ? errno : 0;
	if (!error)
		error = pthread_create(&echos[echo].thread, NULL, serve, &echos[echo]);
	if (error) {
		close(echos[echo].fd);
		return anyhop_error_is(-error, "an echo server on %s, port %d", address, port);
	}
	echos[echo].is_used = 1;
	return echo;
}

int anyhop_dev_echo_stop(int echo)
{
	anyhop_error_start();
	if (echo < 0 || echo >= ECHOS_MAX || !echos[echo].is_used)
		return anyhop_error_is(-ENOENT, "echo server %d", echo);
	echos[echo].is_ending = 1;
	pthread_join(echos[echo].thread, NULL);
	close(echos[echo].fd);
	echos[echo].is_used = 0;
	return 0;
}

static __u64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (__u64)now.tv_sec * 1000000000ull + (__u64)now.tv_nsec;
}

static void sleep_until(__u64 ns)
{
	struct timespec when = { .tv_sec = (time_t)(ns / 1000000000ull), .tv_nsec = (long)(ns % 1000000000ull) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR)
		continue;
}

/* One round trip in ns, or LOST. Answers that come too late are not taken for those of later requests. */
static __u32 ask(int fd, __u32 number)
{
	__u64 start = now_ns();
	__u32 answer;

	if (send(fd, &number, sizeof(number), 0) != sizeof(number))
		return LOST;
	while (recv(fd, &answer, sizeof(answer), 0) == sizeof(answer)) {
		if (answer == number)
			return (__u32)(now_ns() - start);
	}
	return LOST;
}

/* Asks `count` times, every `gap_us` microseconds, or as soon as the answer before has come. Out gets as many round trips in ns,
 * __u32 each, 0xffffffff for a lost one. Returns how many were lost. */
int anyhop_dev_round_trips(const char *address, int port, __u32 count, __u32 gap_us, __u8 *out)
{
	__u32 *times = (__u32 *)(void *)out;
	struct sockaddr_in to;
	int fd, lost = 0;
	__u64 due;

	anyhop_error_start();
	fd = open_socket(address, port, &to);
	if (fd < 0)
		return anyhop_error_is(fd, "a client of %s", address);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to))) {
		int error = -errno;

		close(fd);
		return anyhop_error_is(error, "a client of %s", address);
	}
	lost = -set_policy(SCHED_FIFO);
	if (lost) {
		close(fd);
		return anyhop_error_is(lost, "real-time priority");
	}
	due = now_ns();
	for (__u32 i = 0; i < count; i++) {
		sleep_until(due);
		due += gap_us * 1000ull;
		times[i] = ask(fd, i);
		lost += times[i] == LOST;
	}
	(void)set_policy(SCHED_OTHER); /* what it was; giving a priority up is always allowed */
	close(fd);
	return lost;
}
