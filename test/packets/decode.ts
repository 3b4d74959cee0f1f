/**
 * The test oracle: a strict decoder of frames, written literally from the RFCs and sharing no code with src nor with
 * the builders. It verifies every length and every checksum and throws `Malformed`, with a sentence, on the first
 * thing that is wrong. Slow and plain on purpose.
 */
import { type DecodedTransport, decodeTransport } from './decode-transport.js';
import { expect, internetChecksum, ipv6Text, Malformed, u8, u16, u32 } from './decode-util.js';

export { Malformed } from './decode-util.js';
export type { DecodedTransport };

export interface DecodedFrame {
  /** `02:00:00:00:00:01` */
  dst: string;
  src: string;
  /** Outermost first. */
  vlans: { id: number; priority: number; tpid: number }[];
  etherType: number;
  /** Bytes behind the IP packet, which must be zero (padding of a short frame). */
  paddingBytes: number;
  /** Absent when the frame is neither IPv4 nor IPv6. */
  packet?: DecodedPacket;
}

export interface DecodedPacket {
  version: 4 | 6;
  src: string;
  dst: string;
  dscp: number;
  /** 0 not-ECT, 1 ECT(1), 2 ECT(0), 3 CE. */
  ecn: number;
  /** TTL or hop limit. */
  ttl: number;
  /** IPv4 only; IPv6 behaves as if it were set. */
  df: boolean;
  /** IPv4 identification; 0 for IPv6. */
  id: number;
  /** IPv6 only; 0 for IPv4. */
  flowLabel: number;
  /** IPv4 options as they stand. */
  options: Uint8Array;
  /** Numbers of the IPv6 extension headers, in order. */
  extensionHeaders: number[];
  /** Present when this is a fragment; offset in bytes. An atomic fragment has offset 0 and no more. */
  fragment?: { offset: number; more: boolean; id: number };
  /** Protocol number of what follows all IP headers. */
  protocol: number;
  /** What follows all IP headers. */
  payload: Uint8Array;
  /** Decoded payload; absent in a fragment (an atomic one is whole). */
  transport?: DecodedTransport;
  /** The whole packet, exactly. */
  bytes: Uint8Array;
}

export interface Decapsulated {
  ethernet: { dst: string; src: string; vlans: { id: number; priority: number; tpid: number }[] };
  outer: {
    version: 4 | 6;
    src: string;
    dst: string;
    dscp: number;
    ecn: number;
    ttl: number;
    df: boolean;
    id: number;
    flowLabel: number;
    /** RFC 2890 key; undefined when the K bit is clear. */
    key: number | undefined;
    /** Bit 12 of GRE: the key carries ids of alternates. */
    alternates: boolean;
    /** Of the outer packet. */
    bytes: Uint8Array;
  };
  /** The packet that was wrapped, from its IP header to the last byte that this header claims; not verified further. */
  inner: Uint8Array;
}

export function decodeFrame(frame: Uint8Array): DecodedFrame {
  expect(frame.length >= 14, `a frame of ${frame.length} bytes is shorter than an Ethernet header`);
  const vlans: DecodedFrame['vlans'] = [];
  let at = 12;
  let etherType = u16(frame, at);
  while (etherType === 0x8100 || etherType === 0x88a8) {
    const tag = u16(frame, at + 2);
    vlans.push({ id: tag & 0xfff, priority: tag >> 13, tpid: etherType });
    at += 4;
    etherType = u16(frame, at);
  }
  const rest = frame.subarray(at + 2);
  const decoded: DecodedFrame = {
    dst: mac(frame.subarray(0, 6)),
    src: mac(frame.subarray(6, 12)),
    vlans,
    etherType,
    paddingBytes: 0,
  };
  if (etherType !== 0x0800 && etherType !== 0x86dd) return decoded;
  expect(rest.length > 0, 'the frame ends where its IP packet should start');
  const version = etherType === 0x0800 ? 4 : 6;
  expect(
    u8(rest, 0) >> 4 === version,
    `EtherType says IPv${version}, the packet says IPv${u8(rest, 0) >> 4}`,
  );
  const length = claimedLength(rest);
  expect(length <= rest.length, `the IP header claims ${length} bytes, the frame holds ${rest.length}`);
  const padding = rest.subarray(length);
  expect(
    padding.every((byte) => byte === 0),
    `${padding.length} bytes follow the IP packet and are not zero`,
  );
  return { ...decoded, paddingBytes: padding.length, packet: decodePacket(rest.subarray(0, length)) };
}

/** Decodes bytes that must be exactly one IP packet. */
export function decodePacket(bytes: Uint8Array): DecodedPacket {
  expect(bytes.length > 0, 'an empty packet');
  const version = u8(bytes, 0) >> 4;
  if (version === 4) return decodeIpv4(bytes);
  if (version === 6) return decodeIpv6(bytes);
  throw new Malformed(`IP version ${version}`);
}

/** Takes a GRE frame apart: RFC 2784 version 0 with an RFC 2890 key at most, no padding, inner lengths that fit. */
export function decapsulate(frame: Uint8Array): Decapsulated {
  const { packet, paddingBytes, dst, src, vlans } = decodeFrame(frame);
  expect(packet !== undefined, 'not an IP frame');
  expect(paddingBytes === 0, `${paddingBytes} bytes of padding follow the outer packet`);
  expect(packet.extensionHeaders.length === 0, 'the outer packet has extension headers');
  expect(packet.options.length === 0, 'the outer packet has options');
  const gre = packet.transport;
  expect(gre?.kind === 'gre', `not GRE but protocol ${packet.protocol}`);
  expect(!gre.hasChecksum && gre.sequence === undefined, 'GRE with a checksum or a sequence number');
  const version = gre.etherType === 0x0800 ? 4 : gre.etherType === 0x86dd ? 6 : undefined;
  expect(version !== undefined, `GRE protocol type 0x${gre.etherType.toString(16)} is neither IPv4 nor IPv6`);
  const inner = gre.inner;
  expect(inner.length > 0, 'GRE wraps nothing');
  expect(u8(inner, 0) >> 4 === version, `GRE says IPv${version}, the inner packet IPv${u8(inner, 0) >> 4}`);
  const length = claimedLength(inner);
  expect(length === inner.length, `the inner packet claims ${length} bytes, GRE carries ${inner.length}`);
  return {
    ethernet: { dst, src, vlans },
    outer: {
      version: packet.version,
      src: packet.src,
      dst: packet.dst,
      dscp: packet.dscp,
      ecn: packet.ecn,
      ttl: packet.ttl,
      df: packet.df,
      id: packet.id,
      flowLabel: packet.flowLabel,
      key: gre.key,
      alternates: gre.alternates,
      bytes: packet.bytes,
    },
    inner,
  };
}

/** RFC 791 section 3.1. */
function decodeIpv4(bytes: Uint8Array): DecodedPacket {
  expect(bytes.length >= 20, `an IPv4 packet of ${bytes.length} bytes is shorter than its header`);
  const headerLength = (u8(bytes, 0) & 15) * 4;
  expect(headerLength >= 20, `an IPv4 header of ${headerLength} bytes`);
  const total = u16(bytes, 2);
  expect(total >= headerLength, `total length ${total} is shorter than the header of ${headerLength}`);
  expect(total === bytes.length, `total length ${total}, but ${bytes.length} bytes`);
  expect(internetChecksum(bytes.subarray(0, headerLength)) === 0, 'wrong IPv4 header checksum');
  const flags = u16(bytes, 6);
  expect((flags & 0x8000) === 0, 'the reserved flag of the IPv4 header is set');
  const offset = (flags & 0x1fff) * 8;
  const more = (flags & 0x2000) !== 0;
  const payload = bytes.subarray(headerLength);
  expect(!more || payload.length % 8 === 0, `a fragment with more to come carries ${payload.length} bytes`);
  expect(offset + total <= 65535, 'a fragment ends beyond 65535 bytes');
  const src = bytes.subarray(12, 16);
  const dst = bytes.subarray(16, 20);
  const protocol = u8(bytes, 9);
  const isFragment = more || offset > 0;
  return {
    version: 4,
    src: src.join('.'),
    dst: dst.join('.'),
    dscp: u8(bytes, 1) >> 2,
    ecn: u8(bytes, 1) & 3,
    ttl: u8(bytes, 8),
    df: (flags & 0x4000) !== 0,
    id: u16(bytes, 4),
    flowLabel: 0,
    options: bytes.subarray(20, headerLength),
    extensionHeaders: [],
    ...(isFragment ? { fragment: { offset, more, id: u16(bytes, 4) } } : {}),
    protocol,
    payload,
    ...(isFragment ? {} : { transport: decodeTransport(protocol, payload, { src, dst }) }),
    bytes,
  };
}

/** RFC 8200 sections 3 and 4; AH by RFC 4302. */
function decodeIpv6(bytes: Uint8Array): DecodedPacket {
  expect(bytes.length >= 40, `an IPv6 packet of ${bytes.length} bytes is shorter than its header`);
  expect(
    u16(bytes, 4) + 40 === bytes.length,
    `payload length ${u16(bytes, 4)}, but ${bytes.length - 40} bytes`,
  );
  const src = bytes.subarray(8, 24);
  const dst = bytes.subarray(24, 40);
  const first = u32(bytes, 0);
  const trafficClass = (first >>> 20) & 0xff;
  const extensionHeaders: number[] = [];
  let fragment: DecodedPacket['fragment'];
  let protocol = u8(bytes, 6);
  let at = 40;
  while ([0, 43, 44, 51, 60].includes(protocol) && (fragment?.offset ?? 0) === 0) {
    expect(protocol !== 0 || at === 40, 'a hop-by-hop header that is not first');
    expect(at + 8 <= bytes.length, `extension header ${protocol} is cut short`);
    const units = u8(bytes, at + 1);
    const length = protocol === 44 ? 8 : protocol === 51 ? (units + 2) * 4 : (units + 1) * 8;
    expect(at + length <= bytes.length, `extension header ${protocol} of ${length} bytes is cut short`);
    if (protocol === 44) {
      expect(fragment === undefined, 'two fragment headers');
      const word = u16(bytes, at + 2);
      fragment = { offset: word & 0xfff8, more: (word & 1) !== 0, id: u32(bytes, at + 4) };
    }
    extensionHeaders.push(protocol);
    protocol = u8(bytes, at);
    at += length;
  }
  const payload = bytes.subarray(at);
  const whole = fragment === undefined || (fragment.offset === 0 && !fragment.more);
  return {
    version: 6,
    src: ipv6Text(src),
    dst: ipv6Text(dst),
    dscp: trafficClass >> 2,
    ecn: trafficClass & 3,
    ttl: u8(bytes, 7),
    df: true,
    id: 0,
    flowLabel: first & 0xfffff,
    options: new Uint8Array(0),
    extensionHeaders,
    ...(fragment === undefined ? {} : { fragment }),
    protocol,
    payload,
    ...(whole ? { transport: decodeTransport(protocol, payload, { src, dst }) } : {}),
    bytes,
  };
}

/** The length that an IP header claims for its packet. */
function claimedLength(bytes: Uint8Array): number {
  return u8(bytes, 0) >> 4 === 4 ? u16(bytes, 2) : u16(bytes, 4) + 40;
}

function mac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}
