/* SPDX-License-Identifier: MIT
 * What src/ffi calls of xsk.c; each function is described where it is defined. */
#ifndef ANYHOP_LIB_XSK_H
#define ANYHOP_LIB_XSK_H

#include <linux/types.h>

/* The four rings of a socket, and the packet memory that their entries point into. */
enum anyhop_xsk_memory { ANYHOP_XSK_UMEM, ANYHOP_XSK_RX, ANYHOP_XSK_TX, ANYHOP_XSK_FILL, ANYHOP_XSK_COMPLETION };

/* Where things are in a mapped ring, in bytes from its start. `desc` is the first of `entries` (a power of two), of
 * struct xdp_desc in RX and TX and of __u64 in the others. */
struct anyhop_xsk_ring {
	__u32 bytes;
	__u32 entries;
	__u32 producer;
	__u32 consumer;
	__u32 flags;
	__u32 desc;
};

int anyhop_xsk_open(int interface, int queue, int frame_bytes, int frames, int headroom);
int anyhop_xsk_bind(int xsk, int force_copy);
int anyhop_xsk_fd(int xsk);
int anyhop_xsk_rings(int xsk, __u8 *out, int size);
void *anyhop_xsk_map(int xsk, int which);
int anyhop_xsk_kick(int xsk, int receive);
int anyhop_xsk_wait(int xsk, int timeout_ms);
int anyhop_xsk_wake(int xsk);
int anyhop_xsk_statistics(int xsk, __u8 *out, int size);
int anyhop_xsk_close(int xsk);
int anyhop_pin_thread(int index);
int anyhop_queues(const char *interface, __u8 *out, int size);

#endif
