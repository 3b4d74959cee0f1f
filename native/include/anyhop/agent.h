/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * The contract between the agent's XDP program (native/bpf/agent.bpf.c) and the user space that fills its maps
 * (src/agent): what lies in the maps, and the verdicts that the program counts. TypeScript's copy is generated
 * (src/core/layout.gen.ts).
 *
 *   sources  LPM trie    anyhop_agent_source  -> 1                 who may send: forwarders and peers
 *   locals   hash        anyhop_agent_address -> 1                 underlay addresses of this backend
 *   vips     hash        anyhop_agent_address -> anyhop_agent_vip  the VIPs, each with its rows of `ports`
 *   ports    array       row -> anyhop_agent_ports                 one bit a port: is there a service?
 *   counters per-CPU     verdict -> __u64                          packets
 *
 * A bit a port instead of a trie of port prefixes: a range costs no more than a single port, nothing has to be
 * split, and a lookup is one load. It takes 8 KiB for each VIP and protocol.
 */
#ifndef ANYHOP_AGENT_H
#define ANYHOP_AGENT_H

#include <linux/types.h>

/* Bits of an LPM key before the address: the family. */
#define ANYHOP_AGENT_FAMILY_BITS 32u

/* Addresses are in network order from the first byte on; IPv4 leaves the last 12 bytes zero. */
struct anyhop_agent_source {
	__u32 bits; /* ANYHOP_AGENT_FAMILY_BITS + the prefix length */
	__u32 family; /* 4 or 6 */
	__u8 address[16];
};

struct anyhop_agent_address {
	__u32 family;
	__u8 address[16];
};

/* Rows of `ports`; row 0 is empty and stands for a protocol without a service. */
struct anyhop_agent_vip {
	__u32 tcp_row;
	__u32 udp_row;
};

/* Port p is bit p % 32 of word p / 32. */
struct anyhop_agent_ports {
	__u32 words[2048];
};

#define ANYHOP_AGENT_STRUCTS(S, F) \
	S(agent_source) F(agent_source, bits) F(agent_source, family) F(agent_source, address) \
	S(agent_address) F(agent_address, family) F(agent_address, address) \
	S(agent_vip) F(agent_vip, tcp_row) F(agent_vip, udp_row) \
	S(agent_ports) F(agent_ports, words)

#define ANYHOP_AGENT_CONSTANTS(C) C(AGENT_FAMILY_BITS)

/* What is done with the packet. */
enum anyhop_agent_action {
	ANYHOP_AGENT_DELIVER, /* unwrapped and passed to the host */
	ANYHOP_AGENT_PASS,    /* untouched: the host's own business */
	ANYHOP_AGENT_DROP,
};

/* V(NAME, ACTION, "what it means; whether it is normal or points at a fault"). A "stranger" is a sender that is
 * neither a configured forwarder nor a peer. */
#define ANYHOP_AGENT_VERDICTS(V) \
	V(DELIVERED, DELIVER, "unwrapped and passed to the host") \
	V(DELIVERED_FRAGMENT, DELIVER, "the same for a later fragment, matched by VIP and protocol") \
	V(DELIVERED_ICMP_ERROR, DELIVER, "the same for an ICMP error about a flow of a service") \
	V(PASS_NOT_GRE, PASS, "not GRE: the host's own traffic") \
	V(PASS_OTHER_TUNNEL, PASS, "GRE of a stranger that is for no VIP: a tunnel of the host's own") \
	V(PASS_OTHER_DESTINATION, PASS, "GRE of the fleet for an address that is not this backend's") \
	V(DROP_STRANGER, DROP, "GRE of a stranger for a VIP, or too short to tell: a missing forwarder in the config, or an attack") \
	V(DROP_OUTER_CHECKSUM, DROP, "the outer IPv4 header's checksum is wrong") \
	V(DROP_OUTER_LENGTH, DROP, "the outer header's lengths do not fit the frame") \
	V(DROP_OUTER_FRAGMENT, DROP, "a fragment of a GRE packet: the MTU towards the backend is too small") \
	V(DROP_OUTER_OPTIONS, DROP, "GRE behind IPv4 options or IPv6 extension headers, or behind more of these than are read") \
	V(DROP_GRE_HEADER, DROP, "GRE with a checksum, sequence number, routing, another version, or neither IPv4 nor IPv6 inside") \
	V(DROP_INNER_LENGTH, DROP, "the inner packet's version or lengths do not fit what was received") \
	V(DROP_INNER_EXTENSION_HEADER, DROP, "inner IPv6 extension headers that are cut short or too many") \
	V(DROP_NOT_VIP, DROP, "the inner packet is for no VIP: forwarder and agent have different configs") \
	V(DROP_PROTOCOL, DROP, "for a VIP, neither TCP, UDP nor ICMP") \
	V(DROP_TRUNCATED, DROP, "the inner TCP, UDP or ICMP header is cut short") \
	V(DROP_NO_SERVICE, DROP, "for a VIP, but for none of its services: forwarder and agent have different configs") \
	V(DROP_ICMP_FRAGMENT, DROP, "a fragmented ICMP message") \
	V(DROP_ICMP_TYPE, DROP, "ICMP for a VIP that is not an error; forwarders answer echo requests themselves") \
	V(DROP_ICMP_UNMATCHED, DROP, "an ICMP error whose embedded flow belongs to no service of the VIP") \
	V(DROP_ECN, DROP, "congestion was marked on the way for a flow that cannot be told (RFC 6040)") \
	V(DROP_ADJUST, DROP, "the kernel refused to move the head of the frame: a fault of the program")

enum anyhop_agent_verdict {
#define V(name, action, text) ANYHOP_AGENT_V_##name,
	ANYHOP_AGENT_VERDICTS(V)
#undef V
	ANYHOP_AGENT_VERDICT_COUNT
};

#endif
