// SPDX-License-Identifier: MIT OR GPL-2.0-only
/*
 * Makes the kernel of a backend take SYN cookies of the fleet. It runs at tc ingress, behind the agent's XDP program on the same interface,
 * and touches only packets that this has marked (fleet-cookie.h):
 *
 *   mark "cookie"  --> a former socket of this client and port? --yes--> end it by a RST; the packet once round
 *                            | no
 *                      bpf_sk_assign_tcp_reqsk: the kernel makes a connection of it
 *
 *   mark "follows" --> once round: by then its socket is there. If it is not, the accept queue is full, and the packet is dropped
 *
 * "Once round" is a redirection to the ingress of the same interface. The packet waits in the CPU's backlog until the burst that it came in is
 * done: XDP and tc see a whole burst before TCP sees the first packet of it, and of two packets of one handshake that are both
 * given a request, the second one makes a second child, which is thrown away with its data.
 *
 * An object of its own, because kernels before 6.9 lack the function and refuse it.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "anyhop/agent.h"
#include "anyhop/bytes.h"
#include "anyhop/cookie.h"
#include "cookie-counts.h"

/* The kernel's own. Names and layout of what its function takes must be its own too: libbpf compares the prototype. */
struct sock {
	int unused;
};
struct bpf_tcp_req_attrs {
	__u32 rcv_tsval, rcv_tsecr;
	__u16 mss;
	__u8 rcv_wscale, snd_wscale, ecn_ok, wscale_ok, sack_ok, tstamp_ok, usec_ts_ok, reserved[3];
};
extern int bpf_sk_assign_tcp_reqsk(struct __sk_buff *s, struct sock *sk, struct bpf_tcp_req_attrs *attrs, int attrs__sz) __ksym;

/* Of these only the names matter. */
struct tcp_sock {
	__u32 rcv_nxt, snd_una;
	__u64 bytes_acked;
} __attribute__((preserve_access_index));
struct tcp_request_sock {
	__u32 rcv_nxt;
} __attribute__((preserve_access_index));
struct sock_common {
	__u32 skc_tw_rcv_nxt;
} __attribute__((preserve_access_index));
struct inet_timewait_sock {
	struct sock_common __tw_common;
} __attribute__((preserve_access_index));
struct tcp_timewait_sock {
	struct inet_timewait_sock tw_sk;
	__u32 tw_ts_recent;
	int tw_ts_recent_stamp;
} __attribute__((preserve_access_index));

/* The map of the XDP program. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct anyhop_agent_clock);
} clock SEC(".maps");

/* A packet that has been round once, by what is still to be done. Nothing else sets marks before this program. */
#define ROUND_COOKIE 0x61686331u
#define ROUND_FOLLOWS 0x61686332u

#define ETHERNET 14u
#define TCP_RST_ALONE 0x5004u /* the length of 20 bytes, and the flag */

static __always_inline void count(__u32 what)
{
	__u64 *counter = bpf_map_lookup_elem(&cookies, &what);

	if (counter)
		++*counter;
}

static __always_inline int refuse(__u32 why, int action)
{
	count(why);
	return action;
}

static __always_inline __u32 load32(const __u8 *at)
{
	return __builtin_bswap32(anyhop_get32(at));
}

/* A packet without options of IP, as XDP marks no others. */
struct segment {
	__u32 family;
	__u32 tcp; /* from the start of the frame, in bytes */
	__u32 length; /* of the TCP header */
	__u32 sequence;
	__u32 cookie;
	struct bpf_sock_tuple tuple;
};

static __always_inline int read_segment(struct __sk_buff *skb, struct segment *s)
{
	const __u8 *ip, *tcp, *end;

	s->family = skb->protocol == bpf_htons(ETH_P_IP) ? 4 : 6;
	s->tcp = ETHERNET + (s->family == 4 ? 20 : 40);
	if (bpf_skb_pull_data(skb, s->tcp + 20))
		return -1;
	ip = (const __u8 *)(long)skb->data + ETHERNET;
	end = (const __u8 *)(long)skb->data_end;
	if (s->family == 4) {
		tcp = ip + 20;
		if (tcp + 20 > end)
			return -1;
		s->tuple.ipv4.saddr = anyhop_get32(ip + 12);
		s->tuple.ipv4.daddr = anyhop_get32(ip + 16);
		s->tuple.ipv4.sport = anyhop_get16(tcp);
		s->tuple.ipv4.dport = anyhop_get16(tcp + 2);
	} else {
		tcp = ip + 40;
		if (tcp + 20 > end)
			return -1;
		for (int i = 0; i < 4; i++) {
			s->tuple.ipv6.saddr[i] = anyhop_get32(ip + 8 + 4 * i);
			s->tuple.ipv6.daddr[i] = anyhop_get32(ip + 24 + 4 * i);
		}
		s->tuple.ipv6.sport = anyhop_get16(tcp);
		s->tuple.ipv6.dport = anyhop_get16(tcp + 2);
	}
	s->length = (tcp[12] >> 4) * 4;
	s->sequence = load32(tcp + 4);
	s->cookie = load32(tcp + 8) - 1;
	return 0;
}

/* The socket that a segment belongs to, of any state; to be released. */
static __always_inline struct bpf_sock *socket_of(struct __sk_buff *skb, struct segment *s)
{
	if (s->family == 4)
		return bpf_skc_lookup_tcp(skb, &s->tuple, sizeof(s->tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	return bpf_skc_lookup_tcp(skb, &s->tuple, sizeof(s->tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
}

static __always_inline int go_round(struct __sk_buff *skb, __u32 mark)
{
	skb->mark = mark;
	return bpf_redirect(skb->ifindex, BPF_F_INGRESS);
}

/* Behind the burst of its handshake. */
static __always_inline int follow(struct __sk_buff *skb, struct segment *s)
{
	struct bpf_sock *socket = socket_of(skb, s);
	int has_socket;

	if (!socket)
		return refuse(ANYHOP_AGENT_C_REFUSED_NO_LISTENER, TC_ACT_SHOT);
	has_socket = socket->state != BPF_TCP_LISTEN;
	bpf_sk_release(socket);
	if (!has_socket)
		return refuse(ANYHOP_AGENT_C_REFUSED_QUEUE_FULL, TC_ACT_SHOT);
	count(ANYHOP_AGENT_C_FOLLOWED);
	return TC_ACT_UNSPEC;
}

static __always_inline __u32 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(__u32)sum & 0xffff;
}

/* Writes a RST without anything over a segment, with its checksums. */
static __always_inline int make_reset(struct __sk_buff *skb, __u32 family, __u32 sequence)
{
	const __u32 l4 = family == 4 ? ETHERNET + 20 : ETHERNET + 40;
	__u64 sum = (__u64)bpf_htonl(6) + bpf_htonl(20);
	__u8 *frame, *tcp;

	if (bpf_skb_change_tail(skb, l4 + 20, 0) || bpf_skb_pull_data(skb, l4 + 20))
		return -1;
	bpf_csum_level(skb, BPF_CSUM_LEVEL_RESET);
	frame = (__u8 *)(long)skb->data;
	tcp = frame + l4;
	if (tcp + 20 > (__u8 *)(long)skb->data_end)
		return -1;
	anyhop_put32be(tcp + 4, sequence);
	anyhop_put32(tcp + 8, 0);
	anyhop_put16be(tcp + 12, TCP_RST_ALONE);
	anyhop_put32(tcp + 14, 0);
	anyhop_put16(tcp + 18, 0);
	for (int i = 0; i < 20; i += 4)
		sum += anyhop_get32(tcp + i);
	if (family == 4) {
		__u64 header = 0;

		anyhop_put16be(frame + ETHERNET + 2, 40);
		anyhop_put16(frame + ETHERNET + 10, 0);
		for (int i = 0; i < 20; i += 4)
			header += anyhop_get32(frame + ETHERNET + i);
		anyhop_put16(frame + ETHERNET + 10, fold(header));
		sum += (__u64)anyhop_get32(frame + ETHERNET + 12) + anyhop_get32(frame + ETHERNET + 16);
	} else {
		anyhop_put16be(frame + ETHERNET + 4, 20);
		for (int i = 0; i < 32; i += 4)
			sum += anyhop_get32(frame + ETHERNET + 8 + i);
	}
	anyhop_put16(tcp + 16, fold(sum));
	return 0;
}

/* The client has opened a connection anew. A SYN would have ended what its former one left here, but the SYN was answered
 * elsewhere. So the packet comes twice: as a reset that the former socket obeys, then as itself. */
static __always_inline int end_former(struct __sk_buff *skb, __u32 family, __u32 sequence)
{
	skb->mark = ROUND_COOKIE;
	if (bpf_clone_redirect(skb, skb->ifindex, BPF_F_INGRESS))
		return refuse(ANYHOP_AGENT_C_REFUSED_FAULT, TC_ACT_SHOT);
	skb->mark = 0;
	if (make_reset(skb, family, sequence))
		return refuse(ANYHOP_AGENT_C_REFUSED_FAULT, TC_ACT_SHOT);
	count(ANYHOP_AGENT_C_ENDED_FORMER);
	return TC_ACT_UNSPEC;
}

#define OPTIONS_MAX 40u

struct timestamps {
	__u32 found;
	__u32 value;
	__u32 echoed;
};

/* By single bytes: the verifier allows no misaligned read of the stack. */
static __always_inline __u32 bytes32(const __u8 *at)
{
	return (__u32)at[0] << 24 | (__u32)at[1] << 16 | (__u32)at[2] << 8 | at[3];
}

/* The option of RFC 7323; without it, or behind options that make no sense, nothing is found. */
static __noinline int read_timestamps(struct __sk_buff *skb, __u32 tcp, __u32 length, struct timestamps *t)
{
	__u8 options[OPTIONS_MAX + 10] = {};
	__u32 size, at = 0;

	if (!t || length <= 20 || length > 20 + OPTIONS_MAX)
		return 0;
	size = length - 20;
	if (size < 1 || size > OPTIONS_MAX || bpf_skb_load_bytes(skb, tcp + 20, options, size))
		return -1;
	/* Step by step, with the place of the next option beside: places that are loaded from are known to the verifier. */
	for (__u32 i = 0; i < OPTIONS_MAX; i++) {
		if (i != at)
			continue;
		if (options[i] == 0)
			break;
		if (options[i] == 1) {
			at = i + 1;
			continue;
		}
		if (options[i + 1] < 2)
			break;
		if (options[i] == 8 && options[i + 1] == 10 && i + 10 <= size) {
			t->found = 1;
			t->value = bytes32(options + i + 2);
			t->echoed = bytes32(options + i + 6);
			break;
		}
		at = i + options[i + 1];
	}
	return 0;
}

/* What is to be done about the socket that a segment finds. */
enum former { FORMER_NONE, FORMER_ENDS, FORMER_STAYS };

/* As the kernel judges a SYN in TIME-WAIT (RFC 9293 section 3.6.1, RFC 6191): only what is newer, by its number or its time. */
static __always_inline enum former judge_waiting(struct __sk_buff *skb, const struct segment *s, struct tcp_timewait_sock *waiting)
{
	struct timestamps t = {};

	if ((__s32)(s->sequence - 1 - waiting->tw_sk.__tw_common.skc_tw_rcv_nxt) > 0)
		return FORMER_ENDS;
	if (!waiting->tw_ts_recent_stamp || read_timestamps(skb, s->tcp, s->length, &t) || !t.found)
		return FORMER_STAYS;
	return (__s32)(t.value - waiting->tw_ts_recent) > 0 ? FORMER_ENDS : FORMER_STAYS;
}

static __always_inline enum former judge_former(struct __sk_buff *skb, struct bpf_sock *socket, const struct segment *s, __u32 *next)
{
	struct tcp_timewait_sock *waiting;
	struct tcp_request_sock *request;
	struct tcp_sock *full;

	if (socket->state == BPF_TCP_LISTEN)
		return FORMER_NONE;
	if (socket->state == BPF_TCP_TIME_WAIT) {
		waiting = bpf_skc_to_tcp_timewait_sock(socket);
		if (!waiting)
			return FORMER_STAYS;
		*next = waiting->tw_sk.__tw_common.skc_tw_rcv_nxt;
		return judge_waiting(skb, s, waiting);
	}
	if (socket->state == BPF_TCP_NEW_SYN_RECV) {
		request = bpf_skc_to_tcp_request_sock(socket);
		if (!request)
			return FORMER_STAYS;
		*next = request->rcv_nxt;
		return FORMER_ENDS;
	}
	full = bpf_skc_to_tcp_sock(socket);
	if (!full)
		return FORMER_STAYS;
	*next = full->rcv_nxt;
	/* The cookie is the number that the connection itself began with: the packet was late, or came twice. */
	return full->snd_una - (__u32)full->bytes_acked == s->cookie + 1 ? FORMER_STAYS : FORMER_ENDS;
}

/* Beyond this the age of a cookie tells of clocks that differ, and not of the path: its answer, once lost, would be sent again after three
 * times as long. In ms. */
#define AGE_MAX 3000u

/* How long ago the client's SYN was answered, by the timestamp that it repeats; 0 when that is no way there and back. */
static __always_inline __u32 age_of(__u32 echoed)
{
	__u32 first = 0, age;
	const struct anyhop_agent_clock *found = bpf_map_lookup_elem(&clock, &first);

	age = found ? (__u32)((bpf_ktime_get_ns() + found->offset_ns) / 1000000) - echoed : 0;
	return age < AGE_MAX ? age : 0;
}

static __always_inline int describe(struct __sk_buff *skb, const struct segment *s, struct bpf_tcp_req_attrs *attrs)
{
	struct timestamps t = {};

	if (read_timestamps(skb, s->tcp, s->length, &t))
		return -1;
	attrs->mss = (__u16)anyhop_cookie_mss(s->cookie, s->family);
	attrs->sack_ok = (__u8)anyhop_cookie_sack(s->cookie);
	if (anyhop_cookie_wscale(s->cookie) != ANYHOP_COOKIE_NO_WSCALE) {
		attrs->wscale_ok = 1;
		attrs->snd_wscale = (__u8)anyhop_cookie_wscale(s->cookie);
		attrs->rcv_wscale = ANYHOP_COOKIE_WSCALE;
	}
	if (t.found) {
		attrs->tstamp_ok = 1;
		attrs->rcv_tsval = t.value;
		attrs->ecn_ok = t.echoed & ANYHOP_COOKIE_TSVAL_ECN;
		/* What the kernel takes for now: with it, its first measure of the round trip is the way there and back, and its
		 * first timeout is no shorter than that. */
		attrs->rcv_tsecr = t.echoed + age_of(t.echoed);
	}
	return 0;
}

/* To the kernel, by the listening socket. */
static __always_inline int give(struct __sk_buff *skb, struct segment *s)
{
	struct bpf_tcp_req_attrs attrs = {};
	struct bpf_sock *listener;
	int is_listener, error;

	if (describe(skb, s, &attrs))
		return refuse(ANYHOP_AGENT_C_REFUSED_FAULT, TC_ACT_SHOT);
	listener = s->family == 4 ? bpf_sk_lookup_tcp(skb, &s->tuple, sizeof(s->tuple.ipv4), BPF_F_CURRENT_NETNS, 0) :
				    bpf_sk_lookup_tcp(skb, &s->tuple, sizeof(s->tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
	if (!listener)
		return refuse(ANYHOP_AGENT_C_REFUSED_NO_LISTENER, TC_ACT_UNSPEC);
	is_listener = listener->state == BPF_TCP_LISTEN;
	error = is_listener ? bpf_sk_assign_tcp_reqsk(skb, (struct sock *)listener, &attrs, sizeof(attrs)) : 0;
	bpf_sk_release(listener);
	/* Not a listener: the same segment twice in a burst, and the first one has made the socket. */
	count(!is_listener ? ANYHOP_AGENT_C_FOLLOWED : error ? ANYHOP_AGENT_C_REFUSED_KERNEL : ANYHOP_AGENT_C_ACCEPTED);
	return TC_ACT_UNSPEC;
}

static __always_inline int take_cookie(struct __sk_buff *skb, struct segment *s)
{
	struct bpf_sock *socket = socket_of(skb, s);
	enum former former;
	__u32 next = 0;

	if (!socket)
		return refuse(ANYHOP_AGENT_C_REFUSED_NO_LISTENER, TC_ACT_UNSPEC);
	former = judge_former(skb, socket, s, &next);
	bpf_sk_release(socket);
	if (former == FORMER_STAYS)
		return TC_ACT_UNSPEC;
	return former == FORMER_ENDS ? end_former(skb, s->family, next) : give(skb, s);
}

SEC("tc")
int anyhop_cookies(struct __sk_buff *skb)
{
	const struct anyhop_agent_mark *left = (const struct anyhop_agent_mark *)(long)skb->data_meta;
	__u32 round = skb->mark, kind;
	struct segment s = {};

	if (round == ROUND_COOKIE || round == ROUND_FOLLOWS) {
		skb->mark = 0;
	} else {
		if ((const void *)(left + 1) > (const void *)(long)skb->data || left->magic != ANYHOP_AGENT_MARK_MAGIC)
			return TC_ACT_UNSPEC;
		kind = left->kind;
		if (kind == ANYHOP_AGENT_MARK_FOLLOWS)
			return go_round(skb, ROUND_FOLLOWS);
	}
	if (read_segment(skb, &s))
		return refuse(ANYHOP_AGENT_C_REFUSED_FAULT, TC_ACT_SHOT);
	if (round == ROUND_FOLLOWS)
		return follow(skb, &s);
	return round == ROUND_COOKIE ? give(skb, &s) : take_cookie(skb, &s);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
