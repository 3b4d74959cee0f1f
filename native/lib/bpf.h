/* SPDX-License-Identifier: MIT
 * What src/ffi calls; each function is described where it is defined. */
#ifndef ANYHOP_LIB_BPF_H
#define ANYHOP_LIB_BPF_H

#include <linux/types.h>

int anyhop_error(char *out, int size);
int anyhop_bpf_open(const char *path);
int anyhop_bpf_resize(int object, const char *map, __u32 entries);
int anyhop_bpf_element(int object, const char *map, __u32 bytes);
int anyhop_bpf_constants(int object, const char *section, const __u8 *data, __u32 bytes);
int anyhop_bpf_reuse(int object, const char *map, int fd);
int anyhop_bpf_load(int object);
int anyhop_bpf_map(int object, const char *map);
int anyhop_bpf_program(int object, const char *program);
int anyhop_bpf_close(int object);
int anyhop_bpf_fill(int object, const char *map, const __u8 *keys, __u32 key_size, const __u8 *values,
		    __u32 value_size, __u32 count);
int anyhop_bpf_sum(int object, const char *map, __u8 *out, __u32 entries);

int anyhop_xdp_attached(int interface, char *out, int size);
int anyhop_xdp_attach(int program, int interface, int mode, int replaced);
int anyhop_xdp_detach(int program, int interface, int mode);
int anyhop_program_by_id(int id);

int anyhop_packet_sockets(__u8 *out, int max);
int anyhop_capture_shield(int fd);
int anyhop_capture_state(int kept);
int anyhop_filter_option(const __u8 *instructions, int bytes, __u8 *out);

int anyhop_capture_open(int shared, int ring);
int anyhop_capture_arm(int number, const __u8 *filter);
int anyhop_capture_extend(int number);
int anyhop_capture_poll(int number, __u8 *out, __u32 size);
int anyhop_capture_lost(int number, __u8 *out);
int anyhop_capture_disarm(int number);
int anyhop_capture_close(int number);

int anyhop_cpus(void);
int anyhop_map_create(const char *name, __u32 bytes);
int anyhop_map_shape(int fd, __u8 *out);
void *anyhop_map_memory(int fd, __u32 bytes);
int anyhop_map_unmap(__u8 *memory, __u32 bytes);
int anyhop_program_id(int fd);
int anyhop_program_run(int fd, const __u8 *frame, __u32 size, __u8 *out, __u32 out_size);
int anyhop_pin(int fd, const char *path);
int anyhop_pinned(const char *path);
int anyhop_close(int fd);

int anyhop_link_create(int program, int interface, int mode);
int anyhop_link_ingress(int program, int interface);
int anyhop_link_update(int link, int program);
int anyhop_link_info(int link, __u8 *out);
int anyhop_link_detach(int link);

int anyhop_kernel_function(const char *types, const char *name);
int anyhop_mptcp_listeners(__u8 *out, int max);
int anyhop_tcp_count(const __u8 *ranges, __u32 count, __u8 *out);

int anyhop_rows_read(__u32 table, __u32 protocol, __u32 type, __u32 routes_max, __u8 *out, __u8 *cut);
int anyhop_rows_change(__u32 table, const __u8 *changes, __u32 count, __u8 *results);

int anyhop_barrier_ask(void);
int anyhop_barrier_passed(void);

#endif
