/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * What generator.bpf.c makes. scripts/native/generator.ts fills it in, through the program's memory: `struct
 * anyhop_generator_plan plan` is the whole of .bss.
 */
#ifndef ANYHOP_GENERATOR_H
#define ANYHOP_GENERATOR_H

#include <linux/types.h>

#define ANYHOP_GENERATOR_HEAD 80u /* Ethernet 14, IPv6 40, TCP 20, rounded up */
#define ANYHOP_GENERATOR_SHORTEST 60u /* frames have this length, or that of a head or more; spoofed ones also any between */
#define ANYHOP_GENERATOR_OPTIONS 120u /* a head with TCP's options, rounded up: as much is written of spoofed packets */
#define ANYHOP_GENERATOR_PACKETS 256u
#define ANYHOP_GENERATOR_KINDS 16u /* kinds of packets a target, a power of two */
#define ANYHOP_GENERATOR_LATE_NS 1000000u
#define ANYHOP_GENERATOR_STAMP 64u /* packets from one look at the clock to the next, a power of two */

/* One kind of packet, complete but for the client's last 32 bits and port. What lies behind the head is zero. */
struct anyhop_generator_packet {
	__u8 head[ANYHOP_GENERATOR_OPTIONS];
	__u32 length; /* of the frame */
	__u32 client; /* the last 32 bits of the first client's address (flows.h) */
	__u32 sum;    /* of the transport's checksum with a source port of 0: 16-bit words in host order */
	__u8 client_at; /* where in the head these stand */
	__u8 port_at;
	__u8 sum_at;
	__u8 port_bits; /* each client has 2^bits ports */
	__u32 ip_sum; /* spoofed: of the IPv4 header's checksum, as `sum` */
	__u8 ip_sum_at; /* 0: it has none */
	__u8 sequence_at; /* spoofed: 0: no sequence number */
	__u8 acknowledges; /* spoofed: the number acknowledged, behind the sequence number, is random too */
	__u8 reserved;
};

struct anyhop_generator_plan {
	__u64 made; /* packets handed to the interface: the program's to write */
	__u64 count; /* the most that there may be */
	__u64 first_ns; /* CLOCK_MONOTONIC: when the first packet was made, and a latest one: the program's to write */
	__u64 last_ns;
	__u64 due_from_ns; /* moves when the generator cannot keep up: the program's to write */
	__u64 gap; /* between two packets, in 1/1024 ns; 0: as fast as it goes */
	__u32 interface_index;
	__u32 flow_mask; /* flows less 1; flows are a power of two up to ANYHOP_FLOWS_MAX */
	__u32 targets;
	__u32 length; /* of the frames that a run is given: the longest */
	__u32 spoof_mask; /* bits of `client` that are random, host order; those of the template are 0. 0: flows instead */
	__u32 reserved;
	/* Of each target its kinds, ANYHOP_GENERATOR_KINDS of them. */
	struct anyhop_generator_packet packets[ANYHOP_GENERATOR_PACKETS];
};

_Static_assert(sizeof(struct anyhop_generator_packet) == 144, "written by scripts/native/generator.ts");
_Static_assert(sizeof(struct anyhop_generator_plan) == 72 + 144 * ANYHOP_GENERATOR_PACKETS,
	       "written by scripts/native/generator.ts");

#endif
