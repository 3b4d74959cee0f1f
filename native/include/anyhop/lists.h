/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * The lists `allow` and `block`, compiled: from an address to none, block or allow, by the longest prefix of both lists together; of
 * equal ones, allow wins. One flat memory, written by src/lists/compile.ts and read here and by src/forward/lists.ts.
 *
 *   +--------+--------+---------+-----------+---------+----------+--------+----------+---------+----------+-------+
 *   | header | bits4  | ranks4  | records4  | pages4  | filter4  | top6   | filter6  | table6  | bounds6  | 128 B |
 *   |  64 B  | 4 MiB  | 1 MiB   | 4 B each  | 64 B    | 2^n      | 512 KB | 2^n      | 64 B a  |          | zero  |
 *   +--------+--------+---------+-----------+---------+----------+--------+----------+---------+----------+-------+
 *
 * IPv4: two bits for each /24 say none, block, allow, or that its addresses differ. Those /24s are numbered in their order (a rank for
 * each 64 of them, and the rest is counted), and the number leads to a record: up to two addresses from which on something else holds,
 * or a page with two bits for each address. A filter in front of the ranks knows which addresses of these /24s anything is said of: a
 * word of 64 bits for each /24, two bits of it for each address. It keeps nearly all their other addresses from the search, which three
 * loads in a row and a mispredicted branch make as dear as all the rest of a packet.
 *
 * IPv6: prefixes are kept in groups by what their first 64, 48, 32 or 16 bits are, whichever is the most that all of the prefix covers.
 * A group says for each of its addresses what the prefixes of it and of all shorter groups make of it, so the longest group that an
 * address has decides alone: by bounds, which are searched in halves. Groups of 16 bits have their place in top6; others are found in a
 * table of two places with four entries each, and a filter in front of the table keeps nearly all from looking there in vain.
 *
 * A passing packet so costs a load from bits4, or one from filter6 for each length that has groups; more only where the lists say
 * something about a part of its /24, /64, /48 or /32.
 *
 * Nothing here is trusted to lie inside of the memory: see anyhop_at. Offsets are in bytes, numbers little-endian; addresses are
 * numbers, the first byte the highest.
 */
#ifndef ANYHOP_LISTS_H
#define ANYHOP_LISTS_H

#include <linux/types.h>

#include "bytes.h"
#include "search.h"

enum anyhop_listed { ANYHOP_LISTED_NONE, ANYHOP_LISTED_BLOCK, ANYHOP_LISTED_ALLOW, ANYHOP_LISTED_PART };

/* Of a group, in its entry and in anyhop_lists.lengths; 0 marks a free entry. */
#define ANYHOP_LISTS_32 1u
#define ANYHOP_LISTS_48 2u
#define ANYHOP_LISTS_64 3u

#define ANYHOP_LISTS_BUCKET 4u /* entries in one place of the table */
#define ANYHOP_LISTS_SEED_FACTOR 0x85ebca6bu
#define ANYHOP_LISTS_MIX_FACTOR 0xc2b2ae35u
#define ANYHOP_LISTS_SPREAD_FACTOR 0x9e3779b1u
#define ANYHOP_LISTS_32_SALT 0x7f4a7c15u

struct anyhop_lists {
	__u32 size;     /* of all of it */
	__u32 bits4;    /* 0: no prefix of IPv4 */
	__u32 ranks4;
	__u32 records4;
	__u32 pages4;
	__u32 top6;     /* 0: no prefix of IPv6 */
	__u32 filter6;
	__u32 filter_mask; /* of bytes: 8 * (words of 64 bits - 1) */
	__u32 table6;
	__u32 buckets;
	__u32 seed;     /* of the hash of groups */
	__u32 lengths;  /* a bit (1 << ANYHOP_LISTS_...) for each length that has groups */
	__u32 filter4;
	__u32 filter4_mask; /* of bytes: 8 * (words of 64 bits - 1) */
	__u32 seed4;        /* of the hash of /24s in the filter */
	__u32 reserved;
};

/* Of top6: where the group's bounds are, in words of 8 bytes, and count << 4 | what holds before the first of them. */
struct anyhop_lists_top {
	__u32 where;
	__u32 what;
};

/* Of table6. Bounds of a group of 64 bits are `count` words of 8 bytes, from which on the byte with the same number behind them holds;
 * those of others are words of 4 bytes: 16 bits of address << 2 | what holds from there on. */
struct anyhop_lists_entry {
	__u64 key;   /* the first bits, the rest zero */
	__u32 where;
	__u32 what;  /* count << 4 | length << 2 | what holds before the first bound */
};

/* anyhop_lists.records4: bits of it. With PAGE, the others are the page's number. */
#define ANYHOP_LISTS_PAGE (1u << 31)

anyhop_inline const struct anyhop_lists *anyhop_lists_header(const struct anyhop_view *lists)
{
	return (const struct anyhop_lists *)lists->image;
}

/* The hash of what groups are found by: of their first 32 bits, and of up to 32 bits more. */
anyhop_inline __u32 anyhop_lists_hash32(__u32 seed, __u32 first)
{
	__u32 h = (first ^ seed) * ANYHOP_LISTS_SEED_FACTOR;

	return h ^ h >> 15;
}

anyhop_inline __u32 anyhop_lists_hash(__u32 hash32, __u32 more)
{
	__u32 h = (hash32 ^ more) * ANYHOP_LISTS_MIX_FACTOR;

	h = (h ^ h >> 13) * ANYHOP_LISTS_SEED_FACTOR;
	return h ^ h >> 16;
}

/* How many of the pairs of bits that `mask` covers are both set. */
anyhop_inline __u32 anyhop_lists_parts(__u64 pairs, __u64 mask)
{
	__u64 n = pairs & pairs >> 1 & 0x5555555555555555ull & mask;

	n = (n & 0x3333333333333333ull) + (n >> 2 & 0x3333333333333333ull);
	n = (n + (n >> 4)) & 0x0f0f0f0f0f0f0f0full;
	return (__u32)(n * 0x0101010101010101ull >> 56);
}

/* What the lists say of an IPv4 address whose /24 they say different things of. */
anyhop_inline __u32 anyhop_listed4_part(const struct anyhop_view *lists, __u32 address)
{
	const struct anyhop_lists *h = anyhop_lists_header(lists);
	__u32 line = address >> 14, octet = address & 255;
	__u64 below = (1ull << (address >> 7 & 62)) - 1, second = 0 - (__u64)(address >> 13 & 1);
	const __u8 *pairs = anyhop_at(lists, (__u64)h->bits4 + line * 16), *rank = anyhop_at(lists, (__u64)h->ranks4 + line * 4), *at;
	__u32 record;

	if (!pairs || !rank)
		return ANYHOP_LISTED_NONE;
	at = anyhop_at(lists, h->records4 + 4ull * (anyhop_get32(rank) + anyhop_lists_parts(anyhop_get64(pairs), below | second) +
						    anyhop_lists_parts(anyhop_get64(pairs + 8), below & second)));
	if (!at)
		return ANYHOP_LISTED_NONE;
	record = anyhop_get32(at);
	if (record & ANYHOP_LISTS_PAGE) {
		at = anyhop_at(lists, h->pages4 + 64ull * (record & ~ANYHOP_LISTS_PAGE) + (octet >> 2));
		return at ? *at >> 2 * (octet & 3) & 3 : ANYHOP_LISTED_NONE;
	}
	if (octet >= (record >> 12 & 255))
		return record >> 20 & 3;
	return octet >= (record >> 2 & 255) ? record >> 10 & 3 : record & 3;
}

/* 1 when the filter rules out that anything is said of an IPv4 address, if its /24 is one whose addresses differ; or else 0. */
anyhop_inline __u64 anyhop_listed4_silent(const struct anyhop_view *lists, __u32 address)
{
	const struct anyhop_lists *h = anyhop_lists_header(lists);
	__u32 net = anyhop_lists_hash32(h->seed4, address >> 8), which = (net ^ (address & 255)) * ANYHOP_LISTS_MIX_FACTOR;
	const __u8 *word = anyhop_at(lists, (__u64)h->filter4 + (net & h->filter4_mask));
	__u64 missing;

	if (!word)
		return 0;
	missing = (1ull << (which >> 26) | 1ull << (which >> 20 & 63)) & ~anyhop_get64(word);
	return (missing | (0 - missing)) >> 63;
}

/* What the lists say of all of an IPv4 address's /24, or that they say nothing of the address: ANYHOP_LISTED_PART when it takes a search to
 * tell (anyhop_listed4_part). Without a branch, which would be mispredicted for one packet in as many as have such a /24. */
anyhop_inline __u32 anyhop_listed4_net(const struct anyhop_view *lists, __u32 address)
{
	__u32 bits = anyhop_lists_header(lists)->bits4;
	const __u8 *pairs = anyhop_at(lists, (__u64)bits + (address >> 13) * 8);
	__u64 listed, speaks;

	if (!bits || !pairs)
		return ANYHOP_LISTED_NONE;
	listed = anyhop_get64(pairs) >> (address >> 7 & 62) & 3;
	speaks = (listed & listed >> 1 & anyhop_listed4_silent(lists, address)) - 1;
	__asm__("" : "+r"(speaks)); /* or clang makes a branch of it */
	return (__u32)(listed & speaks);
}

anyhop_inline __u32 anyhop_listed4(const struct anyhop_view *lists, __u32 address)
{
	__u32 listed = anyhop_listed4_net(lists, address);

	return anyhop_unlikely(listed == ANYHOP_LISTED_PART) ? anyhop_listed4_part(lists, address) : listed;
}

/* What holds at a bound's place in a group: the last of its bounds that is not above `wanted` says. `is_wide`, a constant: a group of 64
 * bits. Branches would be followed both ways by the verifier, and mispredicted by the processor. */
anyhop_inline __u32 anyhop_lists_bound(const struct anyhop_view *lists, __u64 where, __u32 what, __u64 wanted, __u32 is_wide)
{
	__u32 count = what >> 4, first = 0;
	const __u8 *at;

	where *= 8;
	for (__u32 halvings = 0, left = count; halvings < (is_wide ? 22 : 17) && left > 1; halvings++) {
		__u32 step = left >> 1, is_below;

		at = anyhop_at(lists, where + (__u64)(first + step) * (is_wide ? 8 : 4));
		if (!at)
			return ANYHOP_LISTED_NONE;
		is_below = (is_wide ? anyhop_get64(at) : anyhop_get32(at)) <= wanted;
		__asm__ volatile("" : "+r"(is_below));
		first = (first + (step & (0 - is_below))) & 0x3fffff;
		left -= step;
	}
	at = anyhop_at(lists, where + (__u64)first * (is_wide ? 8 : 4));
	if (!at || count == 0 || (is_wide ? anyhop_get64(at) : anyhop_get32(at)) > wanted)
		return what & 3;
	if (!is_wide)
		return anyhop_get32(at) & 3;
	at = anyhop_at(lists, where + (__u64)count * 8 + first);
	return at ? *at & 3 : ANYHOP_LISTED_NONE;
}

/* Whether there may be a group: never 0 when there is. The word is chosen by bits of the hash that the bits in it depend on least. */
anyhop_inline int anyhop_lists_maybe(const struct anyhop_view *lists, __u32 hash)
{
	const struct anyhop_lists *h = anyhop_lists_header(lists);
	__u32 spread = hash * ANYHOP_LISTS_SPREAD_FACTOR;
	__u64 bits = 1ull << (spread >> 8 & 63) | 1ull << (spread >> 14 & 63) | 1ull << (spread >> 20 & 63);
	const __u8 *word = anyhop_at(lists, (__u64)h->filter6 + (hash >> 11 & h->filter_mask));

	return word && (anyhop_get64(word) & bits) == bits;
}

/* The entry of a group in one of its two places, or NULL. */
anyhop_inline const struct anyhop_lists_entry *anyhop_lists_find(const struct anyhop_view *lists, __u32 hash, __u64 key, __u32 length)
{
	const struct anyhop_lists *h = anyhop_lists_header(lists);

	for (__u32 place = 0; place < 2; place++) {
		const struct anyhop_lists_entry *entry =
			anyhop_at(lists, h->table6 + ((__u64)hash * h->buckets >> 32) * sizeof(*entry) * ANYHOP_LISTS_BUCKET);

		if (!entry)
			return 0;
		for (__u32 i = 0; i < ANYHOP_LISTS_BUCKET; i++)
			if (entry[i].key == key && (entry[i].what >> 2 & 3) == length)
				return &entry[i];
		if (!entry[ANYHOP_LISTS_BUCKET - 1].what)
			return 0; /* the second is used only once the first is full */
		hash *= ANYHOP_LISTS_SPREAD_FACTOR;
	}
	return 0;
}

/* Which groups an IPv6 address may be in: bits (1 << ANYHOP_LISTS_...). `high` is its first half. */
anyhop_inline __u32 anyhop_listed6_maybe(const struct anyhop_view *lists, __u64 high)
{
	const struct anyhop_lists *h = anyhop_lists_header(lists);
	__u32 hash32 = anyhop_lists_hash32(h->seed, (__u32)(high >> 32)), maybe = 0;

	if (h->lengths & 1u << ANYHOP_LISTS_64 && anyhop_lists_maybe(lists, anyhop_lists_hash(hash32, (__u32)high)))
		maybe |= 1u << ANYHOP_LISTS_64;
	if (h->lengths & 1u << ANYHOP_LISTS_48 && anyhop_lists_maybe(lists, anyhop_lists_hash(hash32, (__u32)high >> 16)))
		maybe |= 1u << ANYHOP_LISTS_48;
	if (h->lengths & 1u << ANYHOP_LISTS_32 && anyhop_lists_maybe(lists, anyhop_lists_hash(hash32, ANYHOP_LISTS_32_SALT)))
		maybe |= 1u << ANYHOP_LISTS_32;
	return maybe;
}

/* What the lists say of an IPv6 address that may be in these groups. */
anyhop_inline __u32 anyhop_listed6_in(const struct anyhop_view *lists, __u64 high, __u64 low, __u32 maybe)
{
	const struct anyhop_lists *h = anyhop_lists_header(lists);
	__u32 hash32 = anyhop_lists_hash32(h->seed, (__u32)(high >> 32));
	const struct anyhop_lists_entry *entry;
	const struct anyhop_lists_top *top;

	if (maybe & 1u << ANYHOP_LISTS_64) {
		entry = anyhop_lists_find(lists, anyhop_lists_hash(hash32, (__u32)high), high, ANYHOP_LISTS_64);
		if (entry)
			return anyhop_lists_bound(lists, entry->where, entry->what, low, 1);
	}
	if (maybe & 1u << ANYHOP_LISTS_48) {
		entry = anyhop_lists_find(lists, anyhop_lists_hash(hash32, (__u32)high >> 16), high >> 16 << 16, ANYHOP_LISTS_48);
		if (entry)
			return anyhop_lists_bound(lists, entry->where, entry->what, (high & 0xffff) << 2 | 3, 0);
	}
	if (maybe & 1u << ANYHOP_LISTS_32) {
		entry = anyhop_lists_find(lists, anyhop_lists_hash(hash32, ANYHOP_LISTS_32_SALT), high >> 32 << 32, ANYHOP_LISTS_32);
		if (entry)
			return anyhop_lists_bound(lists, entry->where, entry->what, (high >> 16 & 0xffff) << 2 | 3, 0);
	}
	top = anyhop_at(lists, h->top6 + (high >> 48) * sizeof(*top));
	return top ? anyhop_lists_bound(lists, top->where, top->what, (high >> 32 & 0xffff) << 2 | 3, 0) : ANYHOP_LISTED_NONE;
}

/* What the lists say of all IPv6 addresses that begin with `high`: ANYHOP_LISTED_PART when it depends, or takes a search to tell. */
anyhop_inline __u32 anyhop_listed6_net(const struct anyhop_view *lists, __u64 high)
{
	__u32 top6 = anyhop_lists_header(lists)->top6;
	const struct anyhop_lists_top *top = anyhop_at(lists, (__u64)top6 + (high >> 48) * sizeof(*top));

	if (!top6 || !top)
		return ANYHOP_LISTED_NONE;
	return anyhop_listed6_maybe(lists, high) || top->what >> 4 ? ANYHOP_LISTED_PART : top->what & 3;
}

/* `high` and `low` are the halves of the address as numbers. */
anyhop_inline __u32 anyhop_listed6(const struct anyhop_view *lists, __u64 high, __u64 low)
{
	return anyhop_lists_header(lists)->top6 ? anyhop_listed6_in(lists, high, low, anyhop_listed6_maybe(lists, high))
						: ANYHOP_LISTED_NONE;
}

#define ANYHOP_LISTS_STRUCTS(S, F) \
	S(lists) \
	F(lists, size) F(lists, bits4) F(lists, ranks4) F(lists, records4) F(lists, pages4) F(lists, top6) F(lists, filter6) \
	F(lists, filter_mask) F(lists, table6) F(lists, buckets) F(lists, seed) F(lists, lengths) F(lists, filter4) F(lists, filter4_mask) \
	F(lists, seed4) \
	S(lists_top) F(lists_top, where) F(lists_top, what) \
	S(lists_entry) F(lists_entry, key) F(lists_entry, where) F(lists_entry, what)

#define ANYHOP_LISTS_CONSTANTS(C) \
	C(LISTED_NONE) C(LISTED_BLOCK) C(LISTED_ALLOW) C(LISTED_PART) C(LISTS_32) C(LISTS_48) C(LISTS_64) C(LISTS_BUCKET) \
	C(LISTS_SEED_FACTOR) C(LISTS_MIX_FACTOR) C(LISTS_SPREAD_FACTOR) C(LISTS_32_SALT) C(LISTS_PAGE)

_Static_assert(sizeof(struct anyhop_lists) == 64, "a cache line");
_Static_assert(sizeof(struct anyhop_lists_entry) * ANYHOP_LISTS_BUCKET == 64, "a place of the table is a cache line");
_Static_assert(sizeof(struct anyhop_lists_entry) * ANYHOP_LISTS_BUCKET <= ANYHOP_READ_MAX, "and may be read at once");

#endif
