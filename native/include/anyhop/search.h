/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * An image as the packet side reads it: one bound for every offset, and the searches: for a VIP, for a service, and for a lane (lane.h).
 *
 * Nothing that an image says is trusted to lie inside it: the verifier wants it so, and a damaged image then costs
 * packets, not memory. The names come last and fill at least 128 bytes, so one limit does for everything that packets
 * need, none of which is longer: 128 bytes may be read at any offset that it lets through.
 */
#ifndef ANYHOP_SEARCH_H
#define ANYHOP_SEARCH_H

#include <linux/types.h>

#include "bytes.h"
#include "image.h"

struct anyhop_view {
	const __u8 *image;
	__u64 limit; /* the last offset that may be read at: the image's bytes less ANYHOP_READ_MAX. 64 bits wide: on the
		      * stack the verifier remembers the value of whole words */
};

/* What lies at `offset`, up to ANYHOP_READ_MAX bytes, or NULL. The register that is compared is the one that is added, and
 * after that: or the verifier, which sees neither a copy nor a sum made before as bounded, refuses. */
anyhop_inline const void *anyhop_at(const struct anyhop_view *view, __u64 offset)
{
	__asm__ volatile("" : "+r"(offset));
	if (anyhop_unlikely(offset > view->limit))
		return 0;
	__asm__ volatile("" : "+r"(offset));
	return view->image + offset;
}

anyhop_inline const struct anyhop_header *anyhop_header(const struct anyhop_view *view)
{
	return (const struct anyhop_header *)view->image;
}

/* The VIP with this address (raw words; IPv4 in the last, the rest zero) of family 4 or 6, or NULL. */
anyhop_inline const struct anyhop_vip *anyhop_find_vip(const struct anyhop_view *view, __u32 family, __u32 a0, __u32 a1,
						       __u32 a2, __u32 a3)
{
	const struct anyhop_header *header = anyhop_header(view);
	__u32 place = anyhop_vip_hash(a0, a1, a2, a3);

	for (__u32 probe = 0; probe < ANYHOP_VIP_PROBES_MAX; probe++, place++) {
		const struct anyhop_vip *vip =
			anyhop_at(view, header->vip_offset + (place & header->vip_mask) * sizeof(struct anyhop_vip));

		if (!vip || vip->family == 0)
			return 0;
		if (vip->address[3] == a3 && vip->family == family &&
		    (family == 4 || (vip->address[2] == a2 && vip->address[1] == a1 && vip->address[0] == a0)))
			return vip;
	}
	return 0;
}

/* The VIP with the IPv4 or IPv6 address at `address`, or NULL. */
anyhop_inline const struct anyhop_vip *anyhop_find_vip_at(const struct anyhop_view *view, __u32 family,
							  const __u8 *address)
{
	if (family == 4)
		return anyhop_find_vip(view, 4, 0, 0, 0, anyhop_get32(address));
	return anyhop_find_vip(view, 6, anyhop_get32(address), anyhop_get32(address + 4), anyhop_get32(address + 8),
			       anyhop_get32(address + 12));
}

/* A service by its number, or NULL. */
anyhop_inline const struct anyhop_service *anyhop_service_at(const struct anyhop_view *view, __u32 number)
{
	return anyhop_at(view, anyhop_header(view)->service_offset + number * sizeof(struct anyhop_service));
}

/* The service that has this port (host order), or NULL: one of the `count` from number `first` on, which are sorted by port
 * and do not overlap. */
anyhop_inline const struct anyhop_service *anyhop_find_service(const struct anyhop_view *view, __u32 first, __u32 count,
							       __u32 port)
{
	const struct anyhop_service *service;

	/* Halve the services until one is left: the last whose first port is not above `port`. */
	for (__u32 halvings = 0, left = count; halvings < 16 && left > 1; halvings++) {
		__u32 step = left >> 1, is_below;

		service = anyhop_service_at(view, first + step);
		if (!service)
			return 0;
		is_below = service->port_first <= port;
		/* By a mask and not by a branch, which the verifier would follow both ways 16 times over. */
		__asm__ volatile("" : "+r"(is_below));
		first = (first + (step & (0 - is_below))) & 0xffff;
		left -= step;
	}
	service = anyhop_service_at(view, first);
	if (count == 0 || !service || port < service->port_first || port > service->port_last)
		return 0;
	return service;
}

anyhop_inline const struct anyhop_lanes *anyhop_lanes(const struct anyhop_view *view)
{
	return &anyhop_header(view)->lanes;
}

/* A lane from one of its two places; the second is looked at only where somebody who wanted the first one is there. */
anyhop_inline const struct anyhop_lane *anyhop_find_lane(const struct anyhop_view *view, __u64 spread, __u64 key, __u32 offset,
							 __u32 mask)
{
	const struct anyhop_lanes *lanes = anyhop_lanes(view);
	const struct anyhop_lane *lane = anyhop_at(view, offset + (spread * lanes->multipliers[0] >> 40 & mask));

	if (!lane || anyhop_likely(lane->key == key) || !lane->overflow)
		return lane;
	return anyhop_at(view, offset + (spread * lanes->multipliers[1] >> 40 & mask));
}

/* An IPv6 address, given as raw words, as one word that spreads. A multiplication carries only upwards, so what tells addresses apart,
 * their last bytes, goes to the bottom. */
anyhop_inline __u64 anyhop_spread6(__u64 high, __u64 low)
{
	return __builtin_bswap64(high) + __builtin_bswap64(low) * ANYHOP_LANE_LOW_FACTOR;
}

/* Whether an address, as one word that spreads, may be a VIP's: never 0 for one that is. */
anyhop_inline int anyhop_may_be_vip(const struct anyhop_view *view, __u64 spread)
{
	const struct anyhop_lanes *lanes = anyhop_lanes(view);
	__u64 bit = spread * lanes->multipliers[0] >> 40;
	const __u8 *word = anyhop_at(view, lanes->filter_offset + (bit >> 3 & lanes->filter_mask));

	return !word || (anyhop_get64(word) >> (bit & 63) & 1);
}

/* Whether the range of ports that a lane was found for has a raw port. */
anyhop_inline int anyhop_in_range(const struct anyhop_lane *lane, __u16 raw)
{
	__u32 port = __builtin_bswap16(raw);

	return port >= lane->port_first && port <= lane->port_last;
}

/* The lane of an IPv4 packet that is for a VIP's service, or NULL; `is_vip` says in that case whether it may be for a VIP all the same. */
anyhop_inline const struct anyhop_lane *anyhop_find_lane4(const struct anyhop_view *view, const __u8 *l3, __u32 *is_vip)
{
	const struct anyhop_lanes *lanes = anyhop_lanes(view);
	__u64 key = anyhop_get32(l3 + 16) | (__u64)anyhop_get16(l3 + 22) << 32 | (__u64)l3[9] << 48;
	const struct anyhop_lane *lane = anyhop_find_lane(view, key, key, lanes->offset4, lanes->mask4);

	*is_vip = 1;
	if (anyhop_likely(lane && lane->key == key))
		return lane;
	*is_vip = anyhop_may_be_vip(view, anyhop_get32(l3 + 16));
	if (!*is_vip)
		return 0;
	key = anyhop_get32(l3 + 16) | (__u64)l3[9] << 48 | ANYHOP_LANE_RANGE;
	lane = anyhop_find_lane(view, key, key, lanes->offset4, lanes->mask4);
	return lane && lane->key == key && anyhop_in_range(lane, anyhop_get16(l3 + 22)) ? lane : 0;
}

/* The IPv6 lane with a key at one of its two places, or NULL. Lanes of other VIPs may have the same key: the address tells. */
anyhop_inline const struct anyhop_lane6 *anyhop_find_lane6_of(const struct anyhop_view *view, __u64 spread, __u64 key, __u64 high,
							      __u64 low)
{
	const struct anyhop_lanes *lanes = anyhop_lanes(view);
	const struct anyhop_lane6 *lane = anyhop_at(view, lanes->offset6 + (spread * lanes->multipliers[0] >> 40 & lanes->mask6));

	if (!lane)
		return 0;
	if (anyhop_likely(lane->lane.key == key && lane->address[0] == high && lane->address[1] == low))
		return lane;
	if (!lane->lane.overflow)
		return 0;
	lane = anyhop_at(view, lanes->offset6 + (spread * lanes->multipliers[1] >> 40 & lanes->mask6));
	return lane && lane->lane.key == key && lane->address[0] == high && lane->address[1] == low ? lane : 0;
}

/* The same for an IPv6 packet. */
anyhop_inline const struct anyhop_lane6 *anyhop_find_lane6(const struct anyhop_view *view, const __u8 *l3, __u32 *is_vip)
{
	__u64 high = anyhop_get64(l3 + 24), low = anyhop_get64(l3 + 32), spread = anyhop_spread6(high, low);
	__u64 key = (__u64)anyhop_get16(l3 + 42) << 32 | (__u64)l3[6] << 48;
	const struct anyhop_lane6 *lane = anyhop_find_lane6_of(view, spread ^ key, key, high, low);

	*is_vip = 1;
	if (anyhop_likely(lane))
		return lane;
	*is_vip = anyhop_may_be_vip(view, spread);
	if (!*is_vip)
		return 0;
	key = (__u64)l3[6] << 48 | ANYHOP_LANE_RANGE;
	lane = anyhop_find_lane6_of(view, spread ^ key, key, high, low);
	return lane && anyhop_in_range(&lane->lane, anyhop_get16(l3 + 42)) ? lane : 0;
}

#endif
