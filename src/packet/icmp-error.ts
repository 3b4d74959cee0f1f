/** ICMP and ICMPv6 errors, by what they quote: for whoever has sent a packet and asks what became of it. Anyone can forge one. */
import { addressFromBytes, type IpAddress, parseAddress } from './address.js';
import { P } from './constants.js';
import { SocketFilter } from './socket-filter.js';

export interface IcmpError {
  readonly kind: 'too_big' | 'time_exceeded' | 'unreachable';
  /** Who says so. */
  readonly from: IpAddress;
  /** Of an unreachable one: what its RFC says. */
  readonly code: number;
  /** Of a packet that is too big: the MTU of the next link, in bytes; 0 where the router does not say. */
  readonly mtu: number;
  readonly quoted: Quoted;
}

/** The packet that the error is about. */
export interface Quoted {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly protocol: number;
  /** Of the whole packet, in bytes, by its header. */
  readonly length: number;
  /** The first bytes behind its header: of TCP and UDP the ports. */
  readonly first: number;
}

/** ICMPv6 type 3 (RFC 4443 section 3.3). */
const ICMPV6_TIME_EXCEEDED = 3;
const QUOTED_MIN = 4;

/** Filter of a raw ICMP socket: errors alone. */
export function icmpErrorFilter(family: 4 | 6): Buffer {
  const filter = new SocketFilter().transportOf(family).byteAt(0);
  // Types 3, 11 and a few more have one of these bits, echoes have none; ICMPv6 errors are below 128.
  return (family === 4 ? filter.mustHaveAnyBitOf(3) : filter.shiftedRight(7).mustBe(0)).build();
}

/**
 * @param packet as a raw ICMP socket gives it: with its IP header (IPv4), or without (IPv6)
 * @param sender of the packet, as text
 * @returns undefined for anything but one of these errors
 */
export function readIcmpError(family: 4 | 6, packet: Uint8Array, sender: string): IcmpError | undefined {
  const icmp = family === 4 ? ((packet[0] ?? 0) & 15) * 4 : 0;
  const from = parseAddress(sender.replace(/%.*$/, ''));
  const at = icmp + P.ICMP_HEADER;
  const header = family === 4 ? P.IPV4_HEADER : P.IPV6_HEADER;
  if (from?.family !== family || packet.length < at + header + QUOTED_MIN) return undefined;
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  const [type, code] = [packet[icmp], packet[icmp + 1]];
  const kind = family === 4 ? kindOf4(type, code) : kindOf6(type);
  const quoted = quotedAt(view, packet, at, family);
  if (kind === undefined || quoted === undefined) return undefined;
  const mtu = kind !== 'too_big' ? 0 : family === 4 ? view.getUint16(icmp + 6) : view.getUint32(icmp + 4);
  return { kind, from, code, mtu, quoted };
}

function kindOf4(type: number, code: number): IcmpError['kind'] | undefined {
  if (type === P.ICMP_TIME_EXCEEDED) return 'time_exceeded';
  if (type !== P.ICMP_UNREACHABLE) return undefined;
  return code === P.ICMP_FRAGMENTATION_NEEDED ? 'too_big' : 'unreachable';
}

function kindOf6(type: number): IcmpError['kind'] | undefined {
  if (type === P.ICMPV6_TOO_BIG) return 'too_big';
  if (type === ICMPV6_TIME_EXCEEDED) return 'time_exceeded';
  return type === P.ICMPV6_UNREACHABLE ? 'unreachable' : undefined;
}

function quotedAt(view: DataView, packet: Uint8Array, at: number, family: 4 | 6): Quoted | undefined {
  if (packet[at] >>> 4 !== family) return undefined;
  const header = family === 4 ? (packet[at] & 15) * 4 : P.IPV6_HEADER;
  if (header < P.IPV4_HEADER || packet.length < at + header + QUOTED_MIN) return undefined;
  const [addresses, bytes] = family === 4 ? [at + 12, 4] : [at + 8, 16];
  return {
    source: addressFromBytes(packet.slice(addresses, addresses + bytes)),
    destination: addressFromBytes(packet.slice(addresses + bytes, addresses + 2 * bytes)),
    protocol: packet[at + (family === 4 ? 9 : 6)],
    length: family === 4 ? view.getUint16(at + 2) : P.IPV6_HEADER + view.getUint16(at + 4),
    first: view.getUint32(at + header),
  };
}
