// SPDX-License-Identifier: MIT OR GPL-2.0-only
/*
 * Steers packets for VIPs into AF_XDP sockets, where the TypeScript pipeline forwards them; everything else, and neighbour discovery
 * for a VIP, passes to the host. It asks of a packet what the pipeline asks first, with the same code, and counts what it passes under the same
 * verdicts; of the image it needs the header and the VIPs.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "anyhop/match.h"
#include "maps.h"

/* The sockets, by receive queue. */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} xsks SEC(".maps");

/* The verdict under which a frame passes to the host, or -1 when the pipeline is to judge it: it is for a VIP, or may be, behind more
 * VLAN tags than anybody reads. */
static __always_inline int judge(const struct anyhop_view *view, const __u8 *frame, const __u8 *end)
{
	struct anyhop_cursor at = { .at = frame, .end = end };
	int type = anyhop_parse_ethernet(&at), verdict;
	const struct anyhop_vip *vip;

	if (anyhop_is_vlan(type)) {
		verdict = anyhop_judge_deep(view, frame, &at, type);
		return verdict == ANYHOP_V_DROP_VLAN_TAGS ? -1 : verdict;
	}
	if (type == ANYHOP_ETHERTYPE_IPV4) {
		if (!anyhop_fits(&at, 20) || at.at[0] >> 4 != 4)
			return ANYHOP_V_PASS_NOT_IP;
		vip = anyhop_find_vip_at(view, 4, at.at + 16);
	} else if (type == ANYHOP_ETHERTYPE_IPV6) {
		if (!anyhop_fits(&at, 40) || at.at[0] >> 4 != 6)
			return ANYHOP_V_PASS_NOT_IP;
		vip = anyhop_find_vip_at(view, 6, at.at + 24);
	} else {
		return ANYHOP_V_PASS_NOT_IP;
	}
	if (!vip)
		return ANYHOP_V_PASS_NOT_VIP;
	verdict = anyhop_judge_mac(anyhop_header(view), frame);
	if (verdict < 0 && type == ANYHOP_ETHERTYPE_IPV6 && anyhop_is_neighbour_discovery(at.at, end))
		return ANYHOP_V_PASS_NEIGHBOUR;
	return verdict == ANYHOP_V_PASS_OTHER_HOST ? verdict : -1;
}

SEC("xdp")
int anyhop_steer(struct xdp_md *ctx)
{
	__u32 first = 0, cpu = bpf_get_smp_processor_id();
	const struct anyhop_live *in_force = bpf_map_lookup_elem(&live, &first);
	struct anyhop_counters *counted = bpf_map_lookup_elem(&counters, &cpu);
	__u32 buffer = in_force ? in_force->buffer : 0;
	struct anyhop_view view = { .image = bpf_map_lookup_elem(&images, &buffer),
				    .limit = sizes.image_bytes - ANYHOP_READ_MAX };
	int verdict, action;

	if (!view.image || !counted)
		return XDP_PASS;
	verdict = judge(&view, (const __u8 *)(long)ctx->data, (const __u8 *)(long)ctx->data_end);
	if (verdict >= 0) {
		counted->verdicts[verdict]++;
		return XDP_PASS;
	}
	/* The host must not get it: it would answer for the VIP. */
	action = (int)bpf_redirect_map(&xsks, ctx->rx_queue_index, XDP_DROP);
	if (action != XDP_REDIRECT)
		counted->verdicts[ANYHOP_STEER_MISSED]++;
	return action;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
