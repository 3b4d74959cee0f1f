/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * What bench-agent.bpf.c's wrapper writes into each packet. bench/agent/harness.ts fills it in, through the program's
 * memory: `struct anyhop_agent_plan plan` is the whole of .bss.
 */
#ifndef ANYHOP_BENCH_AGENT_H
#define ANYHOP_BENCH_AGENT_H

#include <linux/types.h>

#define ANYHOP_AGENT_FLOWS 1024u      /* a power of two */
#define ANYHOP_AGENT_HEAD 64u         /* Ethernet, and IPv6 and GRE with a key at most */
#define ANYHOP_AGENT_OFFSET_MAX 128u  /* a power of two; where a flow is written is below it */

/* In network order. */
struct anyhop_agent_flow {
	__u32 client; /* the last four bytes of its address */
	__u16 port;
	__u16 reserved;
};

struct anyhop_agent_plan {
	__u32 next;      /* number of the next packet */
	__u32 flow_mask; /* flows less 1; flows are a power of two up to ANYHOP_AGENT_FLOWS */
	__u32 length;    /* of the frame as it came in */
	__u32 outer;     /* of that the outer headers, which the floor takes off */
	__u32 client_at; /* offsets in the frame */
	__u32 port_at;
	__u64 head[ANYHOP_AGENT_HEAD / 8];
	struct anyhop_agent_flow flows[ANYHOP_AGENT_FLOWS];
};

_Static_assert(sizeof(struct anyhop_agent_flow) == 8, "read by bench/agent/harness.ts");
_Static_assert(sizeof(struct anyhop_agent_plan) == 24 + ANYHOP_AGENT_HEAD + 8 * ANYHOP_AGENT_FLOWS,
	       "read by bench/agent/harness.ts");

#endif
