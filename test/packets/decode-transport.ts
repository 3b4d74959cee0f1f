/** The oracle's transport half: TCP, UDP, ICMP, ICMPv6 and GRE, each verified to the byte. */
import { expect, internetChecksum, ipv6Text, u8, u16, u32 } from './decode-util.js';

export type DecodedTransport =
  | { kind: 'tcp'; sport: number; dport: number; flags: string[]; options: Uint8Array; data: Uint8Array }
  | { kind: 'udp'; sport: number; dport: number; hasChecksum: boolean; data: Uint8Array }
  | DecodedIcmp
  | {
      kind: 'gre';
      etherType: number;
      key: number | undefined;
      /** Bit 12: the key carries ids of alternates. */
      alternates: boolean;
      sequence: number | undefined;
      hasChecksum: boolean;
      inner: Uint8Array;
    }
  | { kind: 'other'; protocol: number; data: Uint8Array };

export interface DecodedIcmp {
  kind: 'icmp' | 'icmpv6';
  type: number;
  code: number;
  /** The four bytes behind the checksum: id and sequence, or unused and MTU. */
  word: number;
  /** What follows: echo data, or the quoted packet. */
  data: Uint8Array;
  /** In errors only: the head of the packet that is quoted. */
  quoted?: Quoted;
  /** Next-hop MTU, in fragmentation-needed and packet-too-big messages only. */
  mtu?: number;
}

export interface Quoted {
  version: 4 | 6;
  src: string;
  dst: string;
  ttl: number;
  /** The next-header field as it stands: of an IPv6 packet maybe an extension header. */
  protocol: number;
  /** Length that the quoted IP header claims for the whole packet. */
  claimedLength: number;
  /** Present when four bytes behind the header are there and protocol is TCP or UDP in a first fragment. */
  sport?: number;
  dport?: number;
}

export interface Addresses {
  src: Uint8Array;
  dst: Uint8Array;
}

export function decodeTransport(protocol: number, bytes: Uint8Array, ip: Addresses): DecodedTransport {
  if (protocol === 6) return decodeTcp(bytes, ip);
  if (protocol === 17) return decodeUdp(bytes, ip);
  if (protocol === 1 && ip.src.length === 4) return decodeIcmp(bytes);
  if (protocol === 58 && ip.src.length === 16) return decodeIcmpv6(bytes, ip);
  if (protocol === 47) return decodeGre(bytes);
  return { kind: 'other', protocol, data: bytes };
}

/** RFC 9293 section 3.1. */
function decodeTcp(bytes: Uint8Array, ip: Addresses): DecodedTransport {
  expect(bytes.length >= 20, `a TCP header cut at ${bytes.length} bytes`);
  const headerLength = (u8(bytes, 12) >> 4) * 4;
  expect(headerLength >= 20 && headerLength <= bytes.length, `a TCP header of ${headerLength} bytes`);
  expect(internetChecksum(pseudo(ip, 6, bytes.length), bytes) === 0, 'wrong TCP checksum');
  const names = ['fin', 'syn', 'rst', 'psh', 'ack', 'urg', 'ece', 'cwr'];
  return {
    kind: 'tcp',
    sport: u16(bytes, 0),
    dport: u16(bytes, 2),
    flags: names.filter((_, bit) => (u8(bytes, 13) & (1 << bit)) !== 0),
    options: bytes.subarray(20, headerLength),
    data: bytes.subarray(headerLength),
  };
}

/** RFC 768; RFC 8200 section 8.1 forbids the zero checksum. */
function decodeUdp(bytes: Uint8Array, ip: Addresses): DecodedTransport {
  expect(bytes.length >= 8, `a UDP header cut at ${bytes.length} bytes`);
  expect(u16(bytes, 4) === bytes.length, `UDP length ${u16(bytes, 4)}, but ${bytes.length} bytes`);
  const hasChecksum = u16(bytes, 6) !== 0;
  expect(hasChecksum || ip.src.length === 4, 'a UDP datagram over IPv6 without a checksum');
  if (hasChecksum) {
    expect(internetChecksum(pseudo(ip, 17, bytes.length), bytes) === 0, 'wrong UDP checksum');
  }
  return { kind: 'udp', sport: u16(bytes, 0), dport: u16(bytes, 2), hasChecksum, data: bytes.subarray(8) };
}

/** RFC 792; the MTU field by RFC 1191 section 4. */
function decodeIcmp(bytes: Uint8Array): DecodedIcmp {
  expect(bytes.length >= 8, `an ICMP header cut at ${bytes.length} bytes`);
  expect(internetChecksum(bytes) === 0, 'wrong ICMP checksum');
  const type = u8(bytes, 0);
  const code = u8(bytes, 1);
  const data = bytes.subarray(8);
  return {
    kind: 'icmp',
    type,
    code,
    word: u32(bytes, 4),
    data,
    ...([3, 4, 5, 11, 12].includes(type) ? { quoted: decodeQuoted(data, 4) } : {}),
    ...(type === 3 && code === 4 ? { mtu: u16(bytes, 6) } : {}),
  };
}

/** RFC 4443: types below 128 are errors. */
function decodeIcmpv6(bytes: Uint8Array, ip: Addresses): DecodedIcmp {
  expect(bytes.length >= 8, `an ICMPv6 header cut at ${bytes.length} bytes`);
  expect(internetChecksum(pseudo(ip, 58, bytes.length), bytes) === 0, 'wrong ICMPv6 checksum');
  const type = u8(bytes, 0);
  const data = bytes.subarray(8);
  expect(type >= 128 || bytes.length <= 1240, 'an ICMPv6 error longer than 1280 bytes with its IPv6 header');
  return {
    kind: 'icmpv6',
    type,
    code: u8(bytes, 1),
    word: u32(bytes, 4),
    data,
    ...(type < 128 ? { quoted: decodeQuoted(data, 6) } : {}),
    ...(type === 2 ? { mtu: u32(bytes, 4) } : {}),
  };
}

/** The quote must hold a whole IP header, with a right checksum; what is behind may be cut anywhere. */
function decodeQuoted(bytes: Uint8Array, version: 4 | 6): Quoted {
  const headerLength = version === 4 ? (u8(bytes, 0) & 15) * 4 : 40;
  expect(u8(bytes, 0) >> 4 === version, `an IPv${version} error quotes IP version ${u8(bytes, 0) >> 4}`);
  expect(headerLength >= 20, `the quoted IPv4 header has ${headerLength} bytes`);
  expect(bytes.length >= headerLength, `the quote of ${bytes.length} bytes does not hold the IP header`);
  const laterFragment = version === 4 && (u16(bytes, 6) & 0x1fff) !== 0;
  if (version === 4) {
    expect(
      internetChecksum(bytes.subarray(0, headerLength)) === 0,
      'wrong checksum in the quoted IPv4 header',
    );
  }
  const protocol = u8(bytes, version === 4 ? 9 : 6);
  const hasPorts = (protocol === 6 || protocol === 17) && !laterFragment && bytes.length >= headerLength + 4;
  const address = (at: number): string =>
    version === 4 ? bytes.subarray(at, at + 4).join('.') : ipv6Text(bytes.subarray(at, at + 16));
  return {
    version,
    src: address(version === 4 ? 12 : 8),
    dst: address(version === 4 ? 16 : 24),
    ttl: u8(bytes, version === 4 ? 8 : 7),
    protocol,
    claimedLength: version === 4 ? u16(bytes, 2) : u16(bytes, 4) + 40,
    ...(hasPorts ? { sport: u16(bytes, headerLength), dport: u16(bytes, headerLength + 2) } : {}),
  };
}

/** RFC 2784 with RFC 2890: C, K and S bits, and bit 12, anyhop's own; every other bit of the first 16 must be zero. */
function decodeGre(bytes: Uint8Array): DecodedTransport {
  const flags = u16(bytes, 0);
  expect((flags & ~0xb008) === 0, `GRE flags and version 0x${flags.toString(16)}`);
  const etherType = u16(bytes, 2);
  let at = 4;
  const hasChecksum = (flags & 0x8000) !== 0;
  if (hasChecksum) {
    expect(internetChecksum(bytes) === 0, 'wrong GRE checksum');
    at += 4;
  }
  const key = (flags & 0x2000) === 0 ? undefined : u32(bytes, at);
  if (key !== undefined) at += 4;
  const alternates = (flags & 0x0008) !== 0;
  expect(!alternates || key !== undefined, 'GRE says what kind of key it has, and has none');
  const sequence = (flags & 0x1000) === 0 ? undefined : u32(bytes, at);
  if (sequence !== undefined) at += 4;
  expect(at <= bytes.length, 'the GRE header is cut short');
  return { kind: 'gre', etherType, key, alternates, sequence, hasChecksum, inner: bytes.subarray(at) };
}

/** The pseudo-header of RFC 9293 section 3.1 (IPv4) or RFC 8200 section 8.1 (IPv6). */
function pseudo(ip: Addresses, protocol: number, length: number): Uint8Array {
  return ip.src.length === 4
    ? Uint8Array.of(...ip.src, ...ip.dst, 0, protocol, length >> 8, length & 0xff)
    : Uint8Array.of(...ip.src, ...ip.dst, 0, 0, length >> 8, length & 0xff, 0, 0, 0, protocol);
}
