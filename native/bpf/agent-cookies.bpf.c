// SPDX-License-Identifier: MIT OR GPL-2.0-only
/*
 * The agent's program with SYN cookies of the fleet (fleet-cookie.h): for kernels that can take them, beside the program at tc ingress
 * (cookies.bpf.c). On all others, and without a key, the program is as if there were no such cookies.
 */
#define ANYHOP_AGENT_WITH_COOKIES 1
#include "agent.bpf.c"
