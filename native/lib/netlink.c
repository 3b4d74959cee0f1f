/* SPDX-License-Identifier: MIT
 *
 * An XDP program on an interface by netlink. It belongs to the interface, so it stays without a pin when its process ends. To replace it
 * in one step, the next process needs its descriptor (CAP_SYS_ADMIN), and cannot find its maps. A pinned link (link.c) has neither flaw.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#include "bpf.h"
#include "error.h"

/* The program that is attached to an interface, as text: "MODE ID NAME", MODE being native, generic or offloaded;
 * nothing when there is none. NAME is left out when the kernel does not tell it (CAP_SYS_ADMIN is missing). Returns
 * the text's length. */
int anyhop_xdp_attached(int interface, char *out, int size)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	struct bpf_prog_info info = {};
	__u32 info_size = sizeof(info);
	const char *mode;
	int error, fd;
	__u32 id;

	anyhop_error_start();
	error = bpf_xdp_query(interface, 0, &query);
	if (error)
		return anyhop_error_is(error, "XDP state of interface %d", interface);
	id = query.drv_prog_id ? query.drv_prog_id : query.skb_prog_id ? query.skb_prog_id : query.hw_prog_id;
	if (!id) {
		*out = 0;
		return 0;
	}
	mode = query.drv_prog_id ? "native" : query.skb_prog_id ? "generic" : "offloaded";
	fd = bpf_prog_get_fd_by_id(id);
	if (fd >= 0) {
		if (bpf_obj_get_info_by_fd(fd, &info, &info_size))
			info.name[0] = 0;
		close(fd);
	}
	return snprintf(out, (size_t)size, "%s %u %s", mode, id, info.name);
}

static __u32 mode_flags(int mode)
{
	return mode == 1 ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
}

/* A descriptor of the program with the kernel's number `id`. It takes CAP_SYS_ADMIN. */
int anyhop_program_by_id(int id)
{
	int fd = bpf_prog_get_fd_by_id((__u32)id);

	anyhop_error_start();
	return fd < 0 ? anyhop_error_is(-errno, "program %d", id) : fd;
}

/* Attaches a program to an interface; mode 1 is native (in the driver), 2 generic (before the stack). With `replaced`
 * below 0 there must be none yet; otherwise it is the descriptor of the program that is replaced in one step. */
int anyhop_xdp_attach(int program, int interface, int mode, int replaced)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, options, .old_prog_fd = replaced);
	__u32 flags = mode_flags(mode) | (replaced < 0 ? XDP_FLAGS_UPDATE_IF_NOEXIST : XDP_FLAGS_REPLACE);
	int error;

	anyhop_error_start();
	error = bpf_xdp_attach(interface, program, flags, replaced < 0 ? NULL : &options);
	return error ? anyhop_error_is(error, "%s XDP", mode == 1 ? "native" : "generic") : 0;
}

/* Takes a program off an interface, if it is still the one that is attached there. */
int anyhop_xdp_detach(int program, int interface, int mode)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, options, .old_prog_fd = program);
	int error;

	anyhop_error_start();
	error = bpf_xdp_detach(interface, mode_flags(mode) | XDP_FLAGS_REPLACE, &options);
	return error ? anyhop_error_is(error, "detach from interface %d", interface) : 0;
}
