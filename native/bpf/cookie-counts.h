/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What became of packets with cookies (anyhop/agent.h): one map that the agent's XDP program and the one at tc ingress share.
 */
#ifndef ANYHOP_COOKIE_COUNTS_H
#define ANYHOP_COOKIE_COUNTS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "anyhop/agent.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ANYHOP_AGENT_COOKIE_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} cookies SEC(".maps");

#endif
