/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * Which client a packet of a bench or of the generator comes from.
 *
 * Flows come in the order of a multiplicative permutation: all of them, none twice before the round is over, and far
 * apart from each other. A client has 4096 ports from 1024 on, and there are up to 256 clients. The two halves of a
 * client's last 32 bits move against each other, so that the sum of its address, and with it the IPv4 header's checksum,
 * is the same for all of them.
 */
#ifndef ANYHOP_DEV_FLOWS_H
#define ANYHOP_DEV_FLOWS_H

#include <linux/types.h>

#define ANYHOP_FLOWS_MAX (1u << 20)
#define ANYHOP_CLIENT_PORTS_BITS 12
#define ANYHOP_CLIENT_PORT_FIRST 1024u

/* The client of a flow when each has 2^bits ports. The first one's last 32 bits are N.0.128.255 (network order): the second octet
 * counts up, the last one down, then the first up and the third down, so that no checksum changes; 32,768 clients. */
static inline __u32 anyhop_client(__u32 first, __u32 flow, __u32 bits)
{
	__u32 client = flow >> bits, low = client & 255, high = client >> 8;

	return first + (low << 8) - (low << 24) + high - (high << 16);
}

/* Host order. */
static inline __u16 anyhop_client_port(__u32 flow, __u32 bits)
{
	return (__u16)(ANYHOP_CLIENT_PORT_FIRST + (flow & ((1u << bits) - 1)));
}

/* Odd, so multiplying permutes the residues of every power of two; its high bits also spread what is close together. */
static inline __u32 anyhop_scatter(__u32 number)
{
	return number * 0x9e3779b1u;
}

/* The finalizer of MurmurHash3: a permutation of 32 bits that looks random. */
static inline __u32 anyhop_mix(__u32 word)
{
	word = (word ^ word >> 16) * 0x85ebca6bu;
	word = (word ^ word >> 13) * 0xc2b2ae35u;
	return word ^ word >> 16;
}

#endif
