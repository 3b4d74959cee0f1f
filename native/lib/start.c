/* SPDX-License-Identifier: MIT
 *
 * Starts a program of the system without a copy of this process's page tables.
 *
 * fork() of a process with 200 MB takes 5 to 15 ms, and each page that the process writes to afterwards costs it a fault. posix_spawn()
 * shares the memory until the exec instead. Input and output are files in memory, so nobody has to feed or drain a pipe.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "error.h"

/* Words one after the other, each with its NUL, as pointers with a NULL behind the last. */
static const char *point(char **pointers, const char *words, int count)
{
	for (int i = 0; i < count; i++) {
		pointers[i] = (char *)words;
		words += strlen(words) + 1;
	}
	pointers[count] = NULL;
	return words;
}

static int file_with(const void *bytes, size_t size)
{
	int fd = memfd_create("anyhop-tool", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	while (size) {
		ssize_t written = write(fd, bytes, size);

		if (written < 0) {
			int code = -errno;

			close(fd);
			return code;
		}
		bytes = (const char *)bytes + written;
		size -= (size_t)written;
	}
	lseek(fd, 0, SEEK_SET);
	return fd;
}

/* Returns a positive error number, as posix_spawn() does. Signals are as a new program expects them: Node ignores some. */
static int spawn_on(const int fds[3], const char *path, char **arguments, char **environment, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int code = 0;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawn_file_actions_init(&actions);
	for (int i = 0; i < 3 && !code; i++)
		code = posix_spawn_file_actions_adddup2(&actions, fds[i], i);
	if (!code)
		code = posix_spawn(pid, path, &actions, &attributes, arguments, environment);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return code;
}

/* words: argc arguments, the program's name first, then envc settings NAME=value, each with a closing NUL.
 * Returns its pid; out has the descriptors of what it writes to standard output and standard error. */
int anyhop_start(const char *path, const char *words, int argc, int envc, const uint8_t *input, int input_size,
		 int32_t out[2])
{
	char **pointers = calloc((size_t)argc + (size_t)envc + 2, sizeof(*pointers));
	int fds[3] = {-1, -1, -1};
	pid_t pid = 0;
	int code = 0;

	anyhop_error_start();
	if (!pointers)
		return anyhop_error_is(-ENOMEM, "starting %s", path);
	point(pointers + argc + 1, point(pointers, words, argc), envc);
	for (int i = 0; i < 3 && !code; i++) {
		fds[i] = file_with(input, i ? 0 : (size_t)input_size);
		code = fds[i] < 0 ? fds[i] : 0;
	}
	if (!code)
		code = -spawn_on(fds, path, pointers, pointers + argc + 1, &pid);
	free(pointers);
	for (int i = 0; i < (code ? 3 : 1); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (code)
		return anyhop_error_is(code, "starting %s", path);
	out[0] = fds[1];
	out[1] = fds[2];
	return pid;
}

/* How a program ended: its exit code, or 256 and the number of the signal. -EAGAIN while it runs. */
int anyhop_reap(int pid)
{
	int status;
	pid_t found = waitpid(pid, &status, WNOHANG);

	anyhop_error_start();
	if (found < 0)
		return anyhop_error_is(-errno, "waiting for process %d", pid);
	if (!found)
		return -EAGAIN;
	return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}
