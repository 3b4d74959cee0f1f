// SPDX-License-Identifier: MIT OR GPL-2.0-only
/*
 * The backend's end of the tunnel: unwraps the fleet's GRE packets for configured services and hands them to the
 * host, which answers the client directly.
 *
 *   Ethernet | outer IP | GRE | inner packet   ->   Ethernet | inner packet   ->   the host's sockets
 *
 * What it lets through is the whole of a backend's protection, since a VIP must not be reached around its services:
 *  - A sender counts as the fleet's when it is a configured forwarder or peer. The fleet's packets are unwrapped
 *    for services alone, and everything else in them is dropped. So is what would be delivered for a VIP that this
 *    host does not have.
 *  - Any other sender is a stranger. The host may have tunnels of its own, so a stranger's GRE passes untouched,
 *    except when its inner packet is for a VIP or too short to tell. Later fragments pass too: without the first
 *    one, which is judged and must have all of the headers, they come to nothing.
 *
 * A key (RFC 2890) names the alternates of the flow's slot: what would be delivered then has a second chance
 * (second-chance.h).
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "anyhop/agent.h"
#include "anyhop/parse.h"
#include "capture.h"
#include "fleet.h"
#include "second-chance.h"
#include "unwrap.h"

/* GRE flags (RFC 2784, RFC 2890) as read in host order. */
#define GRE_CHECKSUM 0x8000u
#define GRE_ROUTING 0x4000u
#define GRE_KEY 0x2000u
#define GRE_SEQUENCE 0x1000u
#define GRE_VERSION 0x0007u
/* Everything that must be zero here: RFC 2784 section 2.3 refuses bits 1 to 5 (less the key), and ignores 6 to 12. */
#define GRE_REFUSED (GRE_CHECKSUM | GRE_ROUTING | GRE_SEQUENCE | 0x0c00u | GRE_VERSION)

/* TCP flags (RFC 9293). */
enum { TCP_SYN = 0x02, TCP_ACK = 0x10 };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ANYHOP_AGENT_VERDICT_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

/* What judging found out and unwrapping needs. */
struct inner {
	__u32 offset; /* from the start of the frame, in bytes */
	__u32 family;
	__u32 length; /* in bytes, by its own header */
	__u32 ecn;    /* to be written, or ECN_NONE to leave it as it is */
	__u32 outer_family;
	__u32 has_vip;
	struct key key;
	struct flow flow; /* of a packet with a key */
	const struct anyhop_agent_path *path; /* to the backend that it is to be sent on to */
};

#define VERDICT(name) ANYHOP_AGENT_V_##name

static __always_inline int same_address(const __u8 *a, const __u8 *b, __u32 family)
{
	__u32 differ = anyhop_get32(a) ^ anyhop_get32(b);

	if (family == 6)
		differ |= (anyhop_get32(a + 4) ^ anyhop_get32(b + 4)) | (anyhop_get32(a + 8) ^ anyhop_get32(b + 8)) |
			  (anyhop_get32(a + 12) ^ anyhop_get32(b + 12));
	return differ == 0;
}

/* RFC 1071, over 20 bytes. */
static __always_inline int ipv4_checksum_ok(const __u8 *header)
{
	__u64 sum = 0;

	for (int i = 0; i < 20; i += 4)
		sum += anyhop_get32(header + i);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

/* Where a cursor can be at most, in bytes from the start of the frame: behind Ethernet, IPv4 or IPv6 without options,
 * and GRE; behind the inner IP headers. Their sum and one more walk stay below the verifier's 65535. */
#define INNER_MAX 128u
#define TRANSPORT_MAX 20479u

/* GRE of a sender outside the fleet; the cursor stands behind the outer header, and the packet goes from `start` to where its
 * length says: behind that the frame may say anything. Linux's own tunnels take a checksum, a key and a sequence number,
 * so these are stepped over; what they refuse, or what carries no bare IP, passes. */
static __always_inline int judge_stranger(struct anyhop_cursor *c, const __u8 *start, const struct anyhop_ip *outer)
{
	__u32 flags, type, family, size;

	if (outer->fragment == ANYHOP_LATER)
		return VERDICT(PASS_OTHER_TUNNEL);
	if (!anyhop_fits(c, 4) || anyhop_distance(start, c->at) + 4 > outer->length)
		return VERDICT(DROP_STRANGER);
	flags = anyhop_load16(c->at);
	type = anyhop_load16(c->at + 2);
	if (flags & (GRE_VERSION | GRE_ROUTING) || (type != ANYHOP_ETHERTYPE_IPV4 && type != ANYHOP_ETHERTYPE_IPV6))
		return VERDICT(PASS_OTHER_TUNNEL);
	c->at += 4 + (flags & GRE_CHECKSUM ? 4 : 0) + (flags & GRE_KEY ? 4 : 0) + (flags & GRE_SEQUENCE ? 4 : 0);
	family = type == ANYHOP_ETHERTYPE_IPV4 ? 4 : 6;
	size = family == 4 ? 20 : 40;
	if (!anyhop_fits(c, size) || anyhop_distance(start, c->at) + size > outer->length)
		return VERDICT(DROP_STRANGER);
	return find_vip(c->at + (family == 4 ? 16 : 24), family) ? VERDICT(DROP_STRANGER) : VERDICT(PASS_OTHER_TUNNEL);
}

/* A SYN is for whoever owns the slot now; any other packet of TCP belongs to a connection. Forwarders give no key to
 * fragments, which cannot all be told a socket. */
static __always_inline void note_flow(const struct anyhop_cursor *c, const struct anyhop_ip *inner, const __u8 *start,
				      struct inner *found)
{
	if (inner->protocol != ANYHOP_IP_TCP || inner->fragment != ANYHOP_WHOLE || !anyhop_fits(c, 20))
		return;
	if ((c->at[13] & (TCP_SYN | TCP_ACK)) == TCP_SYN) {
#ifdef ANYHOP_AGENT_WITH_COOKIES
		found->flow.mark = ANYHOP_AGENT_MARK_TRIAL;
#endif
		return;
	}
#ifdef ANYHOP_AGENT_WITH_COOKIES
	if (!has_next(&found->key) && !may_end_handshake(c->at, c->end))
		return;
#else
	if (found->key.format == KEY_NONE)
		return;
#endif
	set_flow(&found->flow, inner->family, inner->source, inner->destination, anyhop_get32(c->at));
	found->flow.ip = start;
	found->flow.tcp = c->at;
}

/* TCP or UDP; the cursor stands at its header, and the packet goes from `start` to `last`. */
static __always_inline int judge_transport(struct anyhop_cursor *c, const struct anyhop_ip *inner, const __u8 *start,
					   const __u8 *last, __u32 row, struct inner *found)
{
	long size = inner->protocol == ANYHOP_IP_TCP ? 20 : 8;

	if (inner->fragment == ANYHOP_LATER)
		return row ? VERDICT(DELIVERED_FRAGMENT) : VERDICT(DROP_NO_SERVICE);
	/* A first fragment too short for the header is an attack (RFC 1858 section 3). */
	if (last - c->at < size || !anyhop_fits(c, 4))
		return VERDICT(DROP_TRUNCATED);
	if (!is_service(row, anyhop_load16(c->at + 2)))
		return VERDICT(DROP_NO_SERVICE);
	note_flow(c, inner, start, found);
	return VERDICT(DELIVERED);
}

/* Errors follow the flow that they quote, whose source is the VIP: without them path MTU discovery breaks. The quote is read by the
 * forwarder's rules (anyhop_read_embedded): what it lets through must not end here. */
static __always_inline int judge_icmp(struct anyhop_cursor *c, const struct anyhop_ip *inner, const __u8 *last,
				      const struct anyhop_agent_vip *vip, struct inner *found)
{
	struct anyhop_ip quoted = {};
	__u32 type, ports;
	int protocol;

	if (inner->fragment != ANYHOP_WHOLE)
		return VERDICT(DROP_ICMP_FRAGMENT);
	if (last - c->at < 8 || !anyhop_fits(c, 8))
		return VERDICT(DROP_TRUNCATED);
	type = c->at[0];
	c->at += 8;
	if (inner->family == 4) {
		/* Unreachable, time exceeded, parameter problem (RFC 792). */
		if (type != 3 && type != 11 && type != 12)
			return VERDICT(DROP_ICMP_TYPE);
		protocol = anyhop_parse_ipv4(c, &quoted);
	} else {
		/* The same and packet too big (RFC 4443 section 3). */
		if (type < 1 || type > 4)
			return VERDICT(DROP_ICMP_TYPE);
		protocol = anyhop_parse_ipv6(c, &quoted, ANYHOP_WALK_QUOTED);
	}
	if ((protocol != ANYHOP_IP_TCP && protocol != ANYHOP_IP_UDP) || quoted.fragment == ANYHOP_LATER ||
	    last - c->at < 8 || !anyhop_fits(c, 8) ||
	    !same_address(quoted.source, inner->destination, inner->family) ||
	    !is_service(row_of(vip, (__u32)protocol), anyhop_load16(c->at)))
		return VERDICT(DROP_ICMP_UNMATCHED);
	if (found->key.format != KEY_NONE && protocol == ANYHOP_IP_TCP) {
		ports = anyhop_get32(c->at);
		set_flow(&found->flow, inner->family, quoted.destination, quoted.source, ports << 16 | ports >> 16);
	}
	return VERDICT(DELIVERED_ICMP_ERROR);
}

/* The packet inside the fleet's GRE, which ends at `end`. */
static __always_inline int judge_inner(struct anyhop_cursor *c, struct anyhop_ip *inner, int type, const __u8 *frame,
				       const __u8 *end, struct inner *found)
{
	const __u8 *start = c->at, *last;
	int protocol = anyhop_parse_ip(c, inner, type, ANYHOP_WALK_RECEIVED);
	const struct anyhop_agent_vip *vip;

	if (inner->family == 0 || (long)inner->length > end - start)
		return VERDICT(DROP_INNER_LENGTH);
	if (protocol < 0)
		return VERDICT(DROP_INNER_EXTENSION_HEADER);
	last = start + inner->length;
	if (last < c->at || !anyhop_settle(c, frame, TRANSPORT_MAX))
		return VERDICT(DROP_INNER_LENGTH);
	vip = find_vip(inner->destination, inner->family);
	if (!vip)
		return VERDICT(DROP_NOT_VIP);
	found->has_vip = (__u32)has_vip(vip);
	if (protocol == ANYHOP_IP_TCP || protocol == ANYHOP_IP_UDP)
		return judge_transport(c, inner, start, last, row_of(vip, (__u32)protocol), found);
	if (protocol == (inner->family == 4 ? ANYHOP_IP_ICMP : ANYHOP_IP_ICMPV6))
		return judge_icmp(c, inner, last, vip, found);
	return VERDICT(DROP_PROTOCOL);
}

/* GRE of the fleet to this backend; the cursor stands behind the outer header, which starts at `start`. */
static __always_inline int judge_fleet(struct xdp_md *ctx, struct anyhop_cursor *c, const __u8 *start,
				       const struct anyhop_ip *outer, const __u8 *frame, struct inner *found)
{
	struct anyhop_ip inner = {};
	__u32 flags, type, size;
	int verdict;

	if (outer->fragment != ANYHOP_WHOLE)
		return VERDICT(DROP_OUTER_FRAGMENT);
	if (outer->header_length != (outer->family == 4 ? 20 : 40))
		return VERDICT(DROP_OUTER_OPTIONS);
	if (outer->family == 4 && !ipv4_checksum_ok(start))
		return VERDICT(DROP_OUTER_CHECKSUM);
	if (!anyhop_fits(c, 4) || outer->length > (__u32)(c->end - start))
		return VERDICT(DROP_OUTER_LENGTH);
	flags = anyhop_load16(c->at);
	type = anyhop_load16(c->at + 2);
	if (flags & GRE_REFUSED || (type != ANYHOP_ETHERTYPE_IPV4 && type != ANYHOP_ETHERTYPE_IPV6))
		return VERDICT(DROP_GRE_HEADER);
	size = flags & GRE_KEY ? 8 : 4;
	if (!anyhop_fits(c, size) || outer->length < outer->header_length + size)
		return VERDICT(DROP_OUTER_LENGTH);
	if (flags & GRE_KEY && anyhop_fits(c, 8)) {
		found->key.format = flags & GRE_ALTERNATES ? KEY_ALTERNATES : KEY_ADDRESS;
		found->key.word = anyhop_get32(c->at + 4);
		if (flags & GRE_ALTERNATES)
			found->key.word = __builtin_bswap32(found->key.word);
	}
	c->at += size;
	if (!anyhop_settle(c, frame, INNER_MAX))
		return VERDICT(DROP_OUTER_LENGTH);
	found->offset = (__u32)(c->at - frame);
	found->outer_family = outer->family;
#ifdef ANYHOP_AGENT_WITH_COOKIES
	found->flow.owner = outer->family == 4 ? anyhop_cookie_owner4(outer->destination) : anyhop_cookie_owner6(outer->destination);
#endif
	verdict = judge_inner(c, &inner, (int)type, frame, start + outer->length, found);
	found->family = inner.family;
	found->length = inner.length;
	found->ecn = combine_ecn(outer->ecn, inner.ecn);
	if (verdict > VERDICT(DELIVERED_ICMP_ERROR))
		return verdict;
	if (found->ecn == ECN_DROP)
		return VERDICT(DROP_ECN);
	verdict = give_second_chance(ctx, &found->flow, &found->key, found->length, verdict, &found->path);
	/* The kernel would route it on, where it forwards: back to a forwarder, which sends it here again until its TTL ends. */
	if (verdict <= VERDICT(DELIVERED_COOKIE) && !found->has_vip)
		return VERDICT(DROP_VIP_NOT_LOCAL);
	return verdict;
}

static __always_inline int judge(struct xdp_md *ctx, struct inner *found)
{
	const __u8 *frame = (const __u8 *)(long)ctx->data;
	struct anyhop_cursor c = {.at = frame, .end = (const __u8 *)(long)ctx->data_end};
	struct anyhop_ip outer = {};
	const __u8 *start;
	int type, protocol;

	type = anyhop_parse_ethernet(&c);
	if (anyhop_is_vlan(type))
		type = anyhop_parse_deep_tags(&c, frame, type);
	/* Linux would take priority tags off, however many there are. */
	if (anyhop_is_vlan(type))
		return VERDICT(DROP_OUTER_OPTIONS);
	if (type != ANYHOP_ETHERTYPE_IPV4 && type != ANYHOP_ETHERTYPE_IPV6)
		return VERDICT(PASS_NOT_GRE);
	start = c.at;
	protocol = anyhop_parse_ip(&c, &outer, type, ANYHOP_WALK_OUTER);
	/* What could be GRE and cannot be told. No sound packet is dropped by it: RFC 8200 knows seven headers in a row. */
	if (protocol == ANYHOP_TOO_MANY || protocol == ANYHOP_HIDDEN)
		return VERDICT(DROP_OUTER_OPTIONS);
	if (protocol != ANYHOP_IP_GRE)
		return VERDICT(PASS_NOT_GRE);
	if (!is_fleet(&outer))
		return judge_stranger(&c, start, &outer);
	if (!is_local(&outer))
		return VERDICT(PASS_OTHER_DESTINATION);
	return judge_fleet(ctx, &c, start, &outer, frame, found);
}

/* Whether the packet leaves by headers of the same shape, and the frame ends where it does. */
static __always_inline int keeps_shape(const struct xdp_md *ctx, const struct inner *inner)
{
	const struct anyhop_path *path = &inner->path->path;
	__u32 family = path->flags & ANYHOP_PATH_OUTER_IPV6 ? 6 : 4;

	return goes_keyed(&inner->key, inner->path) && inner->outer_family == family &&
	       inner->offset == path->l2_length + (family == 6 ? 48 : 28) &&
	       ctx->data_end - ctx->data == inner->offset + inner->length;
}

/* In place where that can be, or else unwraps and wraps anew, which puts the outer header's ECN field where RFC 6040 wants it on
 * both ends. */
static __always_inline int send_on(struct xdp_md *ctx, const struct inner *inner)
{
	if (!inner->path)
		return -1;
	if (keeps_shape(ctx, inner))
		return rewrite(ctx, inner->path, inner->family, inner->length, inner->key.word);
	if (unwrap(ctx, inner->offset, inner->family, inner->ecn))
		return -1;
	return wrap(ctx, inner->path, inner->family, inner->length, &inner->key, label_of(&inner->flow));
}

static __always_inline int deliver(struct xdp_md *ctx, const struct inner *inner)
{
	if (unwrap(ctx, inner->offset, inner->family, inner->ecn))
		return -1;
#ifdef ANYHOP_AGENT_WITH_COOKIES
	if (inner->flow.mark != ANYHOP_AGENT_MARK_NONE)
		return leave_mark(ctx, inner->flow.mark);
#endif
	return 0;
}

/* The key that a packet came in with. Second chance has changed it already in what judging found out. */
static __always_inline __u32 key_received(struct xdp_md *ctx, const struct inner *inner)
{
	__u32 word;

	if (inner->key.format == KEY_NONE || inner->offset < 4 || bpf_xdp_load_bytes(ctx, inner->offset - 4, &word, sizeof(word)))
		return 0;
	return inner->key.format == KEY_ALTERNATES ? __builtin_bswap32(word) : word;
}

/* What was judged about a packet that is recorded. */
static __noinline int capture_before(struct xdp_md *ctx, const struct inner *inner, __u32 verdict)
{
	struct capture_draft *draft = capture_new_draft();
	__u32 offset = inner->offset, family = inner->family, matches;

	if (!draft)
		return 0;
	draft->record.service = draft->record.backend = ANYHOP_NONE;
	draft->record.slot = ANYHOP_CAPTURE_NO_SLOT;
	draft->record.hash = 0;
	draft->record.key = key_received(ctx, inner);
	draft->record.generation = 0;
	if (offset && (family == 4 || family == 6) && capture.filter.terms & CAPTURE_FLOW_TERMS)
		matches = (__u32)capture_matches(ctx, offset, family);
	else
		matches = (__u32)capture_matches_frame(ctx, 1);
	capture_keep(ctx, draft, verdict, matches);
	return 0;
}

/* By verdict. In a section of its own: clang puts a table of 16 or 32 bytes where libbpf does not find it (.rodata.cst32). */
static const __u8 actions[] SEC(".rodata.actions") = {
#define V(name, action, text) ANYHOP_AGENT_##action,
	ANYHOP_AGENT_VERDICTS(V)
#undef V
};

SEC("xdp")
int anyhop_agent(struct xdp_md *ctx)
{
	struct inner inner = {};
	__u32 verdict, action, cpu = bpf_get_smp_processor_id();
	__u64 *counter;

	capture_looks(ctx, cpu, 0);
	verdict = (__u32)judge(ctx, &inner);
	if (verdict >= ANYHOP_AGENT_VERDICT_COUNT)
		return XDP_ABORTED; /* for the verifier; every verdict is in the list */
	if (anyhop_unlikely(capture_wanted(cpu)))
		capture_before(ctx, &inner, verdict);
	action = actions[verdict];
	if ((action == ANYHOP_AGENT_DELIVER && deliver(ctx, &inner)) ||
	    (action == ANYHOP_AGENT_SEND && send_on(ctx, &inner))) {
		verdict = VERDICT(DROP_ADJUST);
		action = ANYHOP_AGENT_DROP;
	}
	counter = bpf_map_lookup_elem(&counters, &verdict);
	if (counter)
		++*counter;
	if (anyhop_unlikely(capture_wanted(cpu)))
		capture_after(ctx, verdict, action == ANYHOP_AGENT_DELIVER || action == ANYHOP_AGENT_SEND);
	return action == ANYHOP_AGENT_DROP ? XDP_DROP : action == ANYHOP_AGENT_SEND ? XDP_TX : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
