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
 *   here     array       number of a VIP -> __u32                  does this host have it?
 *   ids      array       0 -> anyhop_agent_ids                     second chance: the backends that a key may name
 *   keys     hash        GRE key of the former format -> place     second chance: the same, by addresses
 *   peers    array       row -> anyhop_agent_peer                  second chance: the paths to them
 *   budget   per-CPU     anyhop_agent_budget_of -> anyhop_agent_budget  second chance: what this CPU may still send on
 *   handshakes LRU hash  bpf_sock_tuple -> anyhop_agent_handshake  flows that brought a SYN cookie, and when
 *   clock    array       0 -> anyhop_agent_clock                   SYN cookies of the fleet: its clock
 *   cookies  per-CPU     anyhop_agent_cookie -> __u64              SYN cookies of the fleet: what became of them (cookies.bpf.c)
 *   counters per-CPU     verdict -> __u64                          packets
 *
 * A bit a port instead of a trie of port prefixes: a range costs no more than a single port, nothing has to be
 * split, and a lookup is one load. It takes 8 KiB for each VIP and protocol.
 */
#ifndef ANYHOP_AGENT_H
#define ANYHOP_AGENT_H

#include <linux/types.h>

#include "image.h"

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

/* Rows of `ports`; row 0 is empty and stands for a protocol without a service. What changes while the program runs has an array of
 * its own (`here`): an element of a hash that is replaced is given out again under its readers' eyes. */
struct anyhop_agent_vip {
	__u32 tcp_row;
	__u32 udp_row;
	__u32 number; /* of the VIP: its element of `here` */
};

/* Port p is bit p % 32 of word p / 32. */
struct anyhop_agent_ports {
	__u32 words[2048];
};

/* GRE with second chance: the key (RFC 2890) is index (2 bits) | id 1 (15) | id 2 (15), and GRE's bit 12 says so. An id names a
 * backend, 0 none. The forwarder writes index 0; an agent that sends the packet on raises it to the place of the id that it
 * sends to. Without the bit the key is of the former format: the raw word of an IPv4 address, or the last 4 bytes of an IPv6 one. */
#define ANYHOP_AGENT_IDS 32768u

/* Where the backend of an id, or of a former key, is found; from ANYHOP_AGENT_PLACE_ROWS on its row of `peers`, plus that. */
enum anyhop_agent_place {
	ANYHOP_AGENT_PLACE_NONE, /* no backend has it */
	ANYHOP_AGENT_PLACE_HERE, /* it is this host */
	ANYHOP_AGENT_PLACE_ROWS,
};

struct anyhop_agent_ids {
	__u32 places[ANYHOP_AGENT_IDS];
};

/* Of the path, mtu, l2_length, checksum and the flags count. An mtu of 0: the backend has no next hop on this interface. */
struct anyhop_agent_path {
	struct anyhop_path path;
	__u8 template[ANYHOP_TEMPLATE_SIZE];
};

/* A backend that keys name. Rows are given out before the program runs and stay the same backend's. User space writes the path that
 * is not in force, then in_force, so a packet reads a whole one; if two changes happen while one packet is judged, it gets bytes of
 * two paths to the same backend. */
struct anyhop_agent_peer {
	struct anyhop_agent_path paths[2];
	__u32 in_force; /* 0 or 1 */
};

/* How much second chance may send on, for each CPU and kind of sender: a packet costs cost_ns of time that has passed, and burst_ns
 * of it can be saved up. Constants of the program (section .rodata.rate). */
struct anyhop_agent_rate {
	__u64 cost_ns;
	__u64 burst_ns;
};

/* Packets that another agent has sent on have a budget of their own: junk that spends one host's budget cannot spend the next
 * host's budget for what forwarders send there. */
enum anyhop_agent_budget_of { ANYHOP_AGENT_BUDGET_FORWARDED, ANYHOP_AGENT_BUDGET_RELAYED, ANYHOP_AGENT_BUDGETS };

struct anyhop_agent_budget {
	__u64 saved_ns;
	__u64 counted_ns; /* until when, by the kernel's coarse monotonic clock */
};

/* For how long a flow is known by the SYN cookie that it brought: many times what the kernel takes to make a socket of it. */
#define ANYHOP_AGENT_HANDSHAKE_NS 1000000000ull
/* How many flows are, in 2 MB: far more than one burst of packets brings. The oldest goes first. */
#define ANYHOP_AGENT_HANDSHAKES_MAX 16384u

/* A flow that brought a SYN cookie. */
struct anyhop_agent_handshake {
	__u64 at_ns; /* by the kernel's coarse monotonic clock */
	__u32 acknowledgment; /* raw, of the packet that brought it: all that follows in its burst has the same */
	__u32 reserved;
};

/* For how long all that follows a handshake is taken for its own burst, which XDP and tc see whole before TCP sees the first of it. */
#define ANYHOP_AGENT_BURST_NS 20000000ull

/* The keys of the fleet's SYN cookies (anyhop/cookie.h), the one in force and the former one. Constants of the program (section
 * .rodata.keys). */
struct anyhop_agent_cookie_keys {
	__u64 words[2][2];
	__u32 count;
	__u32 reserved;
};

/* What the monotonic clock lacks to the fleet's, in ns. User space writes it each second: clocks are set. */
struct anyhop_agent_clock {
	__u64 offset_ns;
};

/* What XDP leaves before the frame for the program at tc ingress, which reads nothing else. */
struct anyhop_agent_mark {
	__u32 magic;
	__u32 kind; /* enum anyhop_agent_mark_kind */
};
#define ANYHOP_AGENT_MARK_MAGIC 0x61686331u

enum anyhop_agent_mark_kind {
	ANYHOP_AGENT_MARK_NONE,
	ANYHOP_AGENT_MARK_COOKIE,  /* its acknowledgment is a cookie of the fleet */
	ANYHOP_AGENT_MARK_FOLLOWS, /* of a handshake that TCP may not have heard of yet */
	ANYHOP_AGENT_MARK_TRIAL,   /* a SYN that came through; never left on a packet, it only shows whether the driver keeps marks */
};

#define ANYHOP_AGENT_STRUCTS(S, F) \
	S(agent_source) F(agent_source, bits) F(agent_source, family) F(agent_source, address) \
	S(agent_address) F(agent_address, family) F(agent_address, address) \
	S(agent_vip) F(agent_vip, tcp_row) F(agent_vip, udp_row) F(agent_vip, number) \
	S(agent_ports) F(agent_ports, words) \
	S(agent_ids) F(agent_ids, places) \
	S(agent_path) F(agent_path, path) F(agent_path, template) \
	S(agent_peer) F(agent_peer, paths) F(agent_peer, in_force) \
	S(agent_rate) F(agent_rate, cost_ns) F(agent_rate, burst_ns) \
	S(agent_cookie_keys) F(agent_cookie_keys, words) F(agent_cookie_keys, count) \
	S(agent_clock) F(agent_clock, offset_ns)

#define ANYHOP_AGENT_CONSTANTS(C) \
	C(AGENT_FAMILY_BITS) C(AGENT_IDS) C(AGENT_PLACE_HERE) C(AGENT_PLACE_ROWS)

/* What is done with the packet. */
enum anyhop_agent_action {
	ANYHOP_AGENT_DELIVER, /* unwrapped and passed to the host */
	ANYHOP_AGENT_PASS,    /* untouched: the host's own business */
	ANYHOP_AGENT_SEND,    /* given an outer header for another backend, and sent back out */
	ANYHOP_AGENT_DROP,
};

/* V(NAME, ACTION, "what it means; whether it is normal or points at a fault"). A "stranger" is a sender that is
 * neither a configured forwarder nor a peer. The "alternate" is the next backend that a packet's key names.
 *
 * What second chance cannot send on is dropped and not delivered: what keeps it back passes (a config on its way to all, a
 * neighbour that is being asked, a burst), and TCP sends again. Delivered, it would meet this host's RST, which ends a
 * connection that the alternate may well hold. */
#define ANYHOP_AGENT_VERDICTS(V) \
	V(DELIVERED, DELIVER, "unwrapped and passed to the host") \
	V(DELIVERED_FRAGMENT, DELIVER, "the same for a later fragment, matched by VIP and protocol") \
	V(DELIVERED_ICMP_ERROR, DELIVER, "the same for an ICMP error about a flow of a service") \
	V(DELIVERED_COOKIE, DELIVER, "the same for the end of a handshake that a forwarder answered with a SYN cookie: the kernel makes a connection of it (what became of it: anyhop_agent_cookies_total)") \
	V(SENT_ON, SEND, "second chance: no socket here, so it was sent to the alternate; normal while connections outlive a change") \
	V(PASS_NOT_GRE, PASS, "not GRE: the host's own traffic") \
	V(PASS_OTHER_TUNNEL, PASS, "GRE of a stranger that is for no VIP: a tunnel of the host's own") \
	V(PASS_OTHER_DESTINATION, PASS, "GRE of the fleet for an address that is not this backend's") \
	V(DROP_STRANGER, DROP, "GRE of a stranger for a VIP, or too short to tell: a missing forwarder in the config, or an attack") \
	V(DROP_OUTER_CHECKSUM, DROP, "the outer IPv4 header's checksum is wrong") \
	V(DROP_OUTER_LENGTH, DROP, "the outer header's lengths do not fit the frame") \
	V(DROP_OUTER_FRAGMENT, DROP, "a fragment of a GRE packet: the MTU towards the backend is too small") \
	V(DROP_OUTER_OPTIONS, DROP, "GRE of the fleet behind IPv4 options or IPv6 extension headers; from anybody, more of these than are read or than a first fragment has, or more than eight VLAN tags, which could hide GRE") \
	V(DROP_GRE_HEADER, DROP, "GRE with a checksum, sequence number, routing, another version, or neither IPv4 nor IPv6 inside") \
	V(DROP_INNER_LENGTH, DROP, "the inner packet's version or lengths do not fit what was received") \
	V(DROP_INNER_EXTENSION_HEADER, DROP, "inner IPv6 extension headers that are cut short or too many") \
	V(DROP_NOT_VIP, DROP, "the inner packet is for no VIP: forwarder and agent have different configs") \
	V(DROP_PROTOCOL, DROP, "for a VIP, neither TCP, UDP nor ICMP") \
	V(DROP_TRUNCATED, DROP, "the inner TCP, UDP or ICMP header is cut short") \
	V(DROP_NO_SERVICE, DROP, "for a VIP, but for none of its services: forwarder and agent have different configs") \
	V(DROP_VIP_NOT_LOCAL, DROP, "for a service whose VIP this host does not have, so that the kernel would route the packet on: add the VIP (ip addr add VIP dev lo), or, where it is meant to go elsewhere (DNAT, a container), set agent.vip_elsewhere: true") \
	V(DROP_ICMP_FRAGMENT, DROP, "a fragmented ICMP message") \
	V(DROP_ICMP_TYPE, DROP, "ICMP for a VIP that is not an error; forwarders answer echo requests themselves") \
	V(DROP_ICMP_UNMATCHED, DROP, "an ICMP error whose embedded flow belongs to no service of the VIP") \
	V(DROP_ECN, DROP, "congestion was marked on the way for a flow that cannot be told (RFC 6040)") \
	V(DROP_KEY, DROP, "the GRE key is malformed: its index is 3, or it has no id at its index") \
	V(DROP_ID_STALE, DROP, "another agent sent this on to a backend whose id is not this host's: the agents have different configs") \
	V(DROP_PEER_UNKNOWN, DROP, "no socket here, and the next id of the key is no backend's of a pool with second chance: forwarder and agent have different configs") \
	V(DROP_PEER_NO_NEXT_HOP, DROP, "no socket here, and the alternate cannot be reached on this interface; the agent's log says why") \
	V(DROP_PEER_TOO_BIG, DROP, "no socket here, and the MTU towards the alternate is too small") \
	V(DROP_PEER_RATE, DROP, "no socket here, and more to send on than the limit for each CPU: a flood of packets of no connection, or a very large change; what other agents sent has a limit of its own") \
	V(DROP_ADJUST, DROP, "the kernel refused to move the head of the frame: a fault of the program; or to mark the end of a handshake: refused_driver of anyhop_agent_cookies_total says so")

/* V(NAME, "what it means"): what became of packets that carry a SYN cookie of the fleet, or follow one. */
#define ANYHOP_AGENT_COOKIES(V) \
	V(ACCEPTED, "given to the kernel, which makes a connection of it if the accept queue has room") \
	V(ENDED_FORMER, "a former socket of the same client and port (TIME-WAIT, half-open, a request) was ended for it") \
	V(FOLLOWED, "came right behind a handshake, and was given to its socket") \
	V(REFUSED_QUEUE_FULL, "came right behind a handshake that made no socket, and was dropped: the accept queue is full") \
	V(REFUSED_NO_LISTENER, "the service's socket was gone: a reset by the host") \
	V(REFUSED_KERNEL, "the kernel took no cookie for this socket or under these settings: a reset by the host") \
	V(REFUSED_DRIVER, "the driver keeps no mark with a packet (XDP metadata), so it was dropped; SYNs that come through are tried too, and delivered") \
	V(REFUSED_FAULT, "dropped, since the packet could not be read or copied: a fault of the program, or of memory")

enum anyhop_agent_cookie {
#define V(name, text) ANYHOP_AGENT_C_##name,
	ANYHOP_AGENT_COOKIES(V)
#undef V
	ANYHOP_AGENT_COOKIE_COUNT
};

enum anyhop_agent_verdict {
#define V(name, action, text) ANYHOP_AGENT_V_##name,
	ANYHOP_AGENT_VERDICTS(V)
#undef V
	ANYHOP_AGENT_VERDICT_COUNT
};

#endif
