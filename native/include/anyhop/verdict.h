/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * The verdicts: the one named outcome that every packet ends in.
 *
 * A verdict's name is the counter's name and the metric's label, in C and in TypeScript, whose copy
 * (src/core/layout.gen.ts) is generated from this list. Add a verdict at the end of its group; the order is
 * not part of any file format, and a program whose two halves disagree about it refuses to start.
 *
 * V(NAME, ACTION, "what it means; whether it is normal or points at a fault")
 */
#ifndef ANYHOP_VERDICT_H
#define ANYHOP_VERDICT_H

enum anyhop_action {
	ANYHOP_FORWARD, /* a GRE packet for a backend lies in the buffer */
	ANYHOP_ANSWER,  /* a reply to the sender lies in the buffer */
	ANYHOP_PASS,    /* untouched: the host's own business */
	ANYHOP_DROP,
};

#define ANYHOP_VERDICTS(V) \
	V(FORWARDED, FORWARD, "wrapped in GRE and sent to the slot's owner") \
	V(FORWARDED_FRAGMENT, FORWARD, "the same for a fragment, matched by VIP and protocol") \
	V(FORWARDED_ICMP_ERROR, FORWARD, "an ICMP error that followed the flow it embeds") \
	V(ECHO_ANSWERED, ANSWER, "an echo request to a VIP, answered by the node") \
	V(TOO_BIG_ANSWERED, ANSWER, "too big once wrapped: the sender was told the MTU that fits") \
	V(SYN_COOKIE_ANSWERED, ANSWER, "a SYN, answered by the node with a SYN cookie, since so many come: normal under a flood") \
	V(PASS_NOT_IP, PASS, "neither IPv4 nor IPv6 (ARP, LLDP, a tag of type 0x9100, which Linux does not read either, cut short)") \
	V(PASS_NOT_VIP, PASS, "for no VIP of this node") \
	V(PASS_OTHER_HOST, PASS, "the frame is for another machine's MAC address (flooded by a switch)") \
	V(PASS_NEIGHBOUR, PASS, "neighbour discovery of the link, for a VIP that may be an address of this host (ICMPv6 types 133 to 137, hop limit 255)") \
	V(DROP_BAD_LENGTH, DROP, "the IP header's lengths do not fit the frame") \
	V(DROP_BAD_SOURCE, DROP, "the source cannot be a client: zero, loopback, multicast, broadcast, link-local (IPv4 ICMP errors aside), the VIP itself or, TCP aside, another VIP") \
	V(DROP_CHECKSUM, DROP, "the IPv4 header checksum is wrong (looked at before the node answers)") \
	V(DROP_TTL_EXPIRED, DROP, "TTL or hop limit was 1 or 0 on arrival") \
	V(DROP_NO_SERVICE, DROP, "for a VIP, but for none of its services") \
	V(DROP_PROTOCOL, DROP, "for a VIP, neither TCP, UDP nor ICMP") \
	V(DROP_EXTENSION_HEADER, DROP, "IPv6 extension headers that are cut short, too many, or not for this hop to look behind") \
	V(DROP_TRUNCATED, DROP, "the TCP, UDP or ICMP header is cut short") \
	V(DROP_FRAGMENT_TCP, DROP, "a TCP fragment for a service whose hash needs the ports") \
	V(DROP_FRAGMENT_AMBIGUOUS, DROP, "a fragment, and more than one pool could answer for it") \
	V(DROP_FRAGMENT_ICMP, DROP, "a fragmented ICMP message") \
	V(DROP_ICMP_TYPE, DROP, "ICMP for a VIP that is neither an echo request nor an error") \
	V(DROP_ICMP_UNMATCHED, DROP, "an ICMP error whose embedded flow belongs to no service of the VIP") \
	V(DROP_NO_BACKEND, DROP, "no backend can take it: all of the pool are unusable, or no next hop to the slot's owner is known") \
	V(DROP_TOO_BIG, DROP, "too big once wrapped, and no answer is allowed: DF is off, it is itself an ICMP error, or IPv6 of 1280 bytes or less") \
	V(DROP_TOO_BIG_LIMITED, DROP, "too big once wrapped; the rate limit on answers kept the node silent") \
	V(DROP_ECHO_LIMITED, DROP, "an echo request to a VIP; the rate limit on answers kept the node silent") \
	V(DROP_HEADROOM, DROP, "the kernel refused to move the frame's ends: a driver without headroom for XDP") \
	V(DROP_GROUP_MAC, DROP, "for a VIP, in a frame for a broadcast or multicast MAC address") \
	V(DROP_VLAN_TAGS, DROP, "for a VIP, behind more than two VLAN tags; or more than eight tags, whatever is behind them") \
	V(DROP_BLOCKED, DROP, "for a service, from an address that is blocked (defend.block, or blocked by hand)") \
	V(DROP_SOURCE_RATE, DROP, "for a service, more than its source may send (defend.source_rate)") \
	V(DROP_SERVICE_RATE, DROP, "a SYN, more than may pass to the service's backends (defend.service_rate)") \
	V(DROP_SYN_LIMITED, DROP, "a SYN under a flood that no cookie could answer, more than may pass without: its backend cannot take cookies, its options allow none, or the limit on answers is reached")

enum anyhop_verdict {
#define V(name, action, text) ANYHOP_V_##name,
	ANYHOP_VERDICTS(V)
#undef V
	ANYHOP_VERDICT_COUNT
};

#endif
