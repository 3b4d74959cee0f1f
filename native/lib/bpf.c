/* SPDX-License-Identifier: MIT
 *
 * BPF objects for TypeScript: load one, fill its maps, read its counters, run it on a frame.
 *
 * The surface is made for ffi-rs: numbers, strings and flat buffers, no structs. An object is a small number. Every
 * function returns 0 or what it found, or a negative errno, and anyhop_error then has the words.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf.h"
#include "error.h"

#define OBJECTS_MAX 64

static struct bpf_object *objects[OBJECTS_MAX];

static struct bpf_object *object_of(int object)
{
	return object >= 0 && object < OBJECTS_MAX ? objects[object] : NULL;
}

static struct bpf_map *map_of(int object, const char *name)
{
	struct bpf_object *found = object_of(object);

	return found ? bpf_object__find_map_by_name(found, name) : NULL;
}

static int program_fd(int object, const char *name)
{
	struct bpf_object *found = object_of(object);
	struct bpf_program *program = found ? bpf_object__find_program_by_name(found, name) : NULL;

	return program ? bpf_program__fd(program) : -ENOENT;
}

/* Reads an object file: the object's number. Nothing is in the kernel yet. */
int anyhop_bpf_open(const char *path)
{
	int object = 0;

	anyhop_error_start();
	while (object < OBJECTS_MAX && objects[object])
		object++;
	if (object == OBJECTS_MAX)
		return anyhop_error_is(-EMFILE, "%s", path);
	objects[object] = bpf_object__open_file(path, NULL);
	if (!objects[object])
		return anyhop_error_is(-errno, "cannot open the BPF object %s", path);
	return object;
}

/* Sets how many entries a map can hold; before anyhop_bpf_load. */
int anyhop_bpf_resize(int object, const char *map, __u32 entries)
{
	struct bpf_map *found = map_of(object, map);
	int error;

	anyhop_error_start();
	if (!found)
		return anyhop_error_is(-ENOENT, "map %s", map);
	error = bpf_map__set_max_entries(found, entries);
	return error ? anyhop_error_is(error, "map %s with %u entries", map, entries) : 0;
}

/* Sets the size of a map's values; before anyhop_bpf_load. */
int anyhop_bpf_element(int object, const char *map, __u32 bytes)
{
	struct bpf_map *found = map_of(object, map);
	int error;

	anyhop_error_start();
	if (!found)
		return anyhop_error_is(-ENOENT, "map %s", map);
	error = bpf_map__set_value_size(found, bytes);
	return error ? anyhop_error_is(error, "map %s with elements of %u bytes", map, bytes) : 0;
}

/* Sets the contents of a section of read-only data, such as ".rodata.sizes"; the verifier sees constants. Before anyhop_bpf_load. */
int anyhop_bpf_constants(int object, const char *section, const __u8 *data, __u32 bytes)
{
	struct bpf_map *found = map_of(object, section);
	int error;

	anyhop_error_start();
	if (!found)
		return anyhop_error_is(-ENOENT, "section %s", section);
	error = bpf_map__set_initial_value(found, data, bytes);
	return error ? anyhop_error_is(error, "section %s with %u bytes", section, bytes) : 0;
}

/* Uses an existing map instead of a new one; before anyhop_bpf_load. Returns 1, or 0 without effect when the shapes differ. */
int anyhop_bpf_reuse(int object, const char *map, int fd)
{
	struct bpf_map *found = map_of(object, map);
	struct bpf_map_info info = {};
	__u32 size = sizeof(info);
	int error;

	anyhop_error_start();
	if (!found)
		return anyhop_error_is(-ENOENT, "map %s", map);
	if (bpf_obj_get_info_by_fd(fd, &info, &size))
		return anyhop_error_is(-errno, "map information");
	if (info.type != bpf_map__type(found) || info.key_size != bpf_map__key_size(found) ||
	    info.value_size != bpf_map__value_size(found) || info.max_entries != bpf_map__max_entries(found) ||
	    info.map_flags != bpf_map__map_flags(found))
		return 0;
	error = bpf_map__reuse_fd(found, fd);
	return error ? anyhop_error_is(error, "going on with map %s", map) : 1;
}

/* Creates the maps and loads the programs into the kernel. */
int anyhop_bpf_load(int object)
{
	struct bpf_object *found = object_of(object);
	int error;

	anyhop_error_start();
	if (!found)
		return anyhop_error_is(-EBADF, "BPF object %d", object);
	error = bpf_object__load(found);
	return error ? anyhop_error_is(error, "the kernel refused the BPF object") : 0;
}

static int descriptor(int fd, const char *kind, const char *name)
{
	int copy = fd < 0 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 0);

	anyhop_error_start();
	return copy < 0 ? anyhop_error_is(fd < 0 ? fd : -errno, "%s %s", kind, name) : copy;
}

/* A descriptor of a map. It belongs to the caller and outlives the object. */
int anyhop_bpf_map(int object, const char *map)
{
	struct bpf_map *found = map_of(object, map);

	return descriptor(found ? bpf_map__fd(found) : -ENOENT, "map", map);
}

/* A descriptor of a program, likewise. */
int anyhop_bpf_program(int object, const char *program)
{
	return descriptor(program_fd(object, program), "program", program);
}

/* Frees the object; an attached program stays attached. */
int anyhop_bpf_close(int object)
{
	anyhop_error_start();
	if (!object_of(object))
		return anyhop_error_is(-EBADF, "BPF object %d", object);
	bpf_object__close(objects[object]);
	objects[object] = NULL;
	return 0;
}

/* Writes `count` entries. Keys and values are packed, and their sizes must be the map's own. */
int anyhop_bpf_fill(int object, const char *map, const __u8 *keys, __u32 key_size, const __u8 *values,
		    __u32 value_size, __u32 count)
{
	struct bpf_map *found = map_of(object, map);

	anyhop_error_start();
	if (!found)
		return anyhop_error_is(-ENOENT, "map %s", map);
	if (bpf_map__key_size(found) != key_size || bpf_map__value_size(found) != value_size)
		return anyhop_error_is(-EINVAL, "map %s takes keys of %u and values of %u bytes", map,
				       bpf_map__key_size(found), bpf_map__value_size(found));
	for (__u32 i = 0; i < count; i++) {
		if (bpf_map_update_elem(bpf_map__fd(found), keys + (size_t)i * key_size,
					values + (size_t)i * value_size, BPF_ANY))
			return anyhop_error_is(-errno, "map %s, entry %u of %u", map, i + 1, count);
	}
	return 0;
}

/* Sums the first `entries` elements of a per-CPU array of __u64 over the CPUs, into as many __u64 at out. */
int anyhop_bpf_sum(int object, const char *map, __u8 *out, __u32 entries)
{
	struct bpf_map *found = map_of(object, map);
	int cpus = libbpf_num_possible_cpus();
	__u64 *values;
	int error = 0;

	anyhop_error_start();
	if (!found || bpf_map__type(found) != BPF_MAP_TYPE_PERCPU_ARRAY || bpf_map__value_size(found) != 8)
		return anyhop_error_is(-EINVAL, "map %s is no per-CPU array of 64-bit counters", map);
	if (cpus < 0)
		return anyhop_error_is(cpus, "the number of CPUs");
	values = calloc((size_t)cpus, sizeof(*values));
	if (!values)
		return anyhop_error_is(-ENOMEM, "map %s", map);
	for (__u32 i = 0; i < entries && !error; i++) {
		__u64 sum = 0;

		if (bpf_map_lookup_elem(bpf_map__fd(found), &i, values))
			error = anyhop_error_is(-errno, "map %s, element %u", map, i);
		for (int cpu = 0; cpu < cpus; cpu++)
			sum += values[cpu];
		memcpy(out + (size_t)i * sizeof(sum), &sum, sizeof(sum));
	}
	free(values);
	return error;
}
