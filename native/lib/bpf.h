/* SPDX-License-Identifier: MIT
 * What src/ffi calls; each function is described where it is defined. */
#ifndef ANYHOP_LIB_BPF_H
#define ANYHOP_LIB_BPF_H

#include <linux/types.h>

int anyhop_error(char *out, int size);
int anyhop_bpf_open(const char *path);
int anyhop_bpf_resize(int object, const char *map, __u32 entries);
int anyhop_bpf_load(int object);
int anyhop_bpf_close(int object);
int anyhop_bpf_fill(int object, const char *map, const __u8 *keys, __u32 key_size, const __u8 *values,
		    __u32 value_size, __u32 count);
int anyhop_bpf_sum(int object, const char *map, __u8 *out, __u32 entries);
int anyhop_bpf_test_run(int object, const char *program, const __u8 *frame, __u32 size, __u8 *out, __u32 out_size);
int anyhop_xdp_attached(int interface, char *out, int size);
int anyhop_xdp_attach(int object, const char *program, int interface, int mode, int replaced);
int anyhop_xdp_detach(int object, const char *program, int interface, int mode);

#endif
