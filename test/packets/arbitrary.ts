/**
 * Arbitraries (fast-check) of frames: right ones to given VIPs, right ones with damage, and junk. Each right frame
 * comes with what it is, so that a counterexample can be read and a property can pick its cases.
 */
import fc from 'fast-check';
import {
  authentication,
  concat,
  destinationOptions,
  type EthernetOptions,
  fragment,
  frame,
  frameOf,
  hopByHop,
  icmpEcho,
  icmpError,
  icmpv6Echo,
  icmpv6Error,
  ipOption,
  ipv4,
  ipv4Fragments,
  ipv6,
  ipv6Fragments,
  type Layer,
  PROTOCOL,
  packet,
  payload,
  routing,
  type TcpFlag,
  tcp,
  tcpOption,
  udp,
} from './build.js';

export interface GeneratedFrame {
  kind: 'tcp' | 'udp' | 'echo' | 'icmp-error' | 'fragment' | 'other';
  family: 4 | 6;
  vlans: number;
  src: string;
  vip: string;
  /** Of the flow from client to VIP; undefined where there are no ports. */
  sport: number | undefined;
  dport: number | undefined;
  frame: Uint8Array;
}

export interface FrameTargets {
  /** Addresses in text, of either family. */
  vips: readonly string[];
  /** Ports that services listen on; other ports are drawn as well, one time in eight. */
  ports: readonly number[];
  /** Largest payload in bytes; 1400 unless given. */
  payloadBytesMax?: number;
  /** At most this many VLAN tags, 0 to 3; 3 unless given. */
  vlansMax?: number;
}

type Kind = GeneratedFrame['kind'];

const byte = fc.integer({ min: 0, max: 255 });
const port = fc.integer({ min: 1, max: 65535 });

/** A unicast address that a client could have. */
export const clientAddress = {
  4: fc
    .tuple(fc.integer({ min: 1, max: 223 }), byte, byte, byte)
    .filter(([first, second]) => first !== 127 && (first !== 169 || second !== 254))
    .map((parts) => parts.join('.')),
  6: fc
    .array(fc.integer({ min: 0, max: 0xffff }), { minLength: 7, maxLength: 7 })
    .map((words) => `2001:${words.map((word) => word.toString(16)).join(':')}`),
} as const;

/** A right frame to one of the VIPs: lengths and checksums hold, addresses could be real. */
export function frameTo(targets: FrameTargets): fc.Arbitrary<GeneratedFrame> {
  return fc
    .record({
      vip: fc.constantFrom(...targets.vips),
      kind: fc.oneof(
        { weight: 6, arbitrary: fc.constantFrom<Kind>('tcp', 'udp') },
        { weight: 3, arbitrary: fc.constantFrom<Kind>('echo', 'icmp-error', 'fragment') },
        { weight: 1, arbitrary: fc.constant<Kind>('other') },
      ),
      ethernet: ethernetOptions(targets.vlansMax ?? 3),
      sport: port,
      dport:
        targets.ports.length === 0
          ? port
          : fc.oneof(
              { weight: 7, arbitrary: fc.constantFrom(...targets.ports) },
              { weight: 1, arbitrary: port },
            ),
      size: fc.oneof(
        fc.integer({ min: 0, max: 64 }),
        fc.integer({ min: 0, max: targets.payloadBytesMax ?? 1400 }),
      ),
      pick: fc.nat(),
    })
    .chain(({ vip, kind, ethernet, sport, dport, size, pick }) => {
      const family = vip.includes(':') ? 6 : 4;
      return fc
        .record({
          src: clientAddress[family],
          header: ipHeader,
          transport: transportOf(kind, sport, dport),
          chain: family === 6 ? extensionHeaders : fc.constant([]),
        })
        .map(({ src, header, transport, chain }): GeneratedFrame => {
          const ip = ipLayers(src, vip, header, chain);
          const base = { kind, family, vlans: ethernet.vlans?.length ?? 0, src, vip } as const;
          const ports = { sport, dport };
          const none = { sport: undefined, dport: undefined };
          if (kind === 'echo') {
            const echo = family === 4 ? icmpEcho({ id: sport }) : icmpv6Echo({ id: sport });
            return { ...base, ...none, frame: frame(ethernet, ...ip, echo, payload(size)) };
          }
          if (kind === 'icmp-error') {
            const back = ipLayers(vip, src, { ...header, options: new Uint8Array(0) }, chain);
            const about = packet(...back, ...reversed(transport, sport, dport), payload(size));
            const error = icmpErrorLayer(family, about, pick);
            return { ...base, ...ports, frame: frame(ethernet, ...ip, error) };
          }
          if (kind === 'fragment') {
            const cut = [...transport, payload(Math.max(size, 64))];
            const pieces =
              family === 4
                ? ipv4Fragments({ ...header, src, dst: vip, df: false, options: header.options }, cut, 32)
                : ipv6Fragments({ ...header, src, dst: vip }, cut, 32);
            return { ...base, ...ports, frame: frameOf(ethernet, pieces[pick % pieces.length]) };
          }
          if (kind === 'other') {
            const numbers = [PROTOCOL.esp, PROTOCOL.sctp, PROTOCOL.ospf, 253, 254];
            const content = payload(size, numbers[pick % numbers.length]);
            return { ...base, ...none, frame: frame(ethernet, ...ip, content) };
          }
          return { ...base, ...ports, frame: frame(ethernet, ...ip, ...transport, payload(size)) };
        });
    });
}

/** The frames of `source`, each damaged one to four times: bits flipped, bytes set, cut short, or grown. */
export function mutated(source: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  const damage = fc.oneof(
    { weight: 4, arbitrary: fc.record({ how: fc.constant('flip' as const), at: fc.nat(), value: byte }) },
    // Most of what matters to a parser stands in the first bytes.
    { weight: 4, arbitrary: fc.record({ how: fc.constant('set' as const), at: fc.nat(100), value: byte }) },
    { weight: 2, arbitrary: fc.record({ how: fc.constant('cut' as const), at: fc.nat(), value: byte }) },
    { weight: 1, arbitrary: fc.record({ how: fc.constant('grow' as const), at: fc.nat(64), value: byte }) },
  );
  return fc.tuple(source, fc.array(damage, { minLength: 1, maxLength: 4 })).map(([original, list]) => {
    let bytes = original.slice();
    for (const { how, at, value } of list) {
      const place = bytes.length === 0 ? 0 : at % bytes.length;
      if (how === 'flip' && bytes.length > 0) bytes[place] ^= 1 << (value & 7);
      if (how === 'set' && bytes.length > 0) bytes[place] = value;
      if (how === 'cut') bytes = bytes.slice(0, place);
      if (how === 'grow') bytes = concat(bytes, new Uint8Array(at).fill(value)).slice();
    }
    return bytes;
  });
}

/** Bytes of no meaning, some of them under a header that promises IP. */
export const junk: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.uint8Array({ maxLength: 128 }),
  fc
    .tuple(
      ethernetOptions(3),
      fc.constantFrom(0x0800, 0x86dd, 0x8100, 0x88a8, 0x0806),
      fc.uint8Array({ maxLength: 256 }),
    )
    .map(([ethernet, etherType, bytes]) => frame({ ...ethernet, etherType }, payload(bytes))),
  // A version nibble and a plausible start, then noise.
  fc
    .tuple(fc.constantFrom(0x45, 0x46, 0x4f, 0x60), fc.uint8Array({ minLength: 10, maxLength: 256 }))
    .map(([first, bytes]) => frameOf({}, concat(Uint8Array.of(first), bytes))),
);

interface IpHeader {
  ttl: number;
  hopLimit: number;
  tos: number;
  trafficClass: number;
  flowLabel: number;
  id: number;
  df: boolean;
  options: Uint8Array;
}

const ipHeader: fc.Arbitrary<IpHeader> = fc
  .record({
    ttl: fc.integer({ min: 1, max: 255 }),
    tos: byte,
    flowLabel: fc.integer({ min: 0, max: 0xfffff }),
    id: fc.integer({ min: 0, max: 0xffff }),
    df: fc.boolean(),
    options: fc.oneof(
      { weight: 3, arbitrary: fc.constant(new Uint8Array(0)) },
      {
        weight: 1,
        arbitrary: fc
          .array(
            fc.constantFrom(
              ipOption.nop(),
              ipOption.routerAlert(),
              ipOption.recordRoute(2),
              ipOption.timestamp(3),
            ),
            { maxLength: 2 },
          )
          .map((list) => concat(...list)),
      },
    ),
  })
  .map((o) => ({ ...o, hopLimit: o.ttl, trafficClass: o.tos }));

/** A legal chain: hop-by-hop first, at most eight in all, an atomic fragment header among them at times. */
const extensionHeaders: fc.Arbitrary<Layer[]> = fc.oneof(
  { weight: 2, arbitrary: fc.constant<Layer[]>([]) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(
        fc.boolean(),
        fc.array(
          fc.oneof(
            fc.integer({ min: 1, max: 5 }).map((units) => destinationOptions({ length: units * 8 })),
            fc.constantFrom(routing(), routing({ addresses: ['2001:db8::1'] }), authentication()),
          ),
          { maxLength: 6 },
        ),
        fc.boolean(),
      )
      .map(([first, list, atomic]) => [
        ...(first ? [hopByHop()] : []),
        ...list,
        ...(atomic ? [fragment()] : []),
      ]),
  },
);

function ethernetOptions(vlansMax: number): fc.Arbitrary<EthernetOptions> {
  const tag = fc.record({
    id: fc.integer({ min: 0, max: 4095 }),
    priority: fc.integer({ min: 0, max: 7 }),
    tpid: fc.constantFrom(0x8100, 0x88a8),
  });
  return fc.record({ vlans: fc.oneof(fc.constant([]), fc.array(tag, { maxLength: vlansMax })) });
}

function ipLayers(src: string, dst: string, header: IpHeader, chain: readonly Layer[]): Layer[] {
  return dst.includes(':') ? [ipv6({ ...header, src, dst }), ...chain] : [ipv4({ ...header, src, dst })];
}

/** TCP for everything that is not UDP or nothing: fragments and errors are about either. */
function transportOf(kind: Kind, sport: number, dport: number): fc.Arbitrary<Layer[]> {
  const flags = fc.constantFrom<TcpFlag[]>(['syn'], ['ack'], ['psh', 'ack'], ['fin', 'ack'], ['rst']);
  const options = fc.constantFrom(
    new Uint8Array(0),
    tcpOption.mss(1460),
    concat(
      tcpOption.mss(1220),
      tcpOption.sackPermitted(),
      tcpOption.timestamps(7, 0),
      tcpOption.windowScale(7),
    ),
  );
  const asTcp: fc.Arbitrary<Layer[]> = fc
    .tuple(flags, options)
    .map(([f, o]) => [tcp({ sport, dport, flags: f, options: o })]);
  const asUdp = fc.constant<Layer[]>([udp({ sport, dport })]);
  if (kind === 'tcp') return asTcp;
  if (kind === 'udp') return asUdp;
  return fc.oneof(asTcp, asUdp);
}

/** The same transport in the other direction: what the backend sent and a router complains about. */
function reversed(transport: readonly Layer[], sport: number, dport: number): Layer[] {
  const back = { sport: dport, dport: sport };
  return [transport[0]?.protocol === PROTOCOL.udp ? udp(back) : tcp(back)];
}

function icmpErrorLayer(family: 4 | 6, about: Uint8Array, pick: number): Layer {
  if (family === 4) {
    const cases = [
      icmpError({ type: 3, code: 4, mtu: 1400, about }),
      icmpError({ type: 3, code: 1, about }),
      icmpError({ type: 11, code: 0, about }),
      icmpError({ type: 12, code: 0, about, quoteBytes: 200 }),
    ];
    return cases[pick % cases.length];
  }
  const cases = [
    icmpv6Error({ type: 1, code: 3, about }),
    icmpv6Error({ type: 2, mtu: 1400, about }),
    icmpv6Error({ type: 3, code: 0, about }),
    icmpv6Error({ type: 4, code: 1, about, quoteBytes: 200 }),
  ];
  return cases[pick % cases.length];
}
