/* SPDX-License-Identifier: MIT
 *
 * What must hold for every frame, said without the pipeline's own helpers: where the result may lie, lengths that agree,
 * checksums that are right, an inner packet that is the one that came, answers that go back where it came from.
 */
#include <string.h>

#include "fuzz.h"

enum { ETHERNET = 14, VLAN_TAG = 4, GRE_PROTOCOL = 47, TCP_PROTOCOL = 6, NODE_TTL = 64, DONT_FRAGMENT = 0x4000 };

static const __u8 actions[] = {
#define V(name, action, text) [ANYHOP_V_##name] = ANYHOP_##action,
	ANYHOP_VERDICTS(V)
#undef V
};

static __u32 be16(const __u8 *p)
{
	return (__u32)p[0] << 8 | p[1];
}

/* RFC 1071, word by word, on top of `sum`. A sum that holds its own checksum comes out as 0xffff. */
static __u32 sum16(const __u8 *p, __u32 size, __u32 sum)
{
	for (__u32 i = 0; i + 1 < size; i += 2)
		sum += be16(p + i);
	if (size & 1)
		sum += (__u32)p[size - 1] << 8;
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

__u32 find_ip(const __u8 *frame, __u32 length, __u32 *family)
{
	for (__u32 at = 12; at <= 20 && at + 2 <= length; at += 4) {
		__u32 type = be16(frame + at);

		if (type == 0x0800 || type == 0x86dd) {
			*family = type == 0x0800 ? 4 : 6;
			return at + 2;
		}
		if (type != 0x8100 && type != 0x88a8)
			return 0;
	}
	return 0;
}

/* The IP packet at `ip` fills `size` bytes exactly, and its header checksum is right. Returns its header's length. */
static __u32 check_ip(const __u8 *ip, __u32 size, __u32 family)
{
	if (family == 4) {
		CHECK(size >= 20 && ip[0] == 0x45 && be16(ip + 2) == size);
		CHECK(sum16(ip, 20, 0) == 0xffff);
		return 20;
	}
	CHECK(size >= 40 && ip[0] >> 4 == 6 && be16(ip + 4) + 40u == size);
	return 40;
}

/* The packet that came is inside, but for a TTL that is one less; an IPv4 checksum that was right still is. */
static void check_inner(const struct result *r, const __u8 *inner, __u32 size, __u32 family)
{
	__u32 ignored, ttl = family == 4 ? 8 : 7;
	const __u8 *before = r->original + find_ip(r->original, r->length, &ignored);

	CHECK(size == (family == 4 ? be16(before + 2) : be16(before + 4) + 40u));
	CHECK(before[ttl] > 1 && inner[ttl] == before[ttl] - 1);
	CHECK(memcmp(inner, before, ttl) == 0);
	if (family == 6) {
		CHECK(memcmp(inner + 8, before + 8, size - 8) == 0);
		return;
	}
	CHECK(inner[9] == before[9] && memcmp(inner + 12, before + 12, size - 12) == 0);
	if (sum16(before, (before[0] & 15u) * 4, 0) == 0xffff)
		CHECK(sum16(inner, (inner[0] & 15u) * 4, 0) == 0xffff);
}

static void check_forwarded(const struct result *r)
{
	const struct anyhop_header *header = (const struct anyhop_header *)r->image->bytes;
	const struct anyhop_outcome *o = &r->outcome;
	const struct anyhop_path *path;
	__u32 family, ignored, l3 = find_ip(o->frame, o->length, &family), size = o->length - l3, gre;
	__u32 inner_family;
	const __u8 *ip = o->frame + l3;

	CHECK(o->backend < header->backend_count);
	CHECK(o->service_counter < header->service_counters && o->backend_counter < header->backend_counters);
	path = (const struct anyhop_path *)(r->image->bytes + header->path_offset) + o->backend;
	CHECK(l3 == o->l2_length && l3 == path->l2_length && (l3 == ETHERNET || l3 == ETHERNET + VLAN_TAG));
	CHECK(family == (path->flags & ANYHOP_PATH_OUTER_IPV6 ? 6 : 4));
	CHECK(o->interface_index == path->interface_index && size <= path->mtu);
	gre = check_ip(ip, size, family);
	CHECK(ip[family == 4 ? 9 : 6] == GRE_PROTOCOL && ip[family == 4 ? 8 : 7] == NODE_TTL);
	if (family == 4)
		CHECK(be16(ip + 6) == DONT_FRAGMENT);

	/* RFC 2784, with RFC 2890's key for alternates: at index 0, of a backend that reads it. */
	find_ip(r->original, r->length, &inner_family);
	CHECK(be16(ip + gre + 2) == (inner_family == 4 ? 0x0800 : 0x86dd));
	CHECK(be16(ip + gre) == (o->key ? 0x2008 : 0));
	if (o->key) {
		__u32 id1 = o->key >> 15, id2 = o->key & 0x7fff;

		CHECK(path->flags & ANYHOP_PATH_AGENT && id1 && id1 < 0x8000);
		CHECK(id1 != path->id && (!id2 || (id2 != path->id && id2 != id1)));
		CHECK((be16(ip + gre + 4) << 16 | be16(ip + gre + 6)) == o->key);
	}
	gre += o->key ? 8 : 4;
	CHECK(o->bytes == size - gre);
	check_inner(r, ip + gre, size - gre, inner_family);

	/* DSCP and ECN are the inner packet's (RFC 6040). */
	ip = o->frame + l3;
	ignored = inner_family == 4 ? ip[gre + 1] : be16(ip + gre) >> 4 & 0xff;
	CHECK(ignored == (family == 4 ? ip[1] : be16(ip) >> 4 & 0xff));
}

/* The sum over an ICMP message; 0xffff when its checksum is right. */
static __u32 icmp_sum(const __u8 *ip, __u32 family, const __u8 *icmp, __u32 size)
{
	return sum16(icmp, size, family == 4 ? 0 : sum16(ip + 8, 32, size + 58));
}

/* Whether the options of the TCP header at `tcp` hold one of this kind and length. */
static int has_option(const __u8 *tcp, __u8 kind, __u8 length)
{
	for (__u32 i = 20; i + length <= (tcp[12] >> 4) * 4u; i++)
		if (tcp[i] == kind && tcp[i + 1] == length)
			return 1;
	return 0;
}

/* A SYN-ACK of `size` bytes for the SYN at `syn`: it tells a client its MSS, and else nothing that the client did not offer (RFC 9293
 * section 3.2, RFC 7323, RFC 2018). */
static void check_syn_ack(const __u8 *ip, __u32 family, const __u8 *tcp, __u32 size, const __u8 *syn)
{
	__u32 at = 20, seen = 0;

	CHECK(size >= 24 && (tcp[12] >> 4) * 4u == size && size <= (syn[12] >> 4) * 4u + 4u);
	CHECK(be16(tcp) == be16(syn + 2) && be16(tcp + 2) == be16(syn));
	CHECK((syn[13] & 0x17) == 0x02 && (tcp[13] & ~0x40) == 0x12);
	CHECK(!(tcp[13] & 0x40) || (syn[13] & 0xc0) == 0xc0);
	CHECK((__u32)(be16(tcp + 8) << 16 | be16(tcp + 10)) == (__u32)(be16(syn + 4) << 16 | be16(syn + 6)) + 1u);
	CHECK(be16(tcp + 14) > 0 && be16(tcp + 18) == 0);
	CHECK(sum16(tcp, size, sum16(ip + (family == 4 ? 12 : 8), family == 4 ? 8 : 32, 6 + size)) == 0xffff);
	while (at < size) {
		__u8 kind = tcp[at], length = kind == 1 ? 1 : tcp[at + 1];

		CHECK(length && at + length <= size && (kind == 1 || !(seen & 1u << (kind & 31))));
		CHECK(kind == 1 || (kind == 2 && length == 4) || (kind == 3 && length == 3) || (kind == 4 && length == 2) ||
		      (kind == 8 && length == 10));
		CHECK(kind == 1 || kind == 2 || has_option(syn, kind, length));
		CHECK(kind != 2 || be16(tcp + at + 2) > 0);
		seen |= 1u << (kind & 31);
		at += length;
	}
	CHECK(seen & 1u << 2);
}

static void check_answer(const struct result *r)
{
	const struct anyhop_outcome *o = &r->outcome;
	__u32 family, family_before, before_l3 = find_ip(r->original, r->length, &family_before);
	__u32 l3 = find_ip(o->frame, o->length, &family), header;
	const __u8 *ip = o->frame + l3, *before = r->original + before_l3, *icmp;
	__u32 address = family == 4 ? 12 : 8, width = family == 4 ? 4 : 16;

	/* The way back: MAC addresses swapped, the tags that it came with, from the VIP. */
	CHECK(l3 == before_l3 && l3 == o->l2_length && family == family_before);
	CHECK(memcmp(o->frame, r->original + 6, 6) == 0 && memcmp(o->frame + 6, r->original, 6) == 0);
	CHECK(memcmp(o->frame + 12, r->original + 12, l3 - 12) == 0);
	header = check_ip(ip, o->length - l3, family);
	CHECK(memcmp(ip + address, before + address + width, width) == 0);
	CHECK(memcmp(ip + address + width, before + address, width) == 0);
	CHECK(ip[family == 4 ? 8 : 7] == NODE_TTL);
	icmp = ip + header;
	if (r->verdict == ANYHOP_V_SYN_COOKIE_ANSWERED) {
		CHECK(ip[family == 4 ? 9 : 6] == TCP_PROTOCOL && before[family == 4 ? 9 : 6] == TCP_PROTOCOL);
		check_syn_ack(ip, family, ip + header, o->length - l3 - header, before + header);
		return;
	}
	CHECK(ip[family == 4 ? 9 : 6] == (family == 4 ? ANYHOP_IP_ICMP : ANYHOP_IP_ICMPV6));

	if (r->verdict == ANYHOP_V_TOO_BIG_ANSWERED) {
		__u32 quote = o->length - l3 - header - 8;

		CHECK(quote == (family == 4 ? (before[0] & 15u) * 4 + 8 : ANYHOP_QUOTE6));
		CHECK(memcmp(icmp + 8, before, quote) == 0);
		CHECK(icmp_sum(ip, family, icmp, quote + 8) == 0xffff);
		CHECK(family == 4 ? icmp[0] == 3 && icmp[1] == 4 : icmp[0] == 2 && icmp[1] == 0);
	} else {
		/* The request's end, but for type and checksum; a reply is as right as the request was. */
		__u32 size = o->length - l3 - header;
		__u32 total = family == 4 ? be16(before + 2) : be16(before + 4) + 40u;
		const __u8 *request = before + total - size;

		CHECK(size >= 8 && request[0] == (family == 4 ? 8 : 128) && icmp[0] == (family == 4 ? 0 : 129));
		CHECK(icmp[1] == request[1] && memcmp(icmp + 4, request + 4, size - 4) == 0);
		if (icmp_sum(before, family, request, size) == 0xffff)
			CHECK(icmp_sum(ip, family, icmp, size) == 0xffff);
	}
}

/* What passes although it is for a VIP is ICMPv6 of the link (RFC 4861). */
static void check_neighbour(const struct result *r)
{
	__u32 family, l3 = find_ip(r->original, r->length, &family);
	const __u8 *ip = r->original + l3;

	CHECK(l3 && family == 6 && l3 + 48 <= r->length && be16(ip + 6) == 0x3aff);
	CHECK(ip[40] >= 133 && ip[40] <= 137 && ip[41] == 0);
}

void check_result(const struct result *r)
{
	const struct anyhop_outcome *o = &r->outcome;
	int action;

	CHECK(r->verdict >= 0 && r->verdict < ANYHOP_VERDICT_COUNT && r->verdict != ANYHOP_V_DROP_HEADROOM);
	action = actions[r->verdict];
	if (action == ANYHOP_PASS)
		CHECK(memcmp(r->frame, r->original, r->length) == 0);
	if (r->verdict == ANYHOP_V_PASS_NEIGHBOUR)
		check_neighbour(r);
	if (action != ANYHOP_FORWARD && action != ANYHOP_ANSWER)
		return;
	CHECK(o->frame >= r->frame - ANYHOP_HEADROOM && o->frame <= r->frame + r->length);
	CHECK(o->length <= (__u32)(r->frame + r->length - o->frame));
	if (!r->is_sound)
		return;
	if (action == ANYHOP_FORWARD)
		check_forwarded(r);
	else
		check_answer(r);
}
