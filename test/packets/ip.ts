/** IPv4 and IPv6 headers, IPv6 extension headers, and cutting a packet into fragments. */
import {
  addressBytes,
  checksum,
  concat,
  fields,
  type Layer,
  NO_NEXT_HEADER,
  packet,
  pad,
  payload,
} from './layer.js';

export const PROTOCOL = {
  hopByHop: 0,
  icmp: 1,
  ipip: 4,
  tcp: 6,
  udp: 17,
  ipv6: 41,
  routing: 43,
  fragment: 44,
  gre: 47,
  esp: 50,
  ah: 51,
  icmpv6: 58,
  destinationOptions: 60,
  ospf: 89,
  sctp: 132,
} as const;

export interface Ipv4Options {
  src: string;
  dst: string;
  ttl?: number;
  /** The whole second byte: DSCP in the upper six bits, ECN in the lower two. */
  tos?: number;
  df?: boolean;
  moreFragments?: boolean;
  /** In units of 8 bytes, as in the header. */
  fragmentOffset?: number;
  /** The bit that must be zero (RFC 3514 aside). */
  reservedFlag?: boolean;
  id?: number;
  /** Padded with end-of-options to a multiple of 4; at most 40 bytes. See `ipOption`. */
  options?: Uint8Array;
  /** Overrides, to make wrong packets. */
  version?: number;
  headerWords?: number;
  totalLength?: number;
  protocol?: number;
  checksum?: number;
}

export function ipv4(o: Ipv4Options): Layer {
  const src = addressBytes(o.src);
  const dst = addressBytes(o.dst);
  return {
    protocol: PROTOCOL.ipip,
    etherType: 0x0800,
    addresses: { src, dst },
    encode(rest, { next }) {
      const given = o.options ?? new Uint8Array(0);
      const options = concat(given, pad(given.length, 4));
      const length = 20 + options.length;
      const flags =
        (o.reservedFlag ? 0x8000 : 0) |
        (o.df ? 0x4000 : 0) |
        (o.moreFragments ? 0x2000 : 0) |
        (o.fragmentOffset ?? 0);
      const header = (sum: number): Uint8Array =>
        concat(
          fields(
            [(o.version ?? 4) * 16 + (o.headerWords ?? length / 4), 1],
            [o.tos ?? 0, 1],
            [o.totalLength ?? length + rest.length, 2],
            [o.id ?? 0, 2],
            [flags, 2],
            [o.ttl ?? 64, 1],
            [o.protocol ?? next?.protocol ?? NO_NEXT_HEADER, 1],
            [sum, 2],
          ),
          src,
          dst,
          options,
        );
      return concat(header(o.checksum ?? checksum(header(0))), rest);
    },
  };
}

/** IPv4 options by name (RFC 791 section 3.1, RFC 2113); join several with `concat`. */
export const ipOption = {
  nop: (count = 1): Uint8Array => new Uint8Array(count).fill(1),
  routerAlert: (): Uint8Array => fields([148, 1], [4, 1], [0, 2]),
  /** Room for `slots` addresses, 1 to 9. */
  recordRoute: (slots: number): Uint8Array =>
    concat(fields([7, 1], [3 + slots * 4, 1], [4, 1]), new Uint8Array(slots * 4)),
  timestamp: (slots: number): Uint8Array =>
    concat(fields([68, 1], [4 + slots * 4, 1], [5, 1], [0, 1]), new Uint8Array(slots * 4)),
};

export interface Ipv6Options {
  src: string;
  dst: string;
  hopLimit?: number;
  /** DSCP in the upper six bits, ECN in the lower two. */
  trafficClass?: number;
  flowLabel?: number;
  /** Overrides, to make wrong packets. */
  version?: number;
  payloadLength?: number;
  nextHeader?: number;
}

export function ipv6(o: Ipv6Options): Layer {
  const src = addressBytes(o.src);
  const dst = addressBytes(o.dst);
  return {
    protocol: PROTOCOL.ipv6,
    etherType: 0x86dd,
    addresses: { src, dst },
    encode(rest, { next }) {
      const first = (o.version ?? 6) * 2 ** 28 + (o.trafficClass ?? 0) * 2 ** 20 + (o.flowLabel ?? 0);
      return concat(
        fields(
          [first, 4],
          [o.payloadLength ?? rest.length, 2],
          [o.nextHeader ?? next?.protocol ?? NO_NEXT_HEADER, 1],
          [o.hopLimit ?? 64, 1],
        ),
        src,
        dst,
        rest,
      );
    },
  };
}

export interface OptionsHeaderOptions {
  /** Total length in bytes, a multiple of 8 up to 2048; the body is PadN options (RFC 8200 section 4.2). */
  length?: number;
  /** Override of the length byte: 8-byte units beyond the first. */
  lengthUnits?: number;
}

export function hopByHop(o: OptionsHeaderOptions = {}): Layer {
  return optionsHeader(PROTOCOL.hopByHop, o);
}

export function destinationOptions(o: OptionsHeaderOptions = {}): Layer {
  return optionsHeader(PROTOCOL.destinationOptions, o);
}

function optionsHeader(protocol: number, o: OptionsHeaderOptions): Layer {
  const length = o.length ?? 8;
  const padding: Uint8Array[] = [];
  for (let left = length - 2; left > 0; ) {
    // PadN: type 1, length of what follows; a leftover of one byte is a Pad1.
    const size = Math.min(left, 257);
    padding.push(
      size === 1 ? fields([0, 1]) : concat(fields([1, 1], [size - 2, 1]), new Uint8Array(size - 2)),
    );
    left -= size;
  }
  return extension(protocol, o.lengthUnits ?? length / 8 - 1, concat(...padding));
}

export interface RoutingOptions {
  /** 0 source route (deprecated), 2 mobile, 3 RPL, 4 segment routing. */
  type?: number;
  segmentsLeft?: number;
  addresses?: string[];
  lengthUnits?: number;
}

/** A routing header (RFC 8200 section 4.4). With `segmentsLeft` 0, the default, the packet is at its last stop. */
export function routing(o: RoutingOptions = {}): Layer {
  const addresses = (o.addresses ?? []).map(addressBytes);
  return extension(
    PROTOCOL.routing,
    o.lengthUnits ?? addresses.length * 2,
    concat(fields([o.type ?? 0, 1], [o.segmentsLeft ?? 0, 1], [0, 4]), ...addresses),
  );
}

export interface FragmentOptions {
  /** In units of 8 bytes. */
  offset?: number;
  more?: boolean;
  id?: number;
}

/** A fragment header (RFC 8200 section 4.5); offset 0 without `more` is an atomic fragment (RFC 6946). */
export function fragment(o: FragmentOptions = {}): Layer {
  return extension(
    PROTOCOL.fragment,
    0,
    fields([(o.offset ?? 0) * 8 + (o.more ? 1 : 0), 2], [o.id ?? 0x1234abcd, 4]),
  );
}

/** An authentication header (RFC 4302) with a 96-bit check value; its length counts 4-byte units less 2. */
export function authentication(o: { spi?: number; sequence?: number } = {}): Layer {
  return extension(
    PROTOCOL.ah,
    4,
    concat(fields([0, 2], [o.spi ?? 256, 4], [o.sequence ?? 1, 4]), new Uint8Array(12).fill(0xa5)),
  );
}

function extension(protocol: number, lengthByte: number, body: Uint8Array): Layer {
  return {
    protocol,
    encode: (rest, { next }) =>
      concat(fields([next?.protocol ?? NO_NEXT_HEADER, 1], [lengthByte, 1]), body, rest),
  };
}

/**
 * The packet `ipv4(header)` + `layers` cut into fragments whose data is `dataBytes` long (a multiple of 8), as a
 * router would; checksums are those of the whole. Returns IP packets.
 */
export function ipv4Fragments(header: Ipv4Options, layers: Layer[], dataBytes: number): Uint8Array[] {
  const whole = packet(ipv4(header), ...layers);
  return pieces(whole.subarray((whole[0] & 15) * 4), dataBytes).map(({ data, offset, more }) =>
    packet(ipv4({ ...header, fragmentOffset: offset, moreFragments: more }), payload(data, whole[9])),
  );
}

/** The same for IPv6; `layers` is the fragmentable part. */
export function ipv6Fragments(
  header: Ipv6Options,
  layers: Layer[],
  dataBytes: number,
  id = 0x1234abcd,
): Uint8Array[] {
  const whole = packet(ipv6(header), ...layers);
  return pieces(whole.subarray(40), dataBytes).map(({ data, offset, more }) =>
    packet(ipv6(header), fragment({ offset, more, id }), payload(data, whole[6])),
  );
}

function pieces(data: Uint8Array, size: number): { data: Uint8Array; offset: number; more: boolean }[] {
  if (size % 8 !== 0) throw new RangeError(`a fragment carries a multiple of 8 bytes, not ${size}`);
  const out: { data: Uint8Array; offset: number; more: boolean }[] = [];
  for (let at = 0; at < data.length; at += size) {
    out.push({ data: data.subarray(at, at + size), offset: at / 8, more: at + size < data.length });
  }
  return out;
}
