/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Takes the outer header off a frame, and brings its ECN field into the inner one (RFC 6040).
 *
 *   Ethernet | VLAN | outer IP | GRE | inner packet   ->   Ethernet | inner packet
 */
#ifndef ANYHOP_UNWRAP_H
#define ANYHOP_UNWRAP_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "anyhop/bytes.h"
#include "anyhop/parse.h"

enum { ECN_NONE = 0, ECN_ECT1 = 1, ECN_ECT0 = 2, ECN_CE = 3, ECN_DROP = 4 };

/* RFC 6040 figure 4: what the inner packet's ECN field becomes; ECN_NONE to leave it, ECN_DROP to drop. */
static __always_inline __u32 combine_ecn(__u32 outer, __u32 inner)
{
	if (outer == ECN_CE)
		return inner == ECN_NONE ? ECN_DROP : inner == ECN_CE ? ECN_NONE : ECN_CE;
	return outer == ECN_ECT1 && inner == ECN_ECT0 ? ECN_ECT1 : ECN_NONE;
}

/* RFC 1624, equation 3, for the word that holds the TOS byte. */
static __always_inline void set_ecn(__u8 *ip, __u32 family, __u32 ecn)
{
	__u32 sum;

	if (family == 6) {
		ip[1] = (__u8)((ip[1] & 0xcf) | ecn << 4);
		return;
	}
	sum = (~anyhop_load16(ip + 10) & 0xffff) + (~anyhop_load16(ip) & 0xffff);
	ip[1] = (__u8)((ip[1] & 0xfc) | ecn);
	sum += anyhop_load16(ip);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~(sum + (sum >> 16)) & 0xffff;
	ip[10] = (__u8)(sum >> 8);
	ip[11] = (__u8)sum;
}

/* Leaves Ethernet and the packet of `family` that stands `offset` bytes into the frame; VLAN tags go with the outer header.
 * `ecn` as of combine_ecn. */
static __always_inline int unwrap(struct xdp_md *ctx, __u32 offset, __u32 family, __u32 ecn)
{
	const __u8 *old = (const __u8 *)(long)ctx->data;
	__u32 mac[3];
	__u8 *frame;

	if (old + 14 > (const __u8 *)(long)ctx->data_end)
		return -1;
	mac[0] = anyhop_get32(old);
	mac[1] = anyhop_get32(old + 4);
	mac[2] = anyhop_get32(old + 8);
	if (bpf_xdp_adjust_head(ctx, (int)(offset - 14)))
		return -1;
	frame = (__u8 *)(long)ctx->data;
	if (frame + 14 + 20 > (__u8 *)(long)ctx->data_end)
		return -1;
	anyhop_put32(frame, mac[0]);
	anyhop_put32(frame + 4, mac[1]);
	anyhop_put32(frame + 8, mac[2]);
	anyhop_put16be(frame + 12, family == 4 ? ANYHOP_ETHERTYPE_IPV4 : ANYHOP_ETHERTYPE_IPV6);
	if (ecn != ECN_NONE)
		set_ecn(frame + 14, family, ecn);
	return 0;
}

#endif
