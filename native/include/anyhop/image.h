/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * The image: the whole forwarding state as one flat memory that every engine reads.
 *
 * This header is its only source. scripts/generate-layout.sh compiles native/lib/layout.c against it and writes
 * the TypeScript offsets (src/core/layout.gen.ts); whoever loads the native library compares the two.
 *
 *   +--------+------------------+-----------------------------+-----------------------+-----------+-------+-------+-------+
 *   | header | VIPs             | services                    | tables                | templates | paths | lanes | names |
 *   | 320 B  | open-addressed,  | 64 B each; those of a VIP   | per pool: u16 owners, | 64 B a    | 16 B  | see   | JSON  |
 *   |        | 32 B each        | and protocol sorted by port | u32 keys, holders     | backend   | each  | below |       |
 *   +--------+------------------+-----------------------------+-----------------------+-----------+-------+-------+-------+
 *
 * What to know:
 *  - Integers are little-endian; addresses and templates are bytes in network order. A 32-bit load of an address
 *    on a little-endian machine is thus its "raw" word, and raw words are what is compared and hashed.
 *  - Every section starts on a 64-byte line. Offsets are from the start of the image, in bytes.
 *  - Packets never need the names. They say which counter is whose, so that whoever finds an image in force (a process
 *    that was restarted, `anyhop status`) can go on counting and tell what has been counted.
 *  - An image is never edited once published. A new one is built beside it and has a higher generation.
 */
#ifndef ANYHOP_IMAGE_H
#define ANYHOP_IMAGE_H

#include <linux/types.h>

#define ANYHOP_IMAGE_MAGIC 0x31706861u /* "ahp1" */
#define ANYHOP_IMAGE_VERSION 8u

/* Of the flow hash (flow_hash.h) and its keys: another version gives nearly every flow another slot. */
#define ANYHOP_FLOW_HASH_VERSION 2u
#define ANYHOP_FLOW_KEY_WORDS 10u

#define ANYHOP_NONE 0xffffu      /* no owner, no service */
#define ANYHOP_FRAGMENT_AMBIGUOUS 0xffffu   /* more than one pool or kind of hash could answer */
#define ANYHOP_FRAGMENT_NEEDS_PORTS 0xfffeu /* a TCP service of the VIP hashes the ports */
#define ANYHOP_READ_MAX 128u     /* bytes that may be read at any offset: the names fill as many */
#define ANYHOP_VIP_PROBES_MAX 8u /* the builder grows the VIP array until no probe is longer */
#define ANYHOP_TEMPLATE_SIZE 64u /* Ethernet 14, VLAN 4, IPv6 40, GRE 4 make 62 */
#define ANYHOP_EXTENSION_HEADERS_MAX 8u
#define ANYHOP_VLAN_TAGS_MAX 2u  /* what is forwarded or answered has no more */
#define ANYHOP_VLAN_TAGS_READ 8u /* how many are looked through for a VIP */
#define ANYHOP_OTHER_MACS_MAX 15u
#define ANYHOP_HEADROOM 96u      /* free bytes a pipeline needs before a frame: 62 + 4 of key, rounded up */
#define ANYHOP_QUOTE6 512u       /* bytes of the packet that a packet-too-big message quotes */
#define ANYHOP_IPV6_MTU_MIN 1280u /* RFC 8200 section 5: no link has less, and no sender goes below it */
#define ANYHOP_PATH_MTU_MIN 600u /* below it, a packet that is too big could be shorter than the quote of it */

enum anyhop_hash_mode { ANYHOP_HASH_5_TUPLE, ANYHOP_HASH_3_TUPLE, ANYHOP_HASH_SOURCE };

/* anyhop_path.flags */
#define ANYHOP_PATH_OUTER_IPV6 1u
#define ANYHOP_PATH_AGENT 2u
#define ANYHOP_PATH_COOKIES 4u /* its agent takes the fleet's SYN cookies */

/* anyhop_header.flags */
#define ANYHOP_IMAGE_CHECK_MAC 1u /* frames for the MAC addresses of others pass untouched */

/* Where the lanes are (lane.h), which are made from the rest of the image: a path a backend, 64 bytes each; then open-addressed, of
 * services, those of IPv4, 64 bytes each, and those of IPv6, 128; then a filter of VIPs. */
struct anyhop_lanes {
	__u64 mac_mask; /* of a frame's first eight bytes: the interface's own address, or that of any single machine */
	__u64 mac;
	__u64 multipliers[2]; /* of a lane's two places */
	__u32 offset4;
	__u32 mask4; /* of bytes: (places - 1) * 64 */
	__u32 offset6;
	__u32 mask6; /* (places - 1) * 128 */
	__u32 source4_hosts; /* the header's as a raw word */
	__u32 path_offset;
	__u32 filter_offset; /* bits, one of them set for each VIP: what has no bit here is none */
	__u32 filter_mask; /* of bytes: 8 * (words of 64 bits - 1) */
};

/* A service of one port; or of a range of them, the widest of its VIP and protocol. */
struct anyhop_lane {
	__u64 key; /* IPv4: VIP | port << 32 | protocol << 48, raw; IPv6 without VIP. ANYHOP_LANE_RANGE for a range of ports. All ones in a
		    * free place, which no packet has */
	__u32 nh[2]; /* of the flow hash key: the first two words, */
	__u64 finish[2]; /* and the last four */
	__u32 owners_offset;
	__u32 keys_offset; /* 0: no packet gets a key */
	__u32 slots;
	__u32 paths_offset; /* of the pool's first backend */
	__u32 counter; /* its place in struct anyhop_counters and what follows it, in bytes */
	__u32 ports; /* mask: all ones, or 0 where ports are not hashed */
	__u16 least; /* bytes of the shortest packet */
	__u8 overflow; /* somebody whose first place this is stands at its second */
	__u8 guarded; /* the low byte of anyhop_rules.flags (defend.h): 0 when the service has no rules of defence */
	__u16 port_first; /* of a range, host order, both included */
	__u16 port_last;
};

struct anyhop_lane6 {
	struct anyhop_lane lane;
	__u64 address[2]; /* the VIP, raw */
	__u32 nh[4]; /* the flow hash key's third word to the sixth */
	__u64 reserved[4];
};

/* A backend: what its path and template say, as anyhop_lane_write wants it. */
struct anyhop_lane_path {
	__u16 most; /* bytes of the longest packet that fits, key and all */
	__u8 shape; /* ANYHOP_LANE_... */
	__u8 takes_cookies; /* as ANYHOP_PATH_COOKIES */
	__u32 interface_index;
	__u32 checksum; /* IPv4: raw sum of the outer header; IPv6: next header and hop limit as raw halves of a word */
	__u32 counter; /* its place behind those of services, in bytes */
	__u64 words[6]; /* IPv4: bytes 0, 8, 16, 24 and 30 (tagged: 32) of the template; IPv6: 0, 8, and the two addresses */
};

/* In anyhop_lane.key, in the place of the port: no packet has this bit. */
#define ANYHOP_LANE_RANGE (1ull << 56)

/* anyhop_lane_path.shape */
#define ANYHOP_LANE_OUTER_IPV6 1u
#define ANYHOP_LANE_TAGGED 2u

/* Spreads the low half of an IPv6 address over a place. */
#define ANYHOP_LANE_LOW_FACTOR 0xd6e8feb86659fd93ull

struct anyhop_header {
	__u32 magic;
	__u32 version;
	__u32 size;
	__u32 generation;
	__u32 vip_offset;
	__u32 vip_mask; /* capacity - 1; the capacity is a power of two */
	__u32 service_offset;
	__u32 service_count;
	__u32 table_offset;
	__u32 table_bytes;
	__u32 template_offset;
	__u32 path_offset;
	__u32 backend_count;
	__u32 flags;
	__u8 mac[6]; /* the interface's own address */
	__u8 reserved0[2];
	__u32 source4_hosts; /* host bits of the outer IPv4 source prefix, host order; 0 for a single address */
	__u8 digest[32];     /* SHA-256 of the image with this field and the generation zero */
	__u32 service_counters; /* counters that are in use: one more than the highest number */
	__u32 backend_counters;
	__u32 names_offset; /* {"services": [...], "backends": [...]}, by counter number, UTF-8 */
	__u32 names_bytes;
	__u32 other_mac_count;
	__u8 other_macs[ANYHOP_OTHER_MACS_MAX][8]; /* further addresses of this host on the interface, two bytes of zero behind each */
	__u32 flow_hash_version;
	__u32 rules_offset; /* 0: no service has rules of defence; or else anyhop_defence, and anyhop_rules of each service counter */
	__u32 cookie_offset; /* 0: the node answers no SYN; or else the key of its SYN cookies (cookie.h) */
	__u32 former_offset; /* 0: no flow hash key changes; or else an anyhop_former for each service */
	struct anyhop_lanes lanes; /* a line of its own */
};

/* One VIP. IPv4 sits in address[3], the rest zero; family 0 marks a free place. */
struct anyhop_vip {
	__u32 address[4];
	__u8 family; /* 4, 6 or 0 */
	__u8 reserved[3];
	__u16 tcp_first; /* number of its first service */
	__u16 tcp_count;
	__u16 udp_first;
	__u16 udp_count;
	__u16 tcp_fragment; /* the service entry that answers for fragments, or one of ANYHOP_FRAGMENT_... */
	__u16 udp_fragment;
};

struct anyhop_service {
	__u32 key[ANYHOP_FLOW_KEY_WORDS]; /* flow hash key, the constant parts of the flow folded in */
	__u32 owners_offset;
	__u32 keys_offset; /* 0: without second chance. Each key is what a packet of the slot carries in its GRE header; 0: none */
	__u32 slots; /* M */
	__u32 backend_first; /* owner indexes count from here */
	__u16 counter; /* whose counters it feeds; it stays the same from image to image */
	__u8 hash_mode;
	__u8 is_rekeyed; /* its flow hash key has changed within a settle time: anyhop_former has the former one */
	__u16 port_first; /* host order, both included; entries for fragments have none and are no VIP's */
	__u16 port_last;
};

/* Of the service with the same number, while connections live that were hashed with a former key. */
struct anyhop_former {
	__u32 key[ANYHOP_FLOW_KEY_WORDS];
	__u32 holders_offset; /* as keys_offset, by the slot of the former key: who may hold its connections */
	__u32 reserved[5];
};

/* What a packet to one backend needs beside the template's bytes. */
struct anyhop_path {
	__u16 mtu; /* of the path to the backend, at layer 3 */
	__u8 l2_length; /* 14, or 18 with a VLAN tag */
	__u8 flags;
	__u32 interface_index; /* 0: the one that the packet came in on */
	__u16 id; /* names the backend in GRE keys; 0: none */
	__u16 reserved;
	__u16 checksum; /* folded sum of the 16-bit words of the template's outer IPv4 header (RFC 1071) */
	__u16 counter; /* whose counters it feeds; it stays the same from image to image */
};

/* The start of the VIP search. The last octets of an address stand in the high bits of a raw word, and a multiplication
 * carries only upwards: the rotations and MurmurHash3's finalizer bring them down to where the place is taken from. The
 * addresses come from the operator's config, so the mix needs no secret; the builder guarantees that
 * ANYHOP_VIP_PROBES_MAX probes are enough. For IPv4 it is the finalizer alone. */
static inline __u32 anyhop_vip_hash(__u32 a0, __u32 a1, __u32 a2, __u32 a3)
{
	__u32 h = a0 * 0x9e3779b1u;

	h = (h << 15 | h >> 17) ^ a1;
	h *= 0x9e3779b1u;
	h = (h << 15 | h >> 17) ^ a2;
	h *= 0x9e3779b1u;
	h = (h << 15 | h >> 17) ^ a3;
	h ^= h >> 16;
	h *= 0x85ebca6bu;
	h ^= h >> 13;
	h *= 0xc2b2ae35u;
	return h ^ h >> 16;
}

#define ANYHOP_STRUCTS(S, F) \
	S(header) \
	F(header, magic) F(header, version) F(header, size) F(header, generation) \
	F(header, vip_offset) F(header, vip_mask) \
	F(header, service_offset) F(header, service_count) \
	F(header, table_offset) F(header, table_bytes) F(header, template_offset) \
	F(header, path_offset) F(header, backend_count) F(header, flags) F(header, mac) \
	F(header, source4_hosts) F(header, digest) F(header, service_counters) F(header, backend_counters) \
	F(header, names_offset) F(header, names_bytes) F(header, other_mac_count) F(header, other_macs) \
	F(header, flow_hash_version) F(header, rules_offset) F(header, cookie_offset) F(header, former_offset) F(header, lanes) \
	S(lanes) \
	F(lanes, mac_mask) F(lanes, mac) F(lanes, multipliers) F(lanes, offset4) F(lanes, mask4) F(lanes, offset6) F(lanes, mask6) \
	F(lanes, source4_hosts) F(lanes, path_offset) F(lanes, filter_offset) F(lanes, filter_mask) \
	S(lane) \
	F(lane, key) F(lane, nh) F(lane, finish) F(lane, owners_offset) F(lane, keys_offset) F(lane, slots) F(lane, paths_offset) \
	F(lane, counter) F(lane, ports) F(lane, least) F(lane, overflow) F(lane, guarded) F(lane, port_first) F(lane, port_last) \
	S(lane6) F(lane6, address) F(lane6, nh) \
	S(lane_path) \
	F(lane_path, most) F(lane_path, shape) F(lane_path, takes_cookies) F(lane_path, interface_index) F(lane_path, checksum) F(lane_path, counter) \
	F(lane_path, words) \
	S(vip) \
	F(vip, address) F(vip, family) F(vip, tcp_first) F(vip, tcp_count) F(vip, udp_first) F(vip, udp_count) \
	F(vip, tcp_fragment) F(vip, udp_fragment) \
	S(service) \
	F(service, key) F(service, owners_offset) F(service, keys_offset) F(service, slots) \
	F(service, backend_first) F(service, counter) F(service, hash_mode) F(service, is_rekeyed) \
	F(service, port_first) F(service, port_last) \
	S(former) F(former, key) F(former, holders_offset) \
	S(path) \
	F(path, mtu) F(path, l2_length) F(path, flags) F(path, interface_index) F(path, id) \
	F(path, checksum) F(path, counter)

#define ANYHOP_CONSTANTS(C) \
	C(IMAGE_MAGIC) C(IMAGE_VERSION) C(FLOW_HASH_VERSION) C(FLOW_KEY_WORDS) C(NONE) C(FRAGMENT_AMBIGUOUS) C(FRAGMENT_NEEDS_PORTS) C(READ_MAX) C(VIP_PROBES_MAX) C(TEMPLATE_SIZE) C(EXTENSION_HEADERS_MAX) \
	C(VLAN_TAGS_MAX) C(VLAN_TAGS_READ) C(OTHER_MACS_MAX) \
	C(HEADROOM) C(QUOTE6) C(IPV6_MTU_MIN) C(PATH_MTU_MIN) C(HASH_5_TUPLE) C(HASH_3_TUPLE) C(HASH_SOURCE) \
	C(PATH_OUTER_IPV6) C(PATH_AGENT) C(PATH_COOKIES) C(IMAGE_CHECK_MAC) \
	C(LANE_OUTER_IPV6) C(LANE_TAGGED)

_Static_assert(sizeof(struct anyhop_header) == 320 && __builtin_offsetof(struct anyhop_header, lanes) == 256, "five cache lines");
_Static_assert(sizeof(struct anyhop_lanes) == 64 && sizeof(struct anyhop_lane) == 64 && sizeof(struct anyhop_lane6) == 128 &&
		       sizeof(struct anyhop_lane_path) == 64, "whole cache lines");
_Static_assert(sizeof(struct anyhop_vip) == 32, "two VIPs a cache line");
_Static_assert(sizeof(struct anyhop_service) == 64 && sizeof(struct anyhop_former) == sizeof(struct anyhop_service), "a service a cache line");
_Static_assert(sizeof(struct anyhop_path) == 16, "four paths a cache line");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the image is little-endian");

#endif
