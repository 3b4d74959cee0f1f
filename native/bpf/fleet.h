/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Who the fleet is, and what it sends here: the tables that user space fills before the program runs, and what is asked of
 * them. An address stands in a key as it lies in the packet.
 */
#ifndef ANYHOP_FLEET_H
#define ANYHOP_FLEET_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "anyhop/agent.h"
#include "anyhop/bytes.h"
#include "anyhop/parse.h"

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct anyhop_agent_source);
	__type(value, __u32);
} sources SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct anyhop_agent_address);
	__type(value, __u32);
} locals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct anyhop_agent_address);
	__type(value, struct anyhop_agent_vip);
} vips SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct anyhop_agent_ports);
} ports SEC(".maps");

/* By a VIP's number; user space follows the kernel's routes. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} here SEC(".maps");

static __always_inline void copy_address(__u8 *to, const __u8 *address, __u32 family)
{
	__u32 *words = (__u32 *)to;

	words[0] = anyhop_get32(address);
	words[1] = family == 6 ? anyhop_get32(address + 4) : 0;
	words[2] = family == 6 ? anyhop_get32(address + 8) : 0;
	words[3] = family == 6 ? anyhop_get32(address + 12) : 0;
}

static __always_inline int is_fleet(const struct anyhop_ip *ip)
{
	struct anyhop_agent_source key = {.family = ip->family};

	key.bits = ANYHOP_AGENT_FAMILY_BITS + (ip->family == 6 ? 128 : 32);
	copy_address(key.address, ip->source, ip->family);
	return bpf_map_lookup_elem(&sources, &key) != NULL;
}

static __always_inline int is_local(const struct anyhop_ip *ip)
{
	struct anyhop_agent_address key = {.family = ip->family};

	copy_address(key.address, ip->destination, ip->family);
	return bpf_map_lookup_elem(&locals, &key) != NULL;
}

static __always_inline struct anyhop_agent_vip *find_vip(const __u8 *address, __u32 family)
{
	struct anyhop_agent_address key = {.family = family};

	copy_address(key.address, address, family);
	return bpf_map_lookup_elem(&vips, &key);
}

/* Whether packets for the VIP end on this host, or are let through all the same. */
static __always_inline int has_vip(const struct anyhop_agent_vip *vip)
{
	const __u32 *has = bpf_map_lookup_elem(&here, &vip->number);

	return has && *(const volatile __u32 *)has;
}

/* The row of `ports` for TCP or UDP; 0 when the VIP has no such service. */
static __always_inline __u32 row_of(const struct anyhop_agent_vip *vip, __u32 protocol)
{
	return protocol == ANYHOP_IP_TCP ? vip->tcp_row : vip->udp_row;
}

static __always_inline int is_service(__u32 row, __u32 port)
{
	const struct anyhop_agent_ports *bits = bpf_map_lookup_elem(&ports, &row);

	return bits && bits->words[(port & 0xffff) / 32] >> port % 32 & 1;
}

#endif
