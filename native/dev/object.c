/* SPDX-License-Identifier: MIT
 *
 * BPF objects for benches, tests and the generator: any object file, with maps and constants of the sizes that the
 * caller asks for, its mmapable maps as plain memory, and tail calls from one object into another.
 *
 * An object is a small number. Functions return 0 or what they found, or a negative errno, and anyhop_error then has
 * the words; anyhop_dev_memory returns NULL instead. Call from one thread.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "error.h"
#include "object.h"

#define OBJECTS_MAX 64

static struct bpf_object *objects[OBJECTS_MAX];

static struct bpf_object *object_of(int object)
{
	return object >= 0 && object < OBJECTS_MAX ? objects[object] : NULL;
}

/* By its name, or by its section's (".bss") for a program's global variables. */
static struct bpf_map *map_of(int object, const char *name)
{
	struct bpf_object *found = object_of(object);

	return found ? bpf_object__find_map_by_name(found, name) : NULL;
}

/* Reads an object file: the object's number. Nothing is in the kernel yet. */
int anyhop_dev_open(const char *path)
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

/* Sets how many bytes a map's values have and how many there are; before anyhop_dev_load. */
int anyhop_dev_map_size(int object, const char *map, __u32 value_bytes, __u32 entries)
{
	struct bpf_map *found = map_of(object, map);
	int error;

	anyhop_error_start();
	if (!found)
		return anyhop_error_is(-ENOENT, "map %s", map);
	error = bpf_map__set_value_size(found, value_bytes);
	if (!error)
		error = bpf_map__set_max_entries(found, entries);
	return error ? anyhop_error_is(error, "map %s of %u x %u bytes", map, entries, value_bytes) : 0;
}

/* Fills a section of read-only data (".rodata", ".rodata.NAME"), all of it; before anyhop_dev_load. */
int anyhop_dev_constants(int object, const char *section, const __u8 *bytes, __u32 size)
{
	struct bpf_map *found = map_of(object, section);
	int error;

	anyhop_error_start();
	if (!found)
		return anyhop_error_is(-ENOENT, "section %s", section);
	error = bpf_map__set_initial_value(found, bytes, size);
	return error ? anyhop_error_is(error, "%u bytes for section %s", size, section) : 0;
}

/* Makes the maps and has the kernel check the programs. */
int anyhop_dev_load(int object)
{
	struct bpf_object *found = object_of(object);
	int error;

	anyhop_error_start();
	if (!found)
		return anyhop_error_is(-EBADF, "BPF object %d", object);
	error = bpf_object__load(found);
	return error ? anyhop_error_is(error, "the kernel refused the BPF object") : 0;
}

/* Gives the object back. Memory that anyhop_dev_memory mapped stays valid. */
int anyhop_dev_close(int object)
{
	anyhop_error_start();
	if (!object_of(object))
		return anyhop_error_is(-EBADF, "BPF object %d", object);
	bpf_object__close(objects[object]);
	objects[object] = NULL;
	return 0;
}

/* The first `bytes` bytes of a BPF_F_MMAPABLE array, or of a program's global variables, shared with the kernel. They
 * stay mapped until the process ends: whoever holds a view of them cannot be told that they are gone. */
void *anyhop_dev_memory(int object, const char *map, __u32 bytes)
{
	struct bpf_map *found = map_of(object, map);
	void *memory;

	anyhop_error_start();
	if (!found) {
		anyhop_error_is(-ENOENT, "map %s", map);
		return NULL;
	}
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(found), 0);
	if (memory == MAP_FAILED) {
		anyhop_error_is(-errno, "cannot map %u bytes of map %s", bytes, map);
		return NULL;
	}
	return memory;
}

struct bpf_program *anyhop_dev_find(int object, const char *program)
{
	struct bpf_object *found = object_of(object);

	return found ? bpf_object__find_program_by_name(found, program) : NULL;
}

int anyhop_dev_program(int object, const char *program)
{
	struct bpf_program *p = anyhop_dev_find(object, program);

	return p ? bpf_program__fd(p) : anyhop_error_is(-ENOENT, "program %s", program);
}

/* Lets a tail call of `object` through its program array `map` at `index` go to a program of the object `target`. */
int anyhop_dev_tail_call(int object, const char *map, __u32 index, int target, const char *program)
{
	int fd = anyhop_dev_program(target, program);

	return fd < 0 ? fd : anyhop_dev_tail_call_to(object, map, index, fd);
}

/* The same to a program behind a descriptor. */
int anyhop_dev_tail_call_to(int object, const char *map, __u32 index, int program)
{
	struct bpf_map *found = map_of(object, map);

	anyhop_error_start();
	if (!found)
		return anyhop_error_is(-ENOENT, "map %s", map);
	if (bpf_map_update_elem(bpf_map__fd(found), &index, &program, BPF_ANY))
		return anyhop_error_is(-errno, "a tail call to another program");
	return 0;
}
