/** IPv6: is it for a VIP, is it sound, and what lies behind its extension headers (RFC 8200). */
import { L } from '../core/layout.gen.js';
import { P } from '../packet/constants.js';
import { extensionLength, isExtension } from '../packet/extension.js';
import { judgeFrame } from './frame.js';
import { icmpv6, isNeighbourDiscovery } from './icmp.js';
import type { PacketState } from './packet-state.js';
import { forwardFragment, forwardTransport } from './service.js';

/** @param end of the frame */
export function parseIpv6(p: PacketState, view: DataView, end: number): number {
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
  const next = view.getUint8(l3 + 6);
  // From a link-local address, usually.
  if (next === P.PROTOCOL_ICMPV6 && isNeighbourDiscovery(view, l3, end)) return L.V_PASS_NEIGHBOUR;

  const last = l3 + P.IPV6_HEADER + view.getUint16(l3 + 4);
  if (last > end) return L.V_DROP_BAD_LENGTH;
  const flow = p.flow;
  flow[0] = view.getInt32(l3 + 8, true);
  flow[1] = view.getInt32(l3 + 12, true);
  flow[2] = view.getInt32(l3 + 16, true);
  flow[3] = view.getInt32(l3 + 20, true);
  if (!canBeClient(flow)) return L.V_DROP_BAD_SOURCE;
  if (flow[3] === d3 && flow[2] === d2 && flow[1] === d1 && flow[0] === d0) return L.V_DROP_BAD_SOURCE;
  p.end = last;
  p.family = 6;
  p.vip = vip;
  return walk(p, view, l3 + P.IPV6_HEADER, next);
}

/** Steps over at most EXTENSION_HEADERS_MAX extension headers, then hands on to what they precede. */
function walk(p: PacketState, view: DataView, at: number, first: number): number {
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
    // From a VIP to a VIP: over UDP, one such packet would go round between two services for ever.
    if (next === P.PROTOCOL_UDP && isFromVip(p)) return L.V_DROP_BAD_SOURCE;
    return fragment === 0
      ? forwardTransport(p, view, at, next)
      : forwardFragment(p, view, at, next, (fragment & P.IPV6_OFFSET) === 0);
  }
  if (next !== P.PROTOCOL_ICMPV6) return L.V_DROP_PROTOCOL;
  if (isFromVip(p)) return L.V_DROP_BAD_SOURCE;
  return fragment === 0 ? icmpv6(p, view, at) : L.V_DROP_FRAGMENT_ICMP;
}

function isFromVip(p: PacketState): boolean {
  const { flow } = p;
  return p.image.findVip6(flow[0], flow[1], flow[2], flow[3]) >= 0;
}

/**
 * Not multicast or link-local (fe80::/10), and outside of ::/96: unspecified, loopback and the deprecated IPv4-compatible
 * addresses. Nor IPv4-mapped, which is never on the wire (RFC 4291 section 2.5). Raw words.
 */
function canBeClient(source: Int32Array): boolean {
  if ((source[0] & 0xff) === 0xff || (source[0] & 0xc0ff) === 0x80fe) return false;
  return source[0] !== 0 || source[1] !== 0 || (source[2] !== 0 && source[2] !== IPV4_MAPPED);
}

/** The third raw word of ::ffff:0:0/96. */
const IPV4_MAPPED = 0xffff0000 | 0;
