/* SPDX-License-Identifier: MIT
 *
 * Mutations that know what a packet looks like: bytes that libFuzzer changed are mostly put back into a packet for one of
 * the image's VIPs, with lengths and checksum that agree. Without this nearly every mutant would be for no VIP at all.
 * Each repair is left out at times, so that what it repairs is also seen broken.
 */
#include <stdint.h>
#include <string.h>

#include "fuzz.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

static __u32 state;

/* Xorshift32 (Marsaglia). */
static __u32 random_below(__u32 below)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state % below;
}

static void put16(__u8 *p, __u32 value)
{
	p[0] = (__u8)(value >> 8);
	p[1] = (__u8)value;
}

static void put_ipv4_checksum(__u8 *ip, __u32 header)
{
	__u32 sum = 0;

	put16(ip + 10, 0);
	for (__u32 i = 0; i < header; i += 2)
		sum += (__u32)ip[i] << 8 | ip[i + 1];
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	put16(ip + 10, sum ^ 0xffff);
}

/* Any VIP of the image of this family, or NULL. */
static const struct anyhop_vip *any_vip(const struct anyhop_header *header, __u32 family)
{
	const struct anyhop_vip *vips = (const struct anyhop_vip *)((const __u8 *)header + header->vip_offset);
	__u32 start = random_below(header->vip_mask + 1);

	for (__u32 i = 0; i <= header->vip_mask; i++) {
		const struct anyhop_vip *vip = &vips[(start + i) & header->vip_mask];

		if (vip->family == family)
			return vip;
	}
	return NULL;
}

/* A port of one of the VIP's services, or any. */
static __u32 any_port(const struct anyhop_header *header, const struct anyhop_vip *vip, __u32 protocol)
{
	const struct anyhop_service *services =
		(const struct anyhop_service *)((const __u8 *)header + header->service_offset);
	__u32 first = protocol == ANYHOP_IP_TCP ? vip->tcp_first : vip->udp_first;
	__u32 count = protocol == ANYHOP_IP_TCP ? vip->tcp_count : vip->udp_count;
	const struct anyhop_service *service;

	if (count == 0 || random_below(8) == 0)
		return random_below(65536);
	service = &services[first + random_below(count)];
	return random_below(2) ? service->port_first : service->port_last;
}

/* The address of a VIP goes into the packet at `ip` as its destination (`is_quoted`: as its source), and a port of one of
 * its services likewise. Returns where the transport header is, or 0 when that cannot be told simply. */
static __u32 aim(const struct anyhop_header *header, const struct anyhop_vip *vip, __u8 *ip, __u32 size, int is_quoted)
{
	__u32 four = vip->family == 4, l4 = four ? (ip[0] & 15u) * 4 : 40, protocol;

	if (size < (four ? 20u : 40u))
		return 0;
	if (four)
		memcpy(ip + (is_quoted ? 12 : 16), &vip->address[3], 4);
	else
		memcpy(ip + (is_quoted ? 8 : 24), vip->address, 16);
	protocol = ip[four ? 9 : 6];
	if (l4 + 8 > size || l4 < 20)
		return 0;
	if (protocol == ANYHOP_IP_TCP || protocol == ANYHOP_IP_UDP)
		put16(ip + l4 + (is_quoted ? 0 : 2), any_port(header, vip, protocol));
	return l4;
}

static void repair(const struct image *image, __u8 *frame, __u32 length)
{
	const struct anyhop_header *header = (const struct anyhop_header *)image->bytes;
	const struct anyhop_vip *vip;
	__u32 family, l3 = find_ip(frame, length, &family), size = length - l3, l4;
	__u8 *ip = frame + l3;

	if (l3 == 0 || size < 40 || random_below(16) == 0)
		return;
	if (random_below(16)) { /* the version, and options seldom */
		ip[0] = family == 6 ? 0x60 | (ip[0] & 15) : random_below(8) ? 0x45 : 0x40 | (ip[0] & 15);
	}
	vip = any_vip(header, family);
	if (!vip)
		return;
	if (random_below(16))
		memcpy(frame, header->mac, 6); /* zeros where the image does not say */
	l4 = aim(header, vip, ip, size, 0);
	if (random_below(8) && family == 4)
		ip[12] = (__u8)(1 + random_below(120));
	if (random_below(8) && family == 6)
		put16(ip + 8, 0x2001);
	if (random_below(16) == 0) { /* from a VIP, this one or another */
		const struct anyhop_vip *other = random_below(2) ? vip : any_vip(header, family);

		memcpy(ip + (family == 4 ? 12 : 8), family == 4 ? &other->address[3] : other->address, family == 4 ? 4 : 16);
	}
	if (random_below(4) && family == 4)
		put16(ip + 6, random_below(4) ? 0x4000 : random_below(65536));
	if (random_below(8))
		put16(ip + (family == 4 ? 2 : 4), family == 4 ? size : size - 40);
	/* What an ICMP error quotes comes from the VIP. */
	if (l4 && ip[family == 4 ? 9 : 6] == (family == 4 ? ANYHOP_IP_ICMP : ANYHOP_IP_ICMPV6) && l4 + 8 < size &&
	    random_below(8)) {
		ip[l4 + 8] = family == 4 ? 0x40 | (ip[l4 + 8] & 15) : 0x60;
		aim(header, vip, ip + l4 + 8, size - l4 - 8, 1);
	}
	l4 = (ip[0] & 15u) * 4;
	if (family == 4 && random_below(8) && l4 >= 20 && l4 <= size)
		put_ipv4_checksum(ip, l4);
}

/* Puts `count` bytes in at `at`: the frame's new length. What does not fit is cut off. */
static __u32 insert(__u8 *frame, __u32 length, __u32 max, __u32 at, const __u8 *bytes, __u32 count)
{
	if (at > length || at + count > max)
		return length;
	if (length + count > max)
		length = max - count;
	memmove(frame + at + count, frame + at, length - at);
	memcpy(frame + at, bytes, count);
	return length + count;
}

/* One change that no change of single bytes comes upon. */
static __u32 restructure(__u8 *frame, __u32 length, __u32 max)
{
	static const __u8 extensions[] = {ANYHOP_IP_HOP_BY_HOP, ANYHOP_IP_ROUTING, ANYHOP_IP_FRAGMENT, ANYHOP_IP_AH,
					  ANYHOP_IP_DESTINATION_OPTIONS};
	static const __u8 protocols[] = {ANYHOP_IP_TCP, ANYHOP_IP_UDP, ANYHOP_IP_ICMP, ANYHOP_IP_ICMPV6};
	static const __u32 sizes[] = {576, 600, 1280, 1400, 1456, 1476, 1500, 1556};
	__u32 family, l3 = find_ip(frame, length, &family), wanted;
	__u8 *ip = frame + l3, header[8] = {0};

	if (l3 == 0 || length < l3 + 40)
		return length;
	switch (random_below(5)) {
	case 0: /* a VLAN tag */
		put16(header, random_below(2) ? 0x8100 : 0x88a8);
		put16(header + 2, random_below(65536));
		return insert(frame, length, max, 12, header, 4);
	case 1:
		ip[family == 4 ? 9 : 6] = protocols[random_below(4)];
		return length;
	case 2: /* an extension header, here or in what an error quotes */
		if (family == 4)
			return length;
		if (ip[6] == ANYHOP_IP_ICMPV6 && length >= l3 + 88 && random_below(2))
			ip += 48;
		header[0] = ip[6];
		ip[6] = extensions[random_below(5)];
		if (random_below(4) == 0)
			put16(header + 2, random_below(65536));
		return insert(frame, length, max, (__u32)(ip + 40 - frame), header, 8);
	case 3: /* a length near an MTU */
		wanted = l3 + sizes[random_below(8)] - random_below(60);
		if (wanted > max)
			return length;
		if (wanted > length)
			memset(frame + length, 0, wanted - length);
		return wanted;
	default: /* an echo request or an error */
		if (length < l3 + (family == 4 ? 28 : 48))
			return length;
		ip[family == 4 ? 9 : 6] = family == 4 ? ANYHOP_IP_ICMP : ANYHOP_IP_ICMPV6;
		ip[family == 4 ? 20 : 40] = family == 4 ? (random_below(2) ? 8 : 3) : (random_below(2) ? 128 : 1 + random_below(4));
		return length;
	}
}

/* Which image, and whether and how it is damaged: mostly where the header and the VIPs are. */
static void mutate_head(struct input *input)
{
	switch (random_below(3)) {
	case 0:
		input->image = (__u8)random_below(256);
		break;
	case 1:
		input->damage = (__u8)random_below(2);
		break;
	default:
		input->word = (__u16)random_below(random_below(4) ? 256 : 65536);
		input->value = random_below(2) ? random_below(1 << 20) : ~random_below(1 << 10);
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	struct input input;
	__u32 max, length;

	state = seed | 1;
	if (size < INPUT_HEAD || max_size <= INPUT_HEAD)
		return LLVMFuzzerMutate(data, size, max_size);
	memcpy(&input, data, sizeof(input));
	if (random_below(16) == 0)
		mutate_head(&input);
	memcpy(data, &input, sizeof(input));
	max = (__u32)(max_size - INPUT_HEAD);
	length = (__u32)(size - INPUT_HEAD);
	if (random_below(4) == 0)
		length = restructure(data + INPUT_HEAD, length, max);
	else
		length = (__u32)LLVMFuzzerMutate(data + INPUT_HEAD, length, max);
	repair(image_of(input.image), data + INPUT_HEAD, length);
	return INPUT_HEAD + length;
}
