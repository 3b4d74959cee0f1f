/**
 * Messages of underlay routers about GRE packets that are too big: fragmentation needed (RFC 1191) and packet too big (RFC 8201).
 * Each quotes the start of the packet. Anyone can forge one. This file judges what the packet alone shows; the caller knows what
 * was sent.
 */
import { addressFromBytes, type IpAddress, type IpPrefix, prefixContains } from './address.js';
import { finish, sumWords } from './checksum.js';
import { P } from './constants.js';
import { SocketFilter } from './socket-filter.js';

export interface TooBig {
  readonly router: IpAddress;
  /** Destination of the packet that was too big. */
  readonly backend: IpAddress;
  /** Its length at layer 3, in bytes. */
  readonly length: number;
  /** MTU of the next link, in bytes; 0 when the router does not say (before RFC 1191). */
  readonly mtu: number;
}

const GRE = 47;
/** Of GRE's first half-word: what anyhop never sets. */
const OTHER_GRE_FLAGS = 0xffff & ~(P.GRE_FLAG_KEY | P.GRE_FLAG_ALTERNATES);
const OUTER_IPV4 = 0x45; // no options
/** Quoted bytes after the IP header that RFC 792 promises. */
const QUOTED_MIN = 8;

/**
 * Filter of a packet socket: what `readTooBig` may accept. The kernel refuses the rest, so a flood of other packets wakes nobody.
 */
export function tooBigFilter(source: IpPrefix): Buffer {
  const { address, length } = source;
  const filter = new SocketFilter().transportOf(6); // offsets are from the start
  let quote: number;
  if (address.family === 4) {
    filter.byteAt(9).mustBe(P.PROTOCOL_ICMP).transportOf(4).halfAt(0);
    filter.mustBe((P.ICMP_UNREACHABLE << 8) | P.ICMP_FRAGMENTATION_NEEDED).byteAt(P.ICMP_HEADER + 9);
    quote = P.ICMP_HEADER + 12;
  } else {
    filter.byteAt(6).mustBe(P.PROTOCOL_ICMPV6).byteAt(P.IPV6_HEADER).mustBe(P.ICMPV6_TOO_BIG);
    quote = P.IPV6_HEADER + P.ICMP_HEADER;
    filter.byteAt(quote + 6);
    quote += 8;
  }
  filter.mustBe(GRE);
  const view = new DataView(address.bytes.buffer, address.bytes.byteOffset, address.bytes.length);
  for (let bits = length, at = 0; bits > 0; bits -= 32, at += 4) {
    const rest = 32 - Math.min(bits, 32);
    filter.wordAt(quote + at);
    if (rest > 0) filter.shiftedRight(rest);
    filter.mustBe(view.getUint32(at) >>> rest);
  }
  return filter.build();
}

/**
 * @param packet starts with its IP header, and may be cut
 * @param source of this node's GRE
 * @returns undefined for anything but a valid report about a GRE packet from that source
 */
export function readTooBig(packet: Uint8Array, source: IpPrefix): TooBig | undefined {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  return source.address.family === 4 ? readIpv4(packet, view, source) : readIpv6(packet, view, source);
}

function readIpv4(packet: Uint8Array, view: DataView, source: IpPrefix): TooBig | undefined {
  if (packet.length < P.IPV4_HEADER || packet[0] >>> 4 !== 4) return undefined;
  const icmp = (packet[0] & 15) * 4;
  const quote = icmp + P.ICMP_HEADER;
  const end = view.getUint16(2);
  if (icmp < P.IPV4_HEADER || packet.length < quote + P.IPV4_HEADER + QUOTED_MIN || end < quote)
    return undefined;
  if (packet[9] !== P.PROTOCOL_ICMP || (view.getUint16(6) & P.IPV4_FRAGMENT) !== 0) return undefined;
  if (view.getUint16(icmp) !== ((P.ICMP_UNREACHABLE << 8) | P.ICMP_FRAGMENTATION_NEEDED)) return undefined;
  if (end <= packet.length && !isSound(view, icmp, end - icmp, 0)) return undefined;
  if (packet[quote] !== OUTER_IPV4 || packet[quote + 9] !== GRE) return undefined;
  // anyhop sets DF on every packet, so fragments are forged.
  if ((view.getUint16(quote + 6) & 0x7fff) !== P.IPV4_DONT_FRAGMENT) return undefined;
  const from = addressFromBytes(packet.slice(quote + 12, quote + 16));
  if (!prefixContains(source, from) || !isOwnGre(view, quote + P.IPV4_HEADER)) return undefined;
  return {
    router: addressFromBytes(packet.slice(12, 16)),
    backend: addressFromBytes(packet.slice(quote + 16, quote + 20)),
    length: view.getUint16(quote + 2),
    mtu: view.getUint16(icmp + 6),
  };
}

function readIpv6(packet: Uint8Array, view: DataView, source: IpPrefix): TooBig | undefined {
  const icmp = P.IPV6_HEADER;
  const quote = icmp + P.ICMP_HEADER;
  if (packet.length < quote + P.IPV6_HEADER + QUOTED_MIN || packet[0] >>> 4 !== 6) return undefined;
  const payload = view.getUint16(4);
  if (packet[6] !== P.PROTOCOL_ICMPV6 || view.getUint16(icmp) !== P.ICMPV6_TOO_BIG << 8) return undefined;
  const pseudo = sumWords(view, 8, 32) + payload + P.PROTOCOL_ICMPV6;
  if (icmp + payload <= packet.length && !isSound(view, icmp, payload, pseudo)) return undefined;
  if (packet[quote] >>> 4 !== 6 || packet[quote + 6] !== GRE) return undefined;
  const from = addressFromBytes(packet.slice(quote + 8, quote + 24));
  if (!prefixContains(source, from) || !isOwnGre(view, quote + P.IPV6_HEADER)) return undefined;
  return {
    router: addressFromBytes(packet.slice(8, 24)),
    backend: addressFromBytes(packet.slice(quote + 24, quote + 40)),
    length: P.IPV6_HEADER + view.getUint16(quote + 4),
    mtu: view.getUint32(icmp + 4),
  };
}

/** Whether the checksum of a whole ICMP message is right. */
function isSound(view: DataView, at: number, length: number, pseudo: number): boolean {
  const odd = length % 2 === 0 ? 0 : view.getUint8(at + length - 1) << 8;
  return finish(sumWords(view, at, length - (length % 2)) + odd + pseudo) === 0;
}

/** Whether a GRE header is one that anyhop sends. */
function isOwnGre(view: DataView, gre: number): boolean {
  const protocol = view.getUint16(gre + 2);
  return (
    (view.getUint16(gre) & OTHER_GRE_FLAGS) === 0 &&
    (protocol === P.ETHERTYPE_IPV4 || protocol === P.ETHERTYPE_IPV6)
  );
}
