/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * The lane: the shortest way through the pipeline, for most packets. All that it needs of a service is in one cache line (two
 * for IPv6), found by one multiplication of VIP, protocol and port; all that it needs of a backend is in another.
 *
 *   frame -> lane (key, hash key, offsets) -> owner, GRE key of the slot -> lane path (outer header) -> frame
 *
 * A packet is the lane's when it is whole TCP or UDP with one VLAN tag at most, without IP options or extension headers, its service has
 * one port or the widest range of its VIP and protocol, and it is forwarded. Every other packet, even one that is dropped, starts over in
 * anyhop_decide, which knows all the rules and reads nothing of this. So each test here asks only whether the packet is the lane's, and a
 * service that has no lane is forwarded all the same, to the same bytes. Differential tests hold one to the other.
 */
#ifndef ANYHOP_LANE_H
#define ANYHOP_LANE_H

#include "encapsulate.h"
#include "flow_hash.h"
#include "match.h"
#include "xdp.h"

/* What the first eight bytes of an IPv4 header say in such a packet: version and length of the header, no more fragments, offset 0. */
#define ANYHOP_LANE_IPV4_MASK 0xff3f0000000000ffull
#define ANYHOP_LANE_IPV4 0x45ull

/* Bytes that must be there from the IP header on: what the lane reads at places that the compiler knows. */
#define ANYHOP_LANE_READ4 28u
#define ANYHOP_LANE_READ6 48u

/* Instead of a packet of the lane: one for the host, whose traffic is spared the long way. */
#define ANYHOP_LANE_NOT_VIP 1

/* Where a packet of the lane goes, and what it takes along. */
struct anyhop_lane_choice {
	const struct anyhop_lane *lane;
	const struct anyhop_lane_path *path;
	__u64 hash; /* of 32 bits */
	__u32 slot;
	__u32 length; /* of the IP packet */
	__u32 tos;    /* TOS or traffic class */
	__u32 key;    /* of the GRE header; 0: none */
};

/* Slot, owner, path and key; 0, or -1 for a packet that is not the lane's. */
anyhop_inline int anyhop_lane_choose(const struct anyhop_view *view, struct anyhop_lane_choice *choice)
{
	const struct anyhop_lane *lane = choice->lane;
	__u64 slot = choice->hash * lane->slots >> 32, owner;
	const __u8 *entry = anyhop_at(view, lane->owners_offset + 2 * slot);

	choice->slot = (__u32)slot;
	if (!entry)
		return -1;
	owner = anyhop_get16(entry);
	if (anyhop_unlikely(owner == ANYHOP_NONE))
		return -1;
	choice->path = anyhop_at(view, lane->paths_offset + owner * sizeof(struct anyhop_lane_path));
	if (!choice->path)
		return -1;
	choice->key = 0;
	if (lane->keys_offset) {
		entry = anyhop_at(view, lane->keys_offset + 4 * slot);
		if (!entry)
			return -1;
		choice->key = anyhop_get32(entry);
	}
	return choice->length + (choice->key ? 4 : 0) > choice->path->most ? -1 : 0;
}

/* Whether a packet's length is one that its headers and the frame allow. */
anyhop_inline int anyhop_lane_fits(const struct anyhop_lane *lane, __u32 length, const __u8 *l3, const __u8 *end)
{
	return length >= lane->least && length <= anyhop_distance(l3, end);
}

/* The lane of an IPv4 packet with ANYHOP_LANE_READ4 bytes at `l3`: 0, -1 for one that is not the lane's, or ANYHOP_LANE_NOT_VIP. */
anyhop_inline int anyhop_lane_match4(const struct anyhop_view *view, const __u8 *l3, const __u8 *end, struct anyhop_lane_choice *choice)
{
	__u64 first = anyhop_get64(l3);
	const struct anyhop_lane *lane;
	__u32 client, is_vip;

	if ((first & ANYHOP_LANE_IPV4_MASK) != ANYHOP_LANE_IPV4)
		return -1;
	lane = anyhop_find_lane4(view, l3, &is_vip);
	if (anyhop_unlikely(!lane))
		return is_vip ? -1 : ANYHOP_LANE_NOT_VIP;
	choice->lane = lane;
	choice->length = __builtin_bswap16((__u16)(first >> 16));
	choice->tos = first >> 8 & 0xff;
	client = anyhop_get32(l3 + 12);
	if (!anyhop_lane_fits(lane, choice->length, l3, end) || l3[8] <= 1 || !anyhop_is_plain_source4(client) ||
	    client == (__u32)lane->key)
		return -1;
	/* From one VIP to another: see anyhop_is_own. */
	return l3[9] != ANYHOP_IP_TCP && anyhop_may_be_vip(view, client) ? -1 : 0;
}

/* Where a matched IPv4 packet goes: 0, or -1 for one that is not the lane's. */
anyhop_inline int anyhop_lane_choose4(const struct anyhop_view *view, const __u8 *l3, struct anyhop_lane_choice *choice)
{
	const struct anyhop_lane *lane = choice->lane;

	choice->hash = anyhop_finish_hash((__u64)(anyhop_get32(l3 + 12) + lane->nh[0]) * ((anyhop_get32(l3 + 20) & lane->ports) + lane->nh[1]),
					  lane->finish[0], lane->finish[1]);
	return anyhop_lane_choose(view, choice);
}

/* The same two for an IPv6 packet with ANYHOP_LANE_READ6 bytes at `l3`. */
anyhop_inline int anyhop_lane_match6(const struct anyhop_view *view, const __u8 *l3, const __u8 *end, struct anyhop_lane_choice *choice)
{
	__u64 first = anyhop_get64(l3), high = anyhop_get64(l3 + 8), low = anyhop_get64(l3 + 16);
	const struct anyhop_lane6 *lane;
	__u32 is_vip;

	if ((first & 0xf0) != 0x60)
		return -1;
	lane = anyhop_find_lane6(view, l3, &is_vip);
	if (anyhop_unlikely(!lane))
		return is_vip ? -1 : ANYHOP_LANE_NOT_VIP;
	choice->lane = &lane->lane;
	choice->length = 40 + __builtin_bswap16((__u16)(first >> 32));
	choice->tos = __builtin_bswap16((__u16)first) >> 4 & 0xff;
	/* Sources that cannot be clients are among these: see anyhop_can_be_client6. */
	if (!anyhop_lane_fits(&lane->lane, choice->length, l3, end) || first >> 56 <= 1 || (high & 0xff) >= 0xfe || high == 0 ||
	    (high == lane->address[0] && low == lane->address[1]))
		return -1;
	return l3[6] != ANYHOP_IP_TCP && anyhop_may_be_vip(view, anyhop_spread6(high, low)) ? -1 : 0;
}

anyhop_inline int anyhop_lane_choose6(const struct anyhop_view *view, const __u8 *l3, struct anyhop_lane_choice *choice)
{
	const struct anyhop_lane6 *lane = (const struct anyhop_lane6 *)choice->lane;
	__u64 sum = (__u64)(anyhop_get32(l3 + 8) + lane->lane.nh[0]) * (anyhop_get32(l3 + 12) + lane->lane.nh[1]);

	sum += (__u64)(anyhop_get32(l3 + 16) + lane->nh[0]) * (anyhop_get32(l3 + 20) + lane->nh[1]);
	sum += (__u64)((anyhop_get32(l3 + 40) & lane->lane.ports) + lane->nh[2]) * lane->nh[3];
	choice->hash = anyhop_finish_hash(sum, lane->lane.finish[0], lane->lane.finish[1]);
	return anyhop_lane_choose(view, choice);
}

/* The raw word of GRE's flags and protocol. */
anyhop_inline __u32 anyhop_lane_gre(__u32 family, __u32 keyed)
{
	return (family == 4 ? 0x00080000u : 0xdd860000u) | (keyed ? __builtin_bswap16(ANYHOP_GRE_FLAGS_KEYED) : 0);
}

/* Writes the outer header of one shape at `out`: the last three arguments are constants. What differs from packet to packet is put
 * into words of the lane path that are zero there. `hosts` are the image's source4_hosts as a raw word. */
anyhop_inline void anyhop_lane_write(__u8 *out, const struct anyhop_lane_choice *choice, __u32 hosts, __u32 gre, __u32 l2_length,
				     __u32 ip_length, __u32 keyed)
{
	const __u64 *words = choice->path->words;
	__u64 total, host, sum;

	anyhop_put64(out, words[0]);
	if (ip_length == 20) {
		total = __builtin_bswap16((__u16)(choice->length + 24 + 4 * keyed));
		host = __builtin_bswap32((__u32)choice->hash) & hosts;
		sum = choice->path->checksum + (choice->tos << 8) + total + host; /* raw, below 2^34 */
		sum = (sum & 0xffff) + (sum >> 16);
		sum = (sum & 0xffff) + (sum >> 16);
		sum = ~(sum + (sum >> 16)) & 0xffff;
		if (l2_length == 14) {
			anyhop_put64(out + 8, words[1] | (__u64)choice->tos << 56);
			anyhop_put64(out + 16, words[2] | total);
			anyhop_put64(out + 24, words[3] | host << 16 | sum);
			anyhop_put64(out + 30, words[4] | (__u64)gre << 32);
		} else {
			anyhop_put64(out + 8, words[1]);
			anyhop_put64(out + 16, words[2] | (__u64)choice->tos << 24 | total << 32);
			anyhop_put64(out + 24, words[3] | sum << 32 | host << 48);
			anyhop_put64(out + 32, words[4] | host >> 16);
			anyhop_put32(out + 38, gre);
		}
	} else {
		anyhop_put64(out + 8, words[1]);
		if (l2_length == 18)
			anyhop_put16(out + 16, __builtin_bswap16(ANYHOP_ETHERTYPE_IPV6));
		anyhop_put32(out + l2_length, __builtin_bswap32(0x60000000 | choice->tos << 20 | ((__u32)choice->hash & 0xfffff)));
		anyhop_put32(out + l2_length + 4, choice->path->checksum | __builtin_bswap16((__u16)(choice->length + 4 + 4 * keyed)));
		anyhop_put64(out + l2_length + 8, words[2]);
		anyhop_put64(out + l2_length + 16, words[3]);
		anyhop_put64(out + l2_length + 24, words[4]);
		anyhop_put64(out + l2_length + 32, words[5]);
		anyhop_put32(out + l2_length + 40, gre);
	}
	if (keyed)
		anyhop_put32(out + l2_length + ip_length + 4, __builtin_bswap32(choice->key));
}

/* Returns each(l2_length, ip_length, keyed) for the shape of the choice, with constants: see ANYHOP_BY_SHAPE. */
#define ANYHOP_LANE_BY_SHAPE(choice, each) \
	do { \
		__u32 shape = (choice)->path->shape; \
\
		if (anyhop_likely(shape == 0)) { \
			if (!(choice)->key) \
				return each(14, 20, 0); \
			return each(14, 20, 1); \
		} \
		if (shape == ANYHOP_LANE_OUTER_IPV6) { \
			if (!(choice)->key) \
				return each(14, 40, 0); \
			return each(14, 40, 1); \
		} \
		if (shape == ANYHOP_LANE_TAGGED) { \
			if (!(choice)->key) \
				return each(18, 20, 0); \
			return each(18, 20, 1); \
		} \
		if (!(choice)->key) \
			return each(18, 40, 0); \
		return each(18, 40, 1); \
	} while (0)

#endif
