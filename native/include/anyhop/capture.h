/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * What a capture and an XDP program say to each other: the program that forwards (native/bpf/forward.bpf.c) and the agent's
 * (native/bpf/agent.bpf.c) record packets with it (native/bpf/capture.h); native/lib/capture-ring.c reads them.
 *
 *   .data.capture  one anyhop_capture   the switch, the lease and the filter: written by the reader, as memory
 *   captured       a ring buffer        records: written by the program, read as memory
 *
 * What to know:
 *  - While `armed` is 0 a packet costs a load and a branch more. The program itself disarms when the lease is over, so a reader
 *    that was killed slows nothing for long.
 *  - The filter may let through too much, and never too little: it looks at a frame's outermost IP header (an agent's: at that of
 *    the packet inside of GRE) and not behind IPv6 extension headers. Whoever reads the records decides exactly.
 *  - `session` tells the records of one capture from those of another, which may still be on their way.
 *  - A record that finds no room is counted as lost. No packet ever waits for a reader.
 */
#ifndef ANYHOP_CAPTURE_H
#define ANYHOP_CAPTURE_H

#include <linux/types.h>

#define ANYHOP_CAPTURE_SNAP_MIN 64u
#define ANYHOP_CAPTURE_SNAP_MAX 2048u
#define ANYHOP_CAPTURE_NO_SLOT 0xffffffffu
/* Of the ring: a power of two of pages. At 300 bytes a record it holds 14,000. */
#define ANYHOP_CAPTURE_RING_BYTES (4u << 20)
/* For how long a lease lasts: a reader renews it several times a second. */
#define ANYHOP_CAPTURE_LEASE_NS 1000000000ull
/* Of CPUs with counts of their own, for samples: a power of two. Higher numbers share them, and then a record may be of a packet that
 * is no sample, or be missing. */
#define ANYHOP_CAPTURE_CPUS 1024u
/* A program looks at its lease with each sample, and at least once in so many packets of a CPU. */
#define ANYHOP_CAPTURE_LOOK_PACKETS 128u

/* anyhop_capture_filter.terms: which of its fields must hold. */
#define ANYHOP_CAPTURE_VIP 1u
#define ANYHOP_CAPTURE_CLIENT 2u
#define ANYHOP_CAPTURE_CLIENT_PORT 4u
#define ANYHOP_CAPTURE_SERVICE_PORT 8u
#define ANYHOP_CAPTURE_PROTOCOL 16u
#define ANYHOP_CAPTURE_BACKEND 32u
/* No term: records test runs too (BPF_PROG_TEST_RUN), which come from no interface. */
#define ANYHOP_CAPTURE_TEST_RUNS 64u

struct anyhop_capture_filter {
	__u32 terms;
	__u32 sample;      /* one packet of so many is looked at; 1 or more */
	__u32 snap_length; /* first bytes of a frame that are kept: ANYHOP_CAPTURE_SNAP_MIN to ..._MAX */
	__u16 client_port; /* host order */
	__u16 service_port;
	__u8 vip_family; /* 4 or 6 */
	__u8 client_family;
	__u8 protocol;
	__u8 reserved;
	__u16 backend; /* its counter number */
	__u16 reserved1;
	/* Network order; IPv4 in the first four bytes, the rest zero. */
	__u8 vip[16];
	__u8 client[16];
	__u8 client_mask[16];
	__u32 verdicts[8]; /* bit v % 32 of word v / 32: records end in verdict v */
};

/* What one CPU knows for itself, in a cache line of its own. */
struct anyhop_capture_cpu {
	__u32 left;   /* packets that go their usual way before one is looked at */
	__u32 wanted; /* whether the packet under way is recorded, as far as is known; one word of 64 bits with `left` */
	__u32 rest;   /* further packets until the next sample */
	__u32 reserved[13];
};

struct anyhop_capture {
	__u32 armed; /* 0 or 1 */
	__u32 session; /* of whoever armed it last */
	__u64 deadline_ns; /* CLOCK_MONOTONIC: when the lease ends */
	struct anyhop_capture_filter filter;
	__u64 reserved;
	__u64 lost; /* records that found no room, of all sessions; in a line of its own */
	__u64 reserved1[7];
	struct anyhop_capture_cpu cpus[ANYHOP_CAPTURE_CPUS];
};

/* One packet. Behind it the frame's first bytes as it came in; then, from the next multiple of 8 on, as it left. */
struct anyhop_capture_record {
	__u32 bytes; /* of all of it */
	__u32 session;
	__u64 id;      /* unique within a session: the CPU, and a number that rises there */
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u32 slot;    /* ANYHOP_CAPTURE_NO_SLOT without one */
	__u32 hash;
	__u32 key; /* of the GRE header: written by a forwarder, received by an agent; 0: none */
	__u32 generation; /* of the image; 0 at an agent */
	__u32 in_length;  /* of the frame */
	__u32 out_length; /* 0 when nothing of it went on */
	__u16 in_snap;    /* bytes that are kept of it */
	__u16 out_snap;
	__u16 service; /* counter numbers; ANYHOP_NONE without one, and at an agent */
	__u16 backend;
	__u16 cpu;
	__u8 verdict;
	__u8 reserved[5];
};

#define ANYHOP_CAPTURE_STRUCTS(S, F) \
	S(capture_filter) F(capture_filter, terms) F(capture_filter, sample) F(capture_filter, snap_length) \
	F(capture_filter, client_port) F(capture_filter, service_port) F(capture_filter, vip_family) \
	F(capture_filter, client_family) F(capture_filter, protocol) F(capture_filter, backend) F(capture_filter, vip) \
	F(capture_filter, client) F(capture_filter, client_mask) F(capture_filter, verdicts) \
	S(capture) F(capture, armed) F(capture, session) F(capture, deadline_ns) F(capture, filter) F(capture, lost) F(capture, cpus) \
	S(capture_record) F(capture_record, bytes) F(capture_record, session) F(capture_record, id) F(capture_record, time_ns) \
	F(capture_record, slot) F(capture_record, hash) F(capture_record, key) F(capture_record, generation) \
	F(capture_record, in_length) F(capture_record, out_length) F(capture_record, in_snap) F(capture_record, out_snap) \
	F(capture_record, service) F(capture_record, backend) F(capture_record, cpu) F(capture_record, verdict)

#define ANYHOP_CAPTURE_CONSTANTS(C) \
	C(CAPTURE_SNAP_MIN) C(CAPTURE_SNAP_MAX) C(CAPTURE_NO_SLOT) C(CAPTURE_RING_BYTES) C(CAPTURE_VIP) C(CAPTURE_CLIENT) \
	C(CAPTURE_CLIENT_PORT) C(CAPTURE_SERVICE_PORT) C(CAPTURE_PROTOCOL) C(CAPTURE_BACKEND) C(CAPTURE_TEST_RUNS)

_Static_assert(sizeof(struct anyhop_capture_filter) == 104, "whole words");
_Static_assert(sizeof(struct anyhop_capture_cpu) == 64, "a cache line");
_Static_assert(__builtin_offsetof(struct anyhop_capture, lost) % 64 == 0 && __builtin_offsetof(struct anyhop_capture, cpus) % 64 == 0,
	       "what is written under load has its own lines");
_Static_assert(sizeof(struct anyhop_capture_record) == 64, "behind it, frames stand at multiples of 8");
_Static_assert((ANYHOP_CAPTURE_CPUS & (ANYHOP_CAPTURE_CPUS - 1)) == 0, "a mask makes the place");
_Static_assert(ANYHOP_CAPTURE_SNAP_MAX % 8 == 0 && ANYHOP_CAPTURE_SNAP_MAX < 1u << 16, "in_snap and out_snap hold it");

#endif
