/** IPv4: is it for a VIP, is it sound, and what does it carry (RFC 791). */
import { L } from '../core/layout.gen.js';
import { P } from '../packet/constants.js';
import { judgeFrame } from './frame.js';
import { icmpv4, isLinkLocal } from './icmp.js';
import type { PacketState } from './packet-state.js';
import { forwardFragment, forwardTransport } from './service.js';

/** @param end of the frame */
export function parseIpv4(p: PacketState, view: DataView, end: number): number {
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
  if (!canBeClient(source)) return L.V_DROP_BAD_SOURCE;
  // icmpv4 lets errors through.
  if (isLinkLocal(source) && protocol !== P.PROTOCOL_ICMP) return L.V_DROP_BAD_SOURCE;
  p.end = last;
  p.family = 4;
  p.vip = vip;
  p.flow[0] = source;

  const fragment = view.getUint16(l3 + 6) & P.IPV4_FRAGMENT;
  if (protocol === P.PROTOCOL_TCP || protocol === P.PROTOCOL_UDP) {
    // From a VIP to a VIP: over UDP, one such packet would go round between two services for ever.
    if (source === destination || (protocol === P.PROTOCOL_UDP && p.image.findVip4(source) >= 0)) {
      return L.V_DROP_BAD_SOURCE;
    }
    return fragment === 0
      ? forwardTransport(p, view, l4, protocol)
      : forwardFragment(p, view, l4, protocol, (fragment & P.IPV4_OFFSET) === 0);
  }
  if (protocol !== P.PROTOCOL_ICMP) return L.V_DROP_PROTOCOL;
  if (p.image.findVip4(source) >= 0) return L.V_DROP_BAD_SOURCE;
  return fragment === 0 ? icmpv4(p, view, l4) : L.V_DROP_FRAGMENT_ICMP;
}

/**
 * Not 0.0.0.0/8, 127.0.0.0/8, multicast or broadcast (RFC 1122 section 3.2.1.3). The rest of 240.0.0.0/4 is reserved, but some
 * networks use it as private addresses. A raw word.
 */
function canBeClient(source: number): boolean {
  const first = source & 0xff;
  return first !== 0 && first !== 127 && (first < 224 || first >= 240) && source !== BROADCAST;
}

const BROADCAST = 0xffffffff | 0;
