/* SPDX-License-Identifier: MIT
 *
 * Maps, programs and links as file descriptors. They outlive the object that they were loaded from and, once pinned in a BPF file
 * system, the process. The caller closes them. Nothing here asks for a map or a program by its id, which takes CAP_SYS_ADMIN.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf.h"
#include "error.h"

/* How many elements a map with one for each CPU number has. Numbers may have gaps: the highest possible one counts, the last in a list
 * like "0-3,8-11". */
int anyhop_cpus(void)
{
	FILE *file = fopen("/sys/devices/system/cpu/possible", "re");
	char text[256] = "";
	const char *last = text;

	anyhop_error_start();
	if (!file || !fgets(text, sizeof(text), file)) {
		int error = -errno;

		if (file)
			fclose(file);
		return anyhop_error_is(error ? error : -EIO, "/sys/devices/system/cpu/possible");
	}
	fclose(file);
	for (const char *at = text; *at; at++)
		if (*at == ',' || *at == '-')
			last = at + 1;
	return atoi(last) + 1;
}

/* A new mmapable array of one element of `bytes`: its descriptor. */
int anyhop_map_create(const char *name, __u32 bytes)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(__u32), bytes, 1, &options);

	anyhop_error_start();
	return fd < 0 ? anyhop_error_is(-errno, "map %s of %u bytes", name, bytes) : fd;
}

/* Bytes of an element, then elements, as two __u32 at out. */
int anyhop_map_shape(int fd, __u8 *out)
{
	struct bpf_map_info info = {};
	__u32 size = sizeof(info);

	anyhop_error_start();
	if (bpf_obj_get_info_by_fd(fd, &info, &size))
		return anyhop_error_is(-errno, "map information");
	memcpy(out, &info.value_size, 4);
	memcpy(out + 4, &info.max_entries, 4);
	return 0;
}

/* Maps the first `bytes` of an mmapable array; NULL on failure. The memory stays until anyhop_map_unmap, even without the descriptor. */
void *anyhop_map_memory(int fd, __u32 bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	anyhop_error_start();
	if (memory != MAP_FAILED)
		return memory;
	anyhop_error_is(-errno, "mapping %u bytes of a BPF map", bytes);
	return NULL;
}

/* Unmaps the memory, which nobody may use from then on. */
int anyhop_map_unmap(__u8 *memory, __u32 bytes)
{
	anyhop_error_start();
	return munmap(memory, bytes) ? anyhop_error_is(-errno, "unmapping a BPF map") : 0;
}

/* The kernel's number of a loaded program. */
int anyhop_program_id(int fd)
{
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info);

	anyhop_error_start();
	if (bpf_obj_get_info_by_fd(fd, &info, &size))
		return anyhop_error_is(-errno, "program information");
	return (int)info.id;
}

/* Runs an XDP program once on a frame, without an interface (BPF_PROG_TEST_RUN): the XDP action. Out gets the length
 * of the resulting frame as a __u32, then the frame. */
int anyhop_program_run(int fd, const __u8 *frame, __u32 size, __u8 *out, __u32 out_size)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = size, .data_out = out + 4,
		    .data_size_out = out_size - 4, .repeat = 1);

	anyhop_error_start();
	if (out_size < 4 || bpf_prog_test_run_opts(fd, &options))
		return anyhop_error_is(out_size < 4 ? -EINVAL : -errno, "test run of a program");
	memcpy(out, &options.data_size_out, 4);
	return (int)options.retval;
}

/* Pins a map, program or link in a BPF file system, which keeps it alive. */
int anyhop_pin(int fd, const char *path)
{
	anyhop_error_start();
	return bpf_obj_pin(fd, path) ? anyhop_error_is(-errno, "pinning %s", path) : 0;
}

/* A descriptor of what is pinned under this path. */
int anyhop_pinned(const char *path)
{
	int fd = bpf_obj_get(path);

	anyhop_error_start();
	return fd < 0 ? anyhop_error_is(-errno, "%s", path) : fd;
}

int anyhop_close(int fd)
{
	anyhop_error_start();
	return close(fd) ? anyhop_error_is(-errno, "closing a BPF descriptor") : 0;
}
