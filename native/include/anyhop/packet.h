/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * What the steps of the pipeline hand to each other. The first phase, which only reads, fills them in: where the packet
 * is (anyhop_packet), whose it is (anyhop_match), and where it goes (anyhop_choice) or what it is answered (anyhop_answer).
 * All of it is on the stack, most of it in registers.
 */
#ifndef ANYHOP_PACKET_H
#define ANYHOP_PACKET_H

#include <linux/types.h>

#include "parse.h"
#include "search.h"
#include "verdict.h"

/* A frame and what its headers said so far. */
struct anyhop_packet {
	struct anyhop_view view;
	__u8 *frame;
	__u8 *l3;                /* start of the IP header */
	struct anyhop_cursor at; /* behind the headers that were read; ends with the frame, not with the packet */
	const struct anyhop_vip *vip;
	__u32 length; /* of the IP packet, in bytes: link-layer padding is left out */
	__u32 left;   /* bytes of the packet from the cursor on */
	__u32 family; /* 4 or 6 */
	__u32 protocol;
	__u32 fragment; /* enum anyhop_fragment */
};

/* The service that answers for a packet, and the flow that it belongs to. */
struct anyhop_match {
	const struct anyhop_service *service;
	__u32 client[4]; /* raw words: one for IPv4 */
	__u32 ports;     /* raw word: the client's port, the service's port */
};

/* The backend that a packet goes to, and the path to it. */
struct anyhop_choice {
	const struct anyhop_path *path;
	const __u8 *template;
	__u32 hash;
	__u32 slot;
	__u32 backend; /* its number in the image */
	__u32 key;     /* of the GRE header; 0: none */
	__u32 answer_mtu;   /* after the verdict TOO_BIG_ANSWERED: the longest packet that fits */
};

#endif
