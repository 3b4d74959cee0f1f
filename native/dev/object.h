/* SPDX-License-Identifier: MIT
 * What scripts/native calls, and what other files of this folder need of an object; described in object.c. */
#ifndef ANYHOP_DEV_OBJECT_H
#define ANYHOP_DEV_OBJECT_H

#include <linux/types.h>

int anyhop_dev_open(const char *path);
int anyhop_dev_map_size(int object, const char *map, __u32 value_bytes, __u32 entries);
int anyhop_dev_constants(int object, const char *section, const __u8 *bytes, __u32 size);
int anyhop_dev_load(int object);
int anyhop_dev_close(int object);
void *anyhop_dev_memory(int object, const char *map, __u32 bytes);
int anyhop_dev_tail_call(int object, const char *map, __u32 index, int target, const char *program);
int anyhop_dev_tail_call_to(int object, const char *map, __u32 index, int program);

/* NULL when there is none of this name. */
struct bpf_program;
struct bpf_program *anyhop_dev_find(int object, const char *program);
/* The file descriptor of a loaded program, or a negative errno whose words are kept. */
int anyhop_dev_program(int object, const char *program);

#endif
