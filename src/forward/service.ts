/** From a packet for a VIP to its service: by port, or for a fragment, which shows no ports, by protocol alone. */
import { L } from '../core/layout.gen.js';
import type { Image } from '../image/read.js';
import { P } from '../packet/constants.js';
import { encapsulate } from './encapsulate.js';
import type { PacketState } from './packet-state.js';

/** A whole TCP or UDP packet whose transport header starts at `l4`. */
export function forwardTransport(p: PacketState, view: DataView, l4: number, protocol: number): number {
  if (p.end - l4 < transportHeader(protocol)) return L.V_DROP_TRUNCATED;
  const service = findService(p.image, p.vip, protocol, view.getUint16(l4 + 2));
  if (service < 0) return L.V_DROP_NO_SERVICE;
  p.tcp = protocol === P.PROTOCOL_TCP ? l4 : 0;
  return encapsulate(p, view, service, view.getInt32(l4, true), L.V_FORWARDED);
}

/**
 * A fragment. The first one (offset 0) shows its ports: they must be a service's, or the whole datagram would reach a
 * port of the backend that is nobody's service. They are never hashed, because the others do not have them.
 */
export function forwardFragment(
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
    if (findService(p.image, p.vip, protocol, view.getUint16(l4 + 2)) < 0) return L.V_DROP_NO_SERVICE;
  }
  const entry = halves[vip + (tcp ? L.VIP_TCP_FRAGMENT : L.VIP_UDP_FRAGMENT) / 2];
  if (entry === L.FRAGMENT_NEEDS_PORTS) return L.V_DROP_FRAGMENT_TCP;
  if (entry === L.FRAGMENT_AMBIGUOUS) return L.V_DROP_FRAGMENT_AMBIGUOUS;
  p.tcp = 0;
  return encapsulate(p, view, p.image.service(entry), 0, L.V_FORWARDED_FRAGMENT);
}

/** The service of a VIP's TCP or UDP port, as an index into the image's words, or -1. */
export function findService(image: Image, vip: number, protocol: number, port: number): number {
  const ranges = vip * 2 + (protocol === P.PROTOCOL_TCP ? L.VIP_TCP_FIRST : L.VIP_UDP_FIRST) / 2;
  return image.findService(image.halves[ranges], image.halves[ranges + 1], port);
}

function transportHeader(protocol: number): number {
  return protocol === P.PROTOCOL_TCP ? P.TCP_HEADER : P.UDP_HEADER;
}
