/**
 * From a frame to the service that answers for it, or to another verdict: is it for a VIP, is it sound (RFC 791, RFC 8200),
 * what does it carry, and whose port is that. C's copy of these rules is native/include/anyhop/match.h.
 */
import { L } from '../core/layout.gen.js';
import { P } from '../packet/constants.js';
import { extensionLength, isExtension } from '../packet/extension.js';
import { choose } from './choose.js';
import { isLinkLocal, matchIcmpv4, matchIcmpv6 } from './icmp.js';
import type { PacketState } from './packet-state.js';

const L2_MAX = P.ETHERNET_HEADER + L.VLAN_TAGS_MAX * P.VLAN_TAG;
/** 255.255.255.255 as a raw word. */
const BROADCAST = 0xffffffff | 0;
/** The third raw word of ::ffff:0:0/96. */
const IPV4_MAPPED = 0xffff0000 | 0;

/** Decides on the frame from `start` to `end`: each step ends in a verdict or in the next one. */
export function match(p: PacketState, view: DataView, start: number, end: number): number {
  let l3 = start + P.ETHERNET_HEADER;
  if (end < l3) return L.V_PASS_NOT_IP;
  let type = view.getUint16(l3 - 2);
  for (let tags = 0; tags < L.VLAN_TAGS_READ; tags++) {
    if (!isVlan(type)) break;
    l3 += P.VLAN_TAG;
    if (end < l3) return L.V_PASS_NOT_IP;
    type = view.getUint16(l3 - 2);
  }
  p.frame = start;
  p.l3 = l3;
  if (type === P.ETHERTYPE_IPV4) return matchIpv4(p, view, end);
  if (type === P.ETHERTYPE_IPV6) return matchIpv6(p, view, end);
  if (!isVlan(type)) return L.V_PASS_NOT_IP;
  // The host would read a deeper stack of tags to its end, and a VIP may be behind it: such a frame must not reach the host.
  const verdict = p.image.judgeMac(view, start);
  return verdict === L.V_PASS_OTHER_HOST ? verdict : L.V_DROP_VLAN_TAGS;
}

function isVlan(etherType: number): boolean {
  return etherType === P.ETHERTYPE_VLAN || etherType === P.ETHERTYPE_SERVICE_VLAN;
}

/** The frame around a packet for a VIP: its MAC address, and how many VLAN tags it has. @returns a verdict, or -1 to go on */
function judgeFrame(p: PacketState, view: DataView): number {
  const verdict = p.image.judgeMac(view, p.frame);
  const isDeep = p.l3 - p.frame > L2_MAX;
  return isDeep && verdict !== L.V_PASS_OTHER_HOST ? L.V_DROP_VLAN_TAGS : verdict;
}

function matchIpv4(p: PacketState, view: DataView, end: number): number {
  const l3 = p.l3;
  if (end - l3 < P.IPV4_HEADER) return L.V_PASS_NOT_IP;
  const head = view.getUint8(l3);
  if (head >>> 4 !== 4) return L.V_PASS_NOT_IP;
  const destination = view.getInt32(l3 + 16, true);
  const vip = p.image.findVip4(destination);
  if (vip < 0) return L.V_PASS_NOT_VIP;
  const frameVerdict = judgeFrame(p, view);
  if (frameVerdict >= 0) return frameVerdict;

  const l4 = l3 + (head & 15) * 4;
  const last = l3 + view.getUint16(l3 + 2);
  if (l4 < l3 + P.IPV4_HEADER || last < l4 || last > end) return L.V_DROP_BAD_LENGTH;
  const source = view.getInt32(l3 + 12, true);
  const protocol = view.getUint8(l3 + 9);
  if (!canBeClient4(source)) return L.V_DROP_BAD_SOURCE;
  // ICMP errors may have a link-local source, echo requests may not: icmp.ts.
  if (isLinkLocal(source) && protocol !== P.PROTOCOL_ICMP) return L.V_DROP_BAD_SOURCE;
  p.end = last;
  p.family = 4;
  p.vip = vip;
  p.flow[0] = source;

  const fragment = view.getUint16(l3 + 6) & P.IPV4_FRAGMENT;
  if (protocol === P.PROTOCOL_TCP || protocol === P.PROTOCOL_UDP) {
    // From a VIP to a VIP: over UDP, one such packet would go round between two services for ever. TCP does not, and may.
    if (source === destination || (protocol === P.PROTOCOL_UDP && p.image.findVip4(source) >= 0)) {
      return L.V_DROP_BAD_SOURCE;
    }
    return fragment === 0
      ? matchTransport(p, view, l4, protocol)
      : matchFragment(p, view, l4, protocol, (fragment & P.IPV4_OFFSET) === 0);
  }
  if (protocol !== P.PROTOCOL_ICMP) return L.V_DROP_PROTOCOL;
  if (p.image.findVip4(source) >= 0) return L.V_DROP_BAD_SOURCE;
  return fragment === 0 ? matchIcmpv4(p, view, l4) : L.V_DROP_FRAGMENT_ICMP;
}

/**
 * Not 0.0.0.0/8, 127.0.0.0/8, multicast or broadcast (RFC 1122 section 3.2.1.3). The rest of 240.0.0.0/4 is reserved, but some
 * networks use it as private addresses. A raw word.
 */
function canBeClient4(source: number): boolean {
  const first = source & 0xff;
  return first !== 0 && first !== 127 && (first < 224 || first >= 240) && source !== BROADCAST;
}

function matchIpv6(p: PacketState, view: DataView, end: number): number {
  const l3 = p.l3;
  if (end - l3 < P.IPV6_HEADER) return L.V_PASS_NOT_IP;
  if (view.getUint8(l3) >>> 4 !== 6) return L.V_PASS_NOT_IP;
  const d0 = view.getInt32(l3 + 24, true);
  const d1 = view.getInt32(l3 + 28, true);
  const d2 = view.getInt32(l3 + 32, true);
  const d3 = view.getInt32(l3 + 36, true);
  const vip = p.image.findVip6(d0, d1, d2, d3);
  if (vip < 0) return L.V_PASS_NOT_VIP;
  const frameVerdict = judgeFrame(p, view);
  if (frameVerdict >= 0) return frameVerdict;

  const last = l3 + P.IPV6_HEADER + view.getUint16(l3 + 4);
  if (last > end) return L.V_DROP_BAD_LENGTH;
  const flow = p.flow;
  flow[0] = view.getInt32(l3 + 8, true);
  flow[1] = view.getInt32(l3 + 12, true);
  flow[2] = view.getInt32(l3 + 16, true);
  flow[3] = view.getInt32(l3 + 20, true);
  if (!canBeClient6(flow)) return L.V_DROP_BAD_SOURCE;
  if (flow[3] === d3 && flow[2] === d2 && flow[1] === d1 && flow[0] === d0) return L.V_DROP_BAD_SOURCE;
  p.end = last;
  p.family = 6;
  p.vip = vip;
  return walkExtensions(p, view, l3 + P.IPV6_HEADER, view.getUint8(l3 + 6));
}

/**
 * Not multicast or link-local (fe80::/10), and outside of ::/96: unspecified, loopback and the deprecated IPv4-compatible
 * addresses. Nor IPv4-mapped, which is never on the wire (RFC 4291 section 2.5). Raw words.
 */
function canBeClient6(source: Int32Array): boolean {
  if ((source[0] & 0xff) === 0xff || (source[0] & 0xc0ff) === 0x80fe) return false;
  return source[0] !== 0 || source[1] !== 0 || (source[2] !== 0 && source[2] !== IPV4_MAPPED);
}

/** Steps over at most EXTENSION_HEADERS_MAX extension headers, and matches what is behind them. */
function walkExtensions(p: PacketState, view: DataView, at: number, first: number): number {
  let next = first;
  let fragment = 0;
  for (let headers = 0; isExtension(next); headers++) {
    // Behind the header of a real fragment there is nothing to walk over: the other fragments do not have it.
    if (headers === L.EXTENSION_HEADERS_MAX || fragment !== 0 || p.end - at < 8)
      return L.V_DROP_EXTENSION_HEADER;
    // With segments left, this is not where the packet is going (RFC 8200 section 4.4, RFC 5095).
    if (next === P.PROTOCOL_ROUTING && view.getUint8(at + 3) !== 0) return L.V_DROP_EXTENSION_HEADER;
    if (next === P.PROTOCOL_FRAGMENT) fragment = view.getUint16(at + 2) & P.IPV6_FRAGMENT;
    const length = extensionLength(next, view.getUint8(at + 1));
    next = view.getUint8(at);
    at += length;
    if (at > p.end) return L.V_DROP_EXTENSION_HEADER;
  }
  // A fragment header with neither offset nor more to come is no fragment (RFC 6946).
  if (next === P.PROTOCOL_TCP || next === P.PROTOCOL_UDP) {
    if (next === P.PROTOCOL_UDP && isFromVip6(p)) return L.V_DROP_BAD_SOURCE; // as for IPv4
    return fragment === 0
      ? matchTransport(p, view, at, next)
      : matchFragment(p, view, at, next, (fragment & P.IPV6_OFFSET) === 0);
  }
  if (next !== P.PROTOCOL_ICMPV6) return L.V_DROP_PROTOCOL;
  if (isFromVip6(p)) return L.V_DROP_BAD_SOURCE;
  return fragment === 0 ? matchIcmpv6(p, view, at) : L.V_DROP_FRAGMENT_ICMP;
}

function isFromVip6(p: PacketState): boolean {
  const { flow } = p;
  return p.image.findVip6(flow[0], flow[1], flow[2], flow[3]) >= 0;
}

/** A whole TCP or UDP packet whose transport header starts at `l4`. */
function matchTransport(p: PacketState, view: DataView, l4: number, protocol: number): number {
  if (p.end - l4 < transportHeader(protocol)) return L.V_DROP_TRUNCATED;
  const service = p.image.serviceOf(p.vip, protocol, view.getUint16(l4 + 2));
  if (service < 0) return L.V_DROP_NO_SERVICE;
  return choose(p, view, service, view.getInt32(l4, true), L.V_FORWARDED);
}

/**
 * A fragment of TCP or UDP. The first one (offset 0) shows its ports: they must be a service's, or the whole datagram would
 * reach a port of the backend that is nobody's service. They are never hashed, because the others do not have them.
 */
function matchFragment(
  p: PacketState,
  view: DataView,
  l4: number,
  protocol: number,
  isFirst: boolean,
): number {
  const tcp = protocol === P.PROTOCOL_TCP;
  const halves = p.image.halves;
  const vip = p.vip * 2;
  if (halves[vip + (tcp ? L.VIP_TCP_COUNT : L.VIP_UDP_COUNT) / 2] === 0) return L.V_DROP_NO_SERVICE;
  if (isFirst) {
    if (p.end - l4 < transportHeader(protocol)) return L.V_DROP_TRUNCATED;
    if (p.image.serviceOf(p.vip, protocol, view.getUint16(l4 + 2)) < 0) return L.V_DROP_NO_SERVICE;
  }
  const entry = halves[vip + (tcp ? L.VIP_TCP_FRAGMENT : L.VIP_UDP_FRAGMENT) / 2];
  if (entry === L.FRAGMENT_NEEDS_PORTS) return L.V_DROP_FRAGMENT_TCP;
  if (entry === L.FRAGMENT_AMBIGUOUS) return L.V_DROP_FRAGMENT_AMBIGUOUS;
  return choose(p, view, p.image.service(entry), 0, L.V_FORWARDED_FRAGMENT);
}

function transportHeader(protocol: number): number {
  return protocol === P.PROTOCOL_TCP ? P.TCP_HEADER : P.UDP_HEADER;
}
