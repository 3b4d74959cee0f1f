/**
 * ICMP and ICMPv6 for a VIP: echo requests are answered here, errors follow the flow that they embed (without this,
 * path MTU discovery breaks), all else is dropped.
 *
 * An error's embedded packet is one that a backend sent: from the VIP's port to the client. Its flow is thus the
 * embedded one with addresses and ports swapped.
 *
 * Neighbour discovery is the host's: a VIP may be one of its addresses, which neighbours ask by unicast whether it is still there.
 */
import { L } from '../core/layout.gen.js';
import { P } from '../packet/constants.js';
import { extensionLength, isExtension } from '../packet/extension.js';
import { answerEcho } from './answer.js';
import { encapsulate } from './encapsulate.js';
import type { PacketState } from './packet-state.js';
import { findService } from './service.js';

/** Bytes of an embedded transport header that must be there: RFC 792 promises 64 bits. */
const EMBEDDED_TRANSPORT = 8;

export function icmpv4(p: PacketState, view: DataView, l4: number): number {
  if (p.end - l4 < P.ICMP_HEADER) return L.V_DROP_TRUNCATED;
  const type = view.getUint8(l4);
  if (type === P.ICMP_ECHO_REQUEST) {
    return isLinkLocal(p.flow[0]) ? L.V_DROP_BAD_SOURCE : answerEcho(p, view, l4);
  }
  if (type !== P.ICMP_UNREACHABLE && type !== P.ICMP_TIME_EXCEEDED && type !== P.ICMP_PARAMETER_PROBLEM) {
    return L.V_DROP_ICMP_TYPE;
  }
  const inner = l4 + P.ICMP_HEADER;
  if (p.end - inner < P.IPV4_HEADER) return L.V_DROP_ICMP_UNMATCHED;
  const head = view.getUint8(inner);
  const headerLength = (head & 15) * 4;
  if (head >>> 4 !== 4 || headerLength < P.IPV4_HEADER) return L.V_DROP_ICMP_UNMATCHED;
  if (view.getInt32(inner + 12, true) !== p.image.words[p.vip + 3]) return L.V_DROP_ICMP_UNMATCHED;
  if ((view.getUint16(inner + 6) & P.IPV4_OFFSET) !== 0) return L.V_DROP_ICMP_UNMATCHED;
  p.flow[0] = view.getInt32(inner + 16, true);
  return followEmbedded(p, view, inner + headerLength, view.getUint8(inner + 9));
}

export function icmpv6(p: PacketState, view: DataView, l4: number): number {
  if (p.end - l4 < P.ICMP_HEADER) return L.V_DROP_TRUNCATED;
  const type = view.getUint8(l4);
  if (type === P.ICMPV6_ECHO_REQUEST) return answerEcho(p, view, l4);
  if (type < P.ICMPV6_UNREACHABLE || type > P.ICMPV6_PARAMETER_PROBLEM) return L.V_DROP_ICMP_TYPE;
  const inner = l4 + P.ICMP_HEADER;
  if (p.end - inner < P.IPV6_HEADER || view.getUint8(inner) >>> 4 !== 6) return L.V_DROP_ICMP_UNMATCHED;
  const words = p.image.words;
  for (let i = 0; i < 4; i++) {
    if (view.getInt32(inner + 8 + i * 4, true) !== words[p.vip + i]) return L.V_DROP_ICMP_UNMATCHED;
    p.flow[i] = view.getInt32(inner + 24 + i * 4, true);
  }
  let next = view.getUint8(inner + 6);
  let at = inner + P.IPV6_HEADER;
  for (let headers = 0; isExtension(next); headers++) {
    if (headers === L.EXTENSION_HEADERS_MAX || p.end - at < 8) return L.V_DROP_ICMP_UNMATCHED;
    if (next === P.PROTOCOL_FRAGMENT && (view.getUint16(at + 2) & P.IPV6_OFFSET) !== 0)
      return L.V_DROP_ICMP_UNMATCHED;
    const length = extensionLength(next, view.getUint8(at + 1));
    next = view.getUint8(at);
    at += length;
  }
  return followEmbedded(p, view, at, next);
}

/**
 * Whether the IPv6 packet at `l3`, whose header is there and announces ICMPv6, is neighbour discovery that its receiver would not discard
 * unread (RFC 4861 section 6.1 and 7.1): whole, code 0, and of hop limit 255, so that nobody beyond the link can have sent it.
 * Extension headers are allowed there, but nobody sends them.
 *
 * @param end of the frame
 */
export function isNeighbourDiscovery(view: DataView, l3: number, end: number): boolean {
  if (view.getUint8(l3 + 7) !== P.HOP_LIMIT_MAX) return false;
  const l4 = l3 + P.IPV6_HEADER;
  const payload = view.getUint16(l3 + 4);
  if (payload < P.ICMP_HEADER || l4 + payload > end) return false;
  const type = view.getUint8(l4);
  return type >= P.ICMPV6_ROUTER_SOLICITATION && type <= P.ICMPV6_REDIRECT && view.getUint8(l4 + 1) === 0;
}

/**
 * 169.254.0.0/16 (RFC 3927): no client beyond the link has such an address. Routers send ICMP errors from one when they have no
 * other. A raw word.
 */
export function isLinkLocal(source: number): boolean {
  return (source & 0xffff) === 0xfea9;
}

/** @param l4 offset of the embedded transport header, of `protocol` */
function followEmbedded(p: PacketState, view: DataView, l4: number, protocol: number): number {
  if (protocol !== P.PROTOCOL_TCP && protocol !== P.PROTOCOL_UDP) return L.V_DROP_ICMP_UNMATCHED;
  if (p.end - l4 < EMBEDDED_TRANSPORT) return L.V_DROP_ICMP_UNMATCHED;
  const service = findService(p.image, p.vip, protocol, view.getUint16(l4));
  if (service < 0) return L.V_DROP_ICMP_UNMATCHED;
  const ports = view.getInt32(l4, true);
  p.tcp = 0;
  return encapsulate(p, view, service, (ports << 16) | (ports >>> 16), L.V_FORWARDED_ICMP_ERROR);
}
