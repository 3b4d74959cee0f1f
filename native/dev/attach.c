/* SPDX-License-Identifier: MIT
 *
 * Programs on interfaces of any network namespace, for benches that keep both ends of a link in one process.
 *
 * Only the calling thread changes its namespace, but whatever it starts meanwhile starts there too. Programs are held by
 * links: they go with this process, however it ends.
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
#include "object.h"

#define LINKS_MAX 16

static struct bpf_link *links[LINKS_MAX];

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

/* Attaches a program to an interface of the thread's namespace, in the driver where that can: the link's number. */
int anyhop_dev_attach(const char *interface, int object, const char *program)
{
	struct bpf_program *found;
	int at = 0;

	anyhop_error_start();
	while (at < LINKS_MAX && links[at])
		at++;
	found = anyhop_dev_find(object, program);
	if (!found || at == LINKS_MAX)
		return anyhop_error_is(found ? -EMFILE : -ENOENT, "program %s", program);
	links[at] = bpf_program__attach_xdp(found, (int)if_nametoindex(interface));
	return links[at] ? at : anyhop_error_is(-errno, "cannot attach %s to %s", program, interface);
}

/* Puts another program in the place of the attached one, in one step. */
int anyhop_dev_replace(int attached, int object, const char *program)
{
	struct bpf_program *found;
	int error;

	anyhop_error_start();
	found = anyhop_dev_find(object, program);
	if (!found || attached < 0 || attached >= LINKS_MAX || !links[attached])
		return anyhop_error_is(-ENOENT, "program %s, link %d", program, attached);
	error = bpf_link__update_program(links[attached], found);
	return error ? anyhop_error_is(error, "cannot replace by %s", program) : 0;
}

int anyhop_dev_detach(int attached)
{
	int error;

	anyhop_error_start();
	if (attached < 0 || attached >= LINKS_MAX || !links[attached])
		return anyhop_error_is(-ENOENT, "link %d", attached);
	error = bpf_link__destroy(links[attached]);
	links[attached] = NULL;
	return error ? anyhop_error_is(error, "link %d", attached) : 0;
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
