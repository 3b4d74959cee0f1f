/** What rides on IP: TCP, UDP, ICMP, ICMPv6 and GRE, with the checksums that belong to them. */
import { PROTOCOL } from './ip.js';
import { type Around, checksum, concat, fields, type Layer, pad, pseudoHeader } from './layer.js';

/** Bits of the TCP flags byte, in the order of the header from low to high. */
const TCP_FLAGS = ['fin', 'syn', 'rst', 'psh', 'ack', 'urg', 'ece', 'cwr'] as const;
export type TcpFlag = (typeof TCP_FLAGS)[number];

export interface TcpOptions {
  sport: number;
  dport: number;
  flags?: readonly TcpFlag[];
  sequence?: number;
  acknowledgment?: number;
  window?: number;
  urgent?: number;
  /** Padded to a multiple of 4; at most 40 bytes. See `tcpOption`. */
  options?: Uint8Array;
  /** Overrides, to make wrong segments. */
  dataOffsetWords?: number;
  checksum?: number;
}

export function tcp(o: TcpOptions): Layer {
  return {
    protocol: PROTOCOL.tcp,
    encode(rest, { ip }) {
      const given = o.options ?? new Uint8Array(0);
      const options = concat(given, pad(given.length, 4));
      const flags = (o.flags ?? ['ack']).reduce((bits, flag) => bits | (1 << TCP_FLAGS.indexOf(flag)), 0);
      const head = fields(
        [o.sport, 2],
        [o.dport, 2],
        [o.sequence ?? 1000, 4],
        [o.acknowledgment ?? 2000, 4],
        [(o.dataOffsetWords ?? 5 + options.length / 4) << 4, 1],
        [flags, 1],
        [o.window ?? 64240, 2],
      );
      const tail = concat(fields([o.urgent ?? 0, 2]), options, rest);
      const sum = o.checksum ?? transportChecksum(ip, PROTOCOL.tcp, head, tail);
      return concat(head, fields([sum, 2]), tail);
    },
  };
}

/** TCP options by name (RFC 9293 section 3.2, RFC 7323); join several with `concat`. */
export const tcpOption = {
  nop: (count = 1): Uint8Array => new Uint8Array(count).fill(1),
  mss: (bytes: number): Uint8Array => fields([2, 1], [4, 1], [bytes, 2]),
  sackPermitted: (): Uint8Array => fields([4, 1], [2, 1]),
  windowScale: (shift: number): Uint8Array => fields([3, 1], [3, 1], [shift, 1]),
  timestamps: (value: number, echo: number): Uint8Array => fields([8, 1], [10, 1], [value, 4], [echo, 4]),
  end: (count = 1): Uint8Array => new Uint8Array(count),
  fastOpen: (cookie: Uint8Array): Uint8Array => concat(fields([34, 1], [2 + cookie.length, 1]), cookie),
  multipath: (): Uint8Array => fields([30, 1], [12, 1], [0x0181, 2], [1, 4], [2, 4]),
  md5: (): Uint8Array => concat(fields([19, 1], [18, 1]), new Uint8Array(16).fill(0x78)),
  authentication: (): Uint8Array =>
    concat(fields([29, 1], [16, 1], [1, 1], [1, 1]), new Uint8Array(12).fill(0x61)),
};

export interface UdpOptions {
  sport: number;
  dport: number;
  /** Override of the length field (header and data). */
  length?: number;
  /** Override; 0 means "none", which IPv4 allows. */
  checksum?: number;
}

export function udp(o: UdpOptions): Layer {
  return {
    protocol: PROTOCOL.udp,
    encode(rest, { ip }) {
      const head = fields([o.sport, 2], [o.dport, 2], [o.length ?? 8 + rest.length, 2]);
      // A sum of zero is sent as all ones, because zero means "none" (RFC 768).
      const sum = o.checksum ?? (transportChecksum(ip, PROTOCOL.udp, head, rest) || 0xffff);
      return concat(head, fields([sum, 2]), rest);
    },
  };
}

export interface EchoOptions {
  id?: number;
  sequence?: number;
  reply?: boolean;
  code?: number;
  checksum?: number;
}

/** An ICMP echo request or reply (RFC 792); the data is what follows. */
export function icmpEcho(o: EchoOptions = {}): Layer {
  const body = fields([o.id ?? 1, 2], [o.sequence ?? 1, 2]);
  return icmp({ type: o.reply ? 0 : 8, code: o.code ?? 0, rest: body, ...sumOf(o) });
}

/** An ICMPv6 echo request or reply (RFC 4443 section 4). */
export function icmpv6Echo(o: EchoOptions = {}): Layer {
  const body = fields([o.id ?? 1, 2], [o.sequence ?? 1, 2]);
  return icmpv6({ type: o.reply ? 129 : 128, code: o.code ?? 0, rest: body, ...sumOf(o) });
}

export interface IcmpErrorOptions {
  /** ICMP: 3 unreachable, 4 source quench, 5 redirect, 11 time exceeded, 12 parameter problem. */
  type: number;
  code?: number;
  /** Next-hop MTU of a fragmentation-needed message (RFC 1191); ICMPv6: of a packet-too-big. */
  mtu?: number;
  /** The IP packet that caused it, made by `packet(...)`. */
  about: Uint8Array;
  /** Quote this many bytes of it at most; default IP header + 8 bytes (IPv4), 1232 bytes (IPv6). */
  quoteBytes?: number;
  checksum?: number;
}

/** An ICMP error that quotes a packet (RFC 792). */
export function icmpError(o: IcmpErrorOptions): Layer {
  const quote = o.about.subarray(0, o.quoteBytes ?? (o.about[0] & 15) * 4 + 8);
  return icmp({
    type: o.type,
    code: o.code ?? (o.mtu === undefined ? 0 : 4),
    rest: concat(fields([0, 2], [o.mtu ?? 0, 2]), quote),
    ...sumOf(o),
  });
}

/**
 * An ICMPv6 error that quotes a packet (RFC 4443 section 3): 1 unreachable, 2 packet too big, 3 time exceeded,
 * 4 parameter problem. The quote is cut so that the message fits 1280 bytes.
 */
export function icmpv6Error(o: IcmpErrorOptions): Layer {
  const quote = o.about.subarray(0, o.quoteBytes ?? 1232);
  return icmpv6({
    type: o.type,
    code: o.code ?? 0,
    rest: concat(fields([o.mtu ?? 0, 4]), quote),
    ...sumOf(o),
  });
}

export interface IcmpOptions {
  type: number;
  code?: number;
  /** Everything behind the checksum; further layers follow it. */
  rest?: Uint8Array;
  checksum?: number;
}

/** Any ICMP message. */
export function icmp(o: IcmpOptions): Layer {
  return {
    protocol: PROTOCOL.icmp,
    encode(rest) {
      const head = fields([o.type, 1], [o.code ?? 0, 1]);
      const tail = concat(o.rest ?? new Uint8Array(4), rest);
      return concat(head, fields([o.checksum ?? checksum(head, tail), 2]), tail);
    },
  };
}

/** Any ICMPv6 message; its checksum covers the pseudo-header. */
export function icmpv6(o: IcmpOptions): Layer {
  return {
    protocol: PROTOCOL.icmpv6,
    encode(rest, { ip }) {
      const head = fields([o.type, 1], [o.code ?? 0, 1]);
      const tail = concat(o.rest ?? new Uint8Array(4), rest);
      const sum = o.checksum ?? transportChecksum(ip, PROTOCOL.icmpv6, head, tail);
      return concat(head, fields([sum, 2]), tail);
    },
  };
}

export interface GreOptions {
  /** RFC 2890 key; absent when undefined. */
  key?: number;
  /** Whether bit 12 says that the key carries ids of alternates. */
  alternates?: boolean;
  /** RFC 2890 sequence number; absent when undefined. */
  sequence?: number;
  /** Adds the RFC 2784 checksum. */
  withChecksum?: boolean;
  version?: number;
  /** Override of the protocol type. */
  etherType?: number;
}

export function gre(o: GreOptions = {}): Layer {
  return {
    protocol: PROTOCOL.gre,
    encode(rest, { next }) {
      const flags =
        (o.withChecksum ? 0x8000 : 0) |
        (o.key === undefined ? 0 : 0x2000) |
        (o.alternates ? 0x0008 : 0) |
        (o.sequence === undefined ? 0 : 0x1000) |
        (o.version ?? 0);
      const head = fields([flags, 2], [o.etherType ?? next?.etherType ?? 0, 2]);
      const tail = concat(
        o.key === undefined ? new Uint8Array(0) : fields([o.key, 4]),
        o.sequence === undefined ? new Uint8Array(0) : fields([o.sequence, 4]),
        rest,
      );
      if (!o.withChecksum) return concat(head, tail);
      return concat(head, fields([checksum(head, new Uint8Array(4), tail), 2], [0, 2]), tail);
    },
  };
}

/** Over pseudo-header, the header without its checksum field, and the rest. `head` has an even length. */
function transportChecksum(ip: Around['ip'], protocol: number, head: Uint8Array, tail: Uint8Array): number {
  if (ip === undefined) throw new Error('a transport header outside an IP packet needs an explicit checksum');
  return checksum(pseudoHeader(ip, protocol, head.length + 2 + tail.length), head, tail);
}

/** Passes an override on only when it is there (exactOptionalPropertyTypes). */
function sumOf(o: { checksum?: number }): { checksum?: number } {
  return o.checksum === undefined ? {} : { checksum: o.checksum };
}
