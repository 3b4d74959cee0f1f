/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * How often the node answers: a budget for each kind of answer, shared so that clients that send little are served first.
 * The reference is src/forward/budget.ts.
 *
 * A sketch of ROWS x WIDTH cells knows how much each client has sent lately. A client has one cell in each row, by a keyed
 * hash of its address (of its /64 in IPv6); it has sent at most what the least of them says. Two rules follow:
 *
 *   a client        gets at most so many answers a tick, whoever it is: what is sent to a spoofed address stays harmless
 *   all together    get BUDGET_ANSWERS a tick. Who has sent no more than BUDGET_RARE packets lately may use all of them, who has
 *                   sent n times as many the n-th part: the more somebody sends, the more of the budget is left to others
 *
 *   cell     | epoch 12 | packets 10 | tick in the epoch 5 | answers in that tick 5 |
 *
 * Packets halve with every epoch that passes. A cell whose epoch lies ahead, or far behind, counts as unused: whatever the
 * clock does, jumps included, nobody stays silent for longer than a tick.
 *
 * Limits: some 100,000 clients within two epochs fill the cells, and then all look alike: answers go to whoever comes first in
 * a tick. CPUs share a budget without atomic operations; what they count at the same moment may be lost, which gives
 * some answers more.
 */
#ifndef ANYHOP_BUDGET_H
#define ANYHOP_BUDGET_H

#include <linux/types.h>

#include "bytes.h"

#define ANYHOP_BUDGET_TICK_MS 100u
#define ANYHOP_BUDGET_ROWS 4u
#define ANYHOP_BUDGET_WIDTH 65536u    /* cells of a row, as many as 16 bits of the hash tell apart */
#define ANYHOP_BUDGET_EPOCH_TICKS 32u
#define ANYHOP_BUDGET_PACKETS_MAX 1023u /* what a cell counts to */
#define ANYHOP_BUDGET_ANSWERS 4096u   /* a tick, of one kind */
#define ANYHOP_BUDGET_RARE 8u
/* To one client a tick; 31 at most. Path MTU discovery needs one answer, a ping of ten a second is a common one. */
#define ANYHOP_BUDGET_TOO_BIG 1u
#define ANYHOP_BUDGET_ECHO 10u

struct anyhop_budget {
	__u32 tick; /* in which `spent` answers were given */
	__u32 spent;
	__u32 cells[ANYHOP_BUDGET_ROWS * ANYHOP_BUDGET_WIDTH];
};

/* A node's budgets; all zero at first. */
struct anyhop_limiter {
	struct anyhop_budget too_big;
	struct anyhop_budget echo;
};

/* The place of a client's cell in a row. */
anyhop_inline __u32 anyhop_budget_place(__u32 hash, __u32 row)
{
	return row * ANYHOP_BUDGET_WIDTH + ((hash + row * (hash >> 16 | 1)) & (ANYHOP_BUDGET_WIDTH - 1));
}

anyhop_inline __u32 anyhop_budget_packets(__u32 cell, __u32 tick)
{
	__u32 age = (tick / ANYHOP_BUDGET_EPOCH_TICKS - (cell >> 20)) & 0xfff;

	return age > 9 ? 0 : (cell >> 10 & ANYHOP_BUDGET_PACKETS_MAX) >> age;
}

anyhop_inline __u32 anyhop_budget_answers(__u32 cell, __u32 tick)
{
	return cell >> 20 == (tick / ANYHOP_BUDGET_EPOCH_TICKS & 0xfff) && (cell >> 5 & 31) == (tick & 31) ? cell & 31 : 0;
}

/* Four rows at once would take more of BPF's stack than there is. */
#ifdef __bpf__
#define ANYHOP_BUDGET_LOOP _Pragma("clang loop unroll(disable)")
#else
#define ANYHOP_BUDGET_LOOP
#endif

/* Takes note of a packet that asks for an answer, and says whether it gets one.
 *
 * hash        keyed, of the client's address
 * tick        coarse time in units of ANYHOP_BUDGET_TICK_MS, which may jump
 * for_client  answers that one client may get in a tick, 1 to 31 */
anyhop_inline int anyhop_budget_admits(struct anyhop_budget *budget, __u32 hash, __u32 tick, __u32 for_client)
{
	__u32 now = (tick / ANYHOP_BUDGET_EPOCH_TICKS & 0xfff) << 20 | (tick & 31) << 5;
	__u32 packets = ANYHOP_BUDGET_PACKETS_MAX - 1, answers = 31, spent = budget->tick == tick ? budget->spent : 0;
	int admits;

	ANYHOP_BUDGET_LOOP
	for (__u32 row = 0; row < ANYHOP_BUDGET_ROWS; row++) {
		__u32 cell = budget->cells[anyhop_budget_place(hash, row)];
		__u32 sent = anyhop_budget_packets(cell, tick), got = anyhop_budget_answers(cell, tick);

		packets = sent < packets ? sent : packets;
		answers = got < answers ? got : answers;
	}
	packets++;
	admits = answers < for_client &&
		 spent * (packets < ANYHOP_BUDGET_RARE ? ANYHOP_BUDGET_RARE : packets) <
			 ANYHOP_BUDGET_ANSWERS * ANYHOP_BUDGET_RARE;
	answers += admits;
	/* Raised to the client's own, and no further: what others put into a cell does not add up in it. */
	ANYHOP_BUDGET_LOOP
	for (__u32 row = 0; row < ANYHOP_BUDGET_ROWS; row++) {
		__u32 *cell = &budget->cells[anyhop_budget_place(hash, row)];
		__u32 sent = anyhop_budget_packets(*cell, tick), got = anyhop_budget_answers(*cell, tick);

		*cell = now | (sent < packets ? packets : sent) << 10 | (got < answers ? answers : got);
	}
	if (admits) {
		budget->tick = tick;
		budget->spent = spent + 1;
	}
	return admits;
}

#define ANYHOP_BUDGET_STRUCTS(S, F) \
	S(budget) F(budget, tick) F(budget, spent) F(budget, cells) \
	S(limiter) F(limiter, too_big) F(limiter, echo)

#define ANYHOP_BUDGET_CONSTANTS(C) \
	C(BUDGET_TICK_MS) C(BUDGET_ROWS) C(BUDGET_WIDTH) C(BUDGET_EPOCH_TICKS) C(BUDGET_PACKETS_MAX) C(BUDGET_ANSWERS) \
	C(BUDGET_RARE) C(BUDGET_TOO_BIG) C(BUDGET_ECHO)

_Static_assert(ANYHOP_BUDGET_EPOCH_TICKS == 32 && ANYHOP_BUDGET_PACKETS_MAX == 1023, "what a cell has bits for");

#endif
