/* SPDX-License-Identifier: MIT
 *
 * Other network namespaces, for benches that keep both ends of a link in one process.
 *
 * Only the calling thread changes its namespace, but whatever it starts meanwhile starts there too.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attach.h"
#include "error.h"

/* A descriptor of the thread's network namespace, for anyhop_dev_return. */
int anyhop_dev_namespace(void)
{
	int fd;

	anyhop_error_start();
	fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	return fd < 0 ? anyhop_error_is(-errno, "this thread's network namespace") : fd;
}

/* Moves the thread into the network namespace at a path, such as /run/netns/NAME. */
int anyhop_dev_enter(const char *path)
{
	int fd, error;

	anyhop_error_start();
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return anyhop_error_is(-errno, "%s", path);
	error = setns(fd, CLONE_NEWNET) ? -errno : 0;
	close(fd);
	return error ? anyhop_error_is(error, "cannot enter %s", path) : 0;
}

/* Moves it back, and closes the descriptor. */
int anyhop_dev_return(int origin)
{
	int error;

	anyhop_error_start();
	error = setns(origin, CLONE_NEWNET) ? -errno : 0;
	close(origin);
	return error ? anyhop_error_is(error, "cannot return to the former network namespace") : 0;
}

/* The index of an interface of the thread's namespace. */
int anyhop_dev_interface(const char *name)
{
	int index = (int)if_nametoindex(name);

	anyhop_error_start();
	return index ? index : anyhop_error_is(-errno, "interface %s", name);
}

/* Whether a link is the one of a program; detaches it by force if so. */
static int detach_if(__u32 link_id, __u32 program_id)
{
	struct bpf_link_info info = {};
	__u32 size = sizeof(info);
	int fd = bpf_link_get_fd_by_id(link_id);
	int found, error = 0;

	if (fd < 0)
		return 0; /* it has gone meanwhile */
	found = !bpf_obj_get_info_by_fd(fd, &info, &size) && info.type == BPF_LINK_TYPE_XDP && info.prog_id == program_id;
	if (found && bpf_link_detach(fd))
		error = -errno;
	close(fd);
	return error ? error : found;
}

/* Takes the program off an interface of the thread's namespace whose link somebody else holds, as `bpftool link detach` does. */
int anyhop_dev_take_off(const char *interface)
{
	__u32 program = 0, link = 0;
	int result = 0, error;

	anyhop_error_start();
	error = bpf_xdp_query_id((int)if_nametoindex(interface), 0, &program);
	if (error || !program)
		return anyhop_error_is(error ? error : -ENOENT, "the XDP program on %s", interface);
	while (!result && !bpf_link_get_next_id(link, &link))
		result = detach_if(link, program);
	return result == 1 ? 0 : anyhop_error_is(result ? result : -ENOENT, "the link on %s", interface);
}
