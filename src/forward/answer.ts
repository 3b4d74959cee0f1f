/**
 * Answers that the node makes itself, from the VIP, in place, with the frame's MAC addresses swapped and its VLAN tags
 * kept: echo replies, and the two messages that make path MTU discovery work through a tunnel (RFC 1191, RFC 8201).
 *
 * Both kinds have a budget (budget.ts). Its hash is of the client's address (of its /64 in IPv6) alone, so that no client can
 * use up another's share but by lying about its address; its key is the first service's, whatever the packet is for, so
 * that a client is one client.
 */
import { L } from '../core/layout.gen.js';
import { flowHash } from '../hash/flow.js';
import { adjustFallen, adjustRisen, finish, sumWords } from '../packet/checksum.js';
import { P } from '../packet/constants.js';
import { budgetAdmits, ECHO_BUDGET, TOO_BIG_BUDGET } from './budget.js';
import type { PacketState } from './packet-state.js';

/** Bytes of the offending packet's payload that an ICMPv4 error quotes (RFC 792). */
const QUOTE4_PAYLOAD = 8;
/** Of the TOS or traffic class; ECN is about the way there, not the way back (RFC 3168). */
const DSCP = 0xfc;

/** What the budgets' hash is of. */
const clientWords = new Int32Array(2);

/**
 * The echo reply to the request whose ICMP header is at `l4`: the same message, behind a new IP header without options
 * or extension headers. It is sent whatever the request's TTL was, if the budget admits it.
 */
export function answerEcho(p: PacketState, view: DataView, l4: number): number {
  const length = p.end - l4;
  if (p.family === 4) {
    if (!isHeaderSound(view, p.l3)) return L.V_DROP_CHECKSUM;
    if (!admitsClient(p, view, ECHO_BUDGET, L.BUDGET_ECHO)) return L.V_DROP_ECHO_LIMITED;
    const client = view.getInt32(p.l3 + 12, true);
    const dscp = view.getUint8(p.l3 + 1) & DSCP;
    const fragmentation = view.getInt32(p.l3 + 4); // identification and DF as asked: the way back may be narrower
    const ip = l4 - P.IPV4_HEADER;
    startFrame(p, view, ip);
    writeIpv4(p, view, ip, length, dscp, fragmentation, client);
    view.setUint16(
      l4 + 2,
      adjustFallen(view.getUint16(l4 + 2), (P.ICMP_ECHO_REQUEST - P.ICMP_ECHO_REPLY) << 8),
    );
    view.setUint8(l4, P.ICMP_ECHO_REPLY);
  } else {
    if (!admitsClient(p, view, ECHO_BUDGET, L.BUDGET_ECHO)) return L.V_DROP_ECHO_LIMITED;
    const dscp = (view.getUint16(p.l3) >>> 4) & DSCP;
    const ip = l4 - P.IPV6_HEADER;
    startFrame(p, view, ip);
    writeIpv6(p, view, ip, length, dscp);
    // Swapping the addresses leaves the pseudo-header's sum as it is.
    view.setUint16(
      l4 + 2,
      adjustRisen(view.getUint16(l4 + 2), (P.ICMPV6_ECHO_REPLY - P.ICMPV6_ECHO_REQUEST) << 8),
    );
    view.setUint8(l4, P.ICMPV6_ECHO_REPLY);
  }
  p.outLength = p.end - p.outStart;
  return L.V_ECHO_ANSWERED;
}

/**
 * Tells the sender the size that fits.
 *
 * @param fits bytes of an inner packet, at most
 * @param verdict under which the packet would have been forwarded: an ICMP error is never answered by another
 */
export function answerTooBig(p: PacketState, view: DataView, fits: number, verdict: number): number {
  if (verdict === L.V_FORWARDED_ICMP_ERROR) return L.V_DROP_TOO_BIG;
  const l3 = p.l3;
  if (p.family === 4) {
    const flags = view.getUint16(l3 + 6);
    if ((flags & P.IPV4_DONT_FRAGMENT) === 0 || (flags & P.IPV4_OFFSET) !== 0) return L.V_DROP_TOO_BIG;
    if (!isHeaderSound(view, l3)) return L.V_DROP_CHECKSUM;
  } else if (p.end - l3 <= Math.max(fits, L.IPV6_MTU_MIN)) {
    return L.V_DROP_TOO_BIG; // no IPv6 sender makes smaller ones, whatever it is told (RFC 8200 section 5)
  }
  const mtu = p.family === 4 ? fits : Math.max(fits, L.IPV6_MTU_MIN);
  if (!admitsClient(p, view, TOO_BIG_BUDGET, L.BUDGET_TOO_BIG)) return L.V_DROP_TOO_BIG_LIMITED;

  const icmp = l3 - P.ICMP_HEADER;
  if (p.family === 4) {
    const client = view.getInt32(l3 + 12, true);
    const quote = (view.getUint8(l3) & 15) * 4 + QUOTE4_PAYLOAD;
    const ip = icmp - P.IPV4_HEADER;
    startFrame(p, view, ip);
    writeIpv4(p, view, ip, P.ICMP_HEADER + quote, 0, P.IPV4_DONT_FRAGMENT, client);
    view.setUint16(icmp, (P.ICMP_UNREACHABLE << 8) | P.ICMP_FRAGMENTATION_NEEDED);
    view.setInt32(icmp + 2, 0); // checksum, and the half-word before the MTU
    view.setUint16(icmp + 6, mtu);
    view.setUint16(icmp + 2, finish(sumWords(view, icmp, P.ICMP_HEADER + quote)));
    p.outLength = l3 + quote - p.outStart;
  } else {
    const length = P.ICMP_HEADER + L.QUOTE6; // the packet is longer: PATH_MTU_MIN sees to it
    const ip = icmp - P.IPV6_HEADER;
    startFrame(p, view, ip);
    writeIpv6(p, view, ip, length, 0);
    view.setUint16(icmp, P.ICMPV6_TOO_BIG << 8);
    view.setUint16(icmp + 2, 0);
    view.setInt32(icmp + 4, mtu);
    // The pseudo-header (RFC 8200 section 8.1): both addresses, length, protocol.
    const pseudo = sumWords(view, ip + 8, 32) + length + P.PROTOCOL_ICMPV6;
    view.setUint16(icmp + 2, finish(sumWords(view, icmp, length) + pseudo));
    p.outLength = l3 + L.QUOTE6 - p.outStart;
  }
  return L.V_TOO_BIG_ANSWERED;
}

/** Whether a budget has an answer for the packet's sender. */
function admitsClient(p: PacketState, view: DataView, budget: number, forClient: number): boolean {
  const words = p.image.words;
  const key = p.image.service(0) + L.SERVICE_KEY / 4;
  const source = p.l3 + (p.family === 4 ? 12 : 8);
  clientWords[0] = view.getInt32(source, true);
  clientWords[1] = view.getInt32(source + 4, true);
  const hash = flowHash(words, key, clientWords, p.family === 4 ? 1 : 2);
  return budgetAdmits(p.limiter, budget, hash, p.tick, forClient);
}

/** Whether an IPv4 header's checksum is right: an answer must not make a sound packet out of a damaged one. */
function isHeaderSound(view: DataView, ip: number): boolean {
  return finish(sumWords(view, ip, (view.getUint8(ip) & 15) * 4)) === 0;
}

/** Moves the layer-2 header to where it ends at `ip`, MAC addresses swapped, tags and type as they came. */
export function startFrame(p: PacketState, view: DataView, ip: number): void {
  const frame = p.frame;
  const l2 = p.l3 - frame;
  const out = ip - l2;
  // All of it is read before any is written: the two places overlap. 14, 18 or 22 bytes.
  const destination0 = view.getInt32(frame);
  const destination1 = view.getUint16(frame + 4);
  const source0 = view.getUint16(frame + 6);
  const source1 = view.getInt32(frame + 8);
  const tag0 = l2 > P.ETHERNET_HEADER ? view.getInt32(frame + 12) : 0;
  const tag1 = l2 > P.ETHERNET_HEADER + P.VLAN_TAG ? view.getInt32(frame + 16) : 0;
  const type = view.getUint16(p.l3 - 2);
  view.setUint16(out, source0);
  view.setInt32(out + 2, source1);
  view.setInt32(out + 6, destination0);
  view.setUint16(out + 10, destination1);
  if (l2 > P.ETHERNET_HEADER) view.setInt32(out + 12, tag0);
  if (l2 > P.ETHERNET_HEADER + P.VLAN_TAG) view.setInt32(out + 16, tag1);
  view.setUint16(ip - 2, type);
  p.outStart = out;
  p.outL2 = l2;
}

/**
 * An IPv4 header of 20 bytes from the VIP to `client` (raw word) before `payload` bytes of ICMP; `fragmentation` is its
 * second word: identification, flags, offset 0.
 */
function writeIpv4(
  p: PacketState,
  view: DataView,
  ip: number,
  payload: number,
  tos: number,
  fragmentation: number,
  client: number,
): void {
  view.setUint16(ip, 0x4500 | tos);
  view.setUint16(ip + 2, P.IPV4_HEADER + payload);
  view.setInt32(ip + 4, fragmentation);
  view.setInt32(ip + 8, (P.NODE_TTL << 24) | (P.PROTOCOL_ICMP << 16));
  view.setInt32(ip + 12, p.image.words[p.vip + 3], true);
  view.setInt32(ip + 16, client, true);
  view.setUint16(ip + 10, finish(sumWords(view, ip, P.IPV4_HEADER)));
}

/** An IPv6 header from the VIP to the client of `p.flow` before `payload` bytes of ICMPv6. */
function writeIpv6(p: PacketState, view: DataView, ip: number, payload: number, trafficClass: number): void {
  view.setInt32(ip, 0x60000000 | (trafficClass << 20));
  view.setInt32(ip + 4, (payload << 16) | (P.PROTOCOL_ICMPV6 << 8) | P.NODE_TTL);
  for (let i = 0; i < 4; i++) {
    view.setInt32(ip + 8 + i * 4, p.image.words[p.vip + i], true);
    view.setInt32(ip + 24 + i * 4, p.flow[i], true);
  }
}
