/**
 * Frames aimed at a node (a Recipe): the right ones of test/packets/arbitrary.ts, and on top of these what stands at the
 * edge of a rule: ICMP errors about every kind of packet, lengths around what still fits a path, sources that cannot
 * be clients, padding, extension headers that are just too many.
 */
import fc from 'fast-check';
import { clientAddress, frameTo, type GeneratedFrame, junk } from '../packets/arbitrary.js';
import {
  authentication,
  concat,
  destinationOptions,
  fragment,
  frame,
  frameOf,
  hopByHop,
  icmp,
  icmpEcho,
  icmpError,
  icmpv6,
  icmpv6Echo,
  icmpv6Error,
  ipOption,
  ipv4,
  ipv6,
  type Layer,
  packet,
  payload,
  routing,
  tcp,
  udp,
} from '../packets/build.js';
import { OTHER_MACS, type Recipe } from './recipe.js';
import { OPTIONS } from './rules.js';

/** A VIP with ports of its services, one that is next to a service's, and the MTUs of its pool's paths. */
interface Target {
  readonly vip: string;
  readonly family: 4 | 6;
  readonly protocol: 'tcp' | 'udp';
  readonly ports: readonly number[];
  readonly mtus: readonly number[];
}

const VLANS = [
  ...[[], [], [], [], [], [], [], []],
  [10],
  [10],
  [10, 20],
  [{ id: 5, tpid: 0x88a8 }, 6],
  [1, 2, 3],
  [0, 0, 0],
  [0, 0, 0, 0, 0, 0, 0, 0],
  [0, 0, 0, 0, 0, 0, 0, 0, 0],
  [{ id: 5, tpid: 0x9100 }],
] as const;
const UNUSABLE = {
  4: [
    '0.0.0.0',
    '0.1.2.3',
    '127.0.0.1',
    '224.0.0.1',
    '239.255.255.255',
    '240.0.0.1',
    '255.255.255.254',
    '255.255.255.255',
    '223.255.255.255',
    '169.253.255.255',
    '169.254.0.1',
    '169.254.255.255',
    '169.255.0.0',
  ],
  6: [
    '::',
    '::1',
    '::ffff:192.0.2.1',
    '::2:3',
    'ff02::1',
    '0:0:0:1::',
    '::1:0:0',
    'fe7f::1',
    'fe80::1',
    'febf:ffff::1',
    'fec0::1',
  ],
} as const;

/** @returns any frame that is worth sending to such a node */
export function framesFor(recipe: Recipe): fc.Arbitrary<Uint8Array> {
  const targets = targetsOf(recipe);
  const target = fc.constantFrom(...targets);
  const guarded = recipe.rules === undefined ? [] : targets.filter(({ protocol }) => protocol === 'tcp');
  const vips = [...new Set(recipe.services.map(({ vip }) => vip))];
  return fc.oneof(
    { weight: 2, arbitrary: target.chain(rightTo).map(({ frame }) => frame) },
    {
      weight: 12, // of the protocol that its port is a service's of
      arbitrary: target.chain((one) =>
        rightTo(one)
          .filter(({ kind }) => (kind !== 'tcp' && kind !== 'udp') || kind === one.protocol)
          .map(({ frame }) => frame),
      ),
    },
    { weight: 4, arbitrary: target.chain(errorTo) },
    { weight: 5, arbitrary: target.chain(sizedTo) },
    { weight: 2, arbitrary: target.chain((one) => oddTo(one, vips)) },
    { weight: 1, arbitrary: target.chain(fragmentOf) },
    { weight: 1, arbitrary: target.chain(discoveryTo) },
    { weight: 1, arbitrary: junk },
    ...(guarded.length > 0 ? [{ weight: 20, arbitrary: fc.constantFrom(...guarded).chain(synTo) }] : []),
  );
}

function rightTo({ vip, ports }: Target): fc.Arbitrary<GeneratedFrame> {
  return frameTo({ vips: [vip], ports, vlansMax: 2 });
}

function targetsOf({ services, pools }: Recipe): Target[] {
  return services.map(({ vip, protocol, port, pool }): Target => {
    const [first, last] = typeof port === 'number' ? [port, port] : port;
    const near = [first, first, first, last, last, (first + last) >> 1, first - 1, last + 1];
    return {
      vip,
      family: vip.includes(':') ? 6 : 4,
      protocol,
      ports: near.filter((one) => one > 0 && one < 65536),
      mtus: [...new Set((pools[pool ?? 'web'] ?? []).map(({ mtu }) => mtu ?? 9000)), 1500],
    };
  });
}

const number16 = fc.integer({ min: 0, max: 65535 });

/** Headers of either family with what an ICMP error may quote: options, extension headers, fragments. */
function about(target: Target, src: string, dst: string, layers: readonly Layer[]): fc.Arbitrary<Uint8Array> {
  if (target.family === 4) {
    return fc
      .record({
        options: fc.constantFrom(new Uint8Array(0), ipOption.nop(4), ipOption.recordRoute(9)),
        fragmentOffset: fc.constantFrom(0, 0, 0, 185),
        moreFragments: fc.boolean(),
        df: fc.boolean(),
      })
      .map((header) => packet(ipv4({ ...header, src, dst }), ...layers));
  }
  const header = fc.constantFrom<Layer>(
    hopByHop(),
    destinationOptions({ length: 24 }),
    routing({ segmentsLeft: 1, addresses: ['2001:db8::1'] }),
    authentication(),
    fragment(),
    fragment({ more: true }),
    fragment({ offset: 100 }),
  );
  return fc.array(header, { maxLength: 9 }).map((chain) => packet(ipv6({ src, dst }), ...chain, ...layers));
}

/** An ICMP error to the VIP about a packet that one of its backends sent, or that somebody else did. */
function errorTo(target: Target): fc.Arbitrary<Uint8Array> {
  const { family, vip } = target;
  return fc
    .record({
      router: fc.oneof(
        { weight: 7, arbitrary: clientAddress[family] },
        { weight: 1, arbitrary: fc.constantFrom(...UNUSABLE[family]) },
      ),
      client: clientAddress[family],
      sender: fc.oneof(
        { weight: 7, arbitrary: fc.constant(vip) },
        { weight: 1, arbitrary: clientAddress[family] },
      ),
      port: fc.constantFrom(...target.ports),
      clientPort: number16,
      other: fc.integer({ min: 0, max: 15 }),
      type: family === 4 ? fc.constantFrom(3, 3, 11, 12, 4, 5) : fc.constantFrom(1, 2, 2, 3, 4, 0, 5, 127),
      code: fc.integer({ min: 0, max: 5 }),
      quoteBytes: fc.oneof(fc.constant(undefined), fc.integer({ min: 0, max: 120 })),
      size: fc.integer({ min: 0, max: 600 }),
      ttl: fc.constantFrom(64, 64, 64, 1),
      // One byte of the quoted headers in five is not what it should be.
      spoil: fc.oneof(
        { weight: 4, arbitrary: fc.constant(null) },
        { weight: 1, arbitrary: fc.record({ at: fc.nat(47), by: fc.integer({ min: 1, max: 255 }) }) },
      ),
      vlans: fc.constantFrom(...VLANS),
    })
    .chain(
      ({
        router,
        client,
        sender,
        port,
        clientPort,
        other,
        type,
        code,
        quoteBytes,
        size,
        ttl,
        spoil,
        vlans,
      }) => {
        const layer = (target.protocol === 'tcp') === other > 0 ? tcp : udp;
        const layers = [layer({ sport: port, dport: clientPort }), payload(size)];
        return about(target, sender, client, layers).map((bytes) => {
          if (spoil !== null && spoil.at < bytes.length) bytes[spoil.at] ^= spoil.by;
          const quote = quoteBytes === undefined ? {} : { quoteBytes };
          return family === 4
            ? frame(
                { vlans },
                ipv4({ src: router, dst: vip, ttl }),
                icmpError({ type, code, about: bytes, ...quote }),
              )
            : frame(
                { vlans },
                ipv6({ src: router, dst: vip, hopLimit: ttl }),
                icmpv6Error({ type, code, about: bytes, ...quote }),
              );
        });
      },
    );
}

/** A SYN that rules are to judge, with what its system offers; some with data, and with what no cookie is for. */
function synTo({ family, vip, ports }: Target): fc.Arbitrary<Uint8Array> {
  return fc
    .record({
      src: clientAddress[family],
      clientPort: fc.oneof({ weight: 20, arbitrary: number16 }, { weight: 1, arbitrary: fc.constant(0) }),
      port: fc.constantFrom(...ports),
      options: fc.constantFrom(...OPTIONS),
      ecn: fc.boolean(),
      size: fc.constantFrom(0, 0, 0, 0, 1, 400),
      padTo: fc.constantFrom(0, 60),
      ttl: fc.constantFrom(64, 64, 64, 64, 64, 1),
      vlans: fc.constantFrom(...VLANS),
    })
    .map((o) =>
      frame(
        { vlans: o.vlans, padTo: o.padTo },
        family === 4
          ? ipv4({ src: o.src, dst: vip, ttl: o.ttl })
          : ipv6({ src: o.src, dst: vip, hopLimit: o.ttl }),
        tcp({
          sport: o.clientPort,
          dport: o.port,
          flags: o.ecn ? ['syn', 'ece', 'cwr'] : ['syn'],
          options: o.options,
        }),
        payload(o.size),
      ),
    );
}

/** A packet around the length that still fits a path: 24 to 48 bytes are added. */
function sizedTo(target: Target): fc.Arbitrary<Uint8Array> {
  const { family, vip } = target;
  return fc
    .record({
      src: clientAddress[family],
      mtu: fc.constantFrom(...target.mtus.filter((mtu) => mtu <= 9000), 1500),
      below: fc.oneof(fc.constantFrom(24, 28, 44, 48), fc.integer({ min: 0, max: 64 })),
      above: fc.constantFrom(0, 0, 1, 2, 700),
      port: fc.constantFrom(...target.ports),
      clientPort: number16,
      df: fc.boolean(),
      badSum: fc.integer({ min: 0, max: 7 }),
      options: fc.constantFrom(new Uint8Array(0), new Uint8Array(0), ipOption.recordRoute(9)),
      chained: fc.integer({ min: 0, max: 3 }),
      trailer: fc.constantFrom(0, 0, 0, 1, 30),
      vlans: fc.constantFrom(...VLANS),
    })
    .map((o) => {
      const layer = (target.protocol === 'tcp' ? tcp : udp)({ sport: o.clientPort, dport: o.port });
      const header: Layer[] =
        family === 4
          ? [
              ipv4({
                src: o.src,
                dst: vip,
                df: o.df,
                options: o.options,
                ...(o.badSum === 0 ? { checksum: 1 } : {}),
              }),
            ]
          : [ipv6({ src: o.src, dst: vip }), ...(o.chained === 0 ? [destinationOptions()] : [])];
      const bare = packet(...header, layer).length;
      const bytes = packet(...header, layer, payload(Math.max(0, o.mtu - o.below + o.above - bare)));
      return concat(frameOf({ vlans: o.vlans }, bytes), new Uint8Array(o.trailer).fill(0xee));
    });
}

/** What breaks one rule: the source, the protocol, the MAC address, the hop count, the number of headers, ICMP's type. */
function oddTo(target: Target, vips: readonly string[]): fc.Arbitrary<Uint8Array> {
  const { family, vip } = target;
  const others = vips.filter((other) => other.includes(':') === vip.includes(':'));
  return fc
    .record({
      src: fc.oneof(fc.constantFrom(...UNUSABLE[family]), fc.constantFrom(...others), clientAddress[family]),
      mac: fc.constantFrom(
        '02:00:00:00:00:01',
        '02:00:00:00:00:99',
        ...OTHER_MACS,
        'ff:ff:ff:ff:ff:ff',
        '33:33:00:00:00:01',
      ),
      port: fc.constantFrom(...target.ports),
      protocol: fc.integer({ min: 0, max: 255 }),
      what: fc.integer({ min: 0, max: 6 }),
      ttl: fc.constantFrom(0, 1, 2, 64),
      headers: fc.integer({ min: 0, max: 10 }),
      units: fc.integer({ min: 0, max: 3 }),
      size: fc.integer({ min: 0, max: 80 }),
      padTo: fc.constantFrom(0, 60, 200),
      vlans: fc.constantFrom(...VLANS),
    })
    .map((o) => {
      const transport = [
        tcp({ sport: o.size, dport: o.port }),
        udp({ sport: o.size, dport: o.port }),
        family === 4 ? icmpEcho() : icmpv6Echo(),
        family === 4 ? icmp({ type: o.protocol }) : icmpv6({ type: o.protocol }),
        payload(o.size, o.protocol),
        payload(o.size % 21, target.protocol === 'tcp' ? 6 : 17),
        tcp({ sport: o.size, dport: o.port, flags: ['syn'] }),
      ][o.what];
      const chain =
        family === 4
          ? []
          : Array.from({ length: o.headers }, (_, i) => {
              const kind = [destinationOptions, hopByHop, authentication, routing][(o.units + i) % 4];
              return kind({ length: 8 + 8 * o.units });
            });
      const header =
        family === 4
          ? ipv4({ src: o.src, dst: vip, ttl: o.ttl })
          : ipv6({ src: o.src, dst: vip, hopLimit: o.ttl });
      return frame(
        { dst: o.mac, vlans: o.vlans, padTo: o.padTo },
        header,
        ...chain,
        transport,
        payload(o.size),
      );
    });
}

/** Neighbour discovery, or ICMP of IPv4 by its numbers, with one thing wrong in half of them. */
function discoveryTo({ family, vip }: Target): fc.Arbitrary<Uint8Array> {
  return fc
    .record({
      src: fc.oneof(fc.constantFrom(...UNUSABLE[family]), clientAddress[family]),
      mac: fc.constantFrom(
        '02:00:00:00:00:01',
        '02:00:00:00:00:01',
        '02:00:00:00:00:99',
        '33:33:00:00:00:01',
      ),
      type: fc.integer({ min: 133, max: 137 }),
      size: fc.constantFrom(0, 4, 16, 24, 200),
      fault: fc.integer({ min: 0, max: 15 }),
      vlans: fc.constantFrom(...VLANS),
    })
    .map(({ src, mac, type, size, fault, vlans }) => {
      const o = {
        type: fault === 0 ? 132 : fault === 1 ? 138 : type,
        code: fault === 2 ? 1 : 0,
        rest: new Uint8Array(size),
      };
      const hopLimit = fault === 3 ? 254 : 255;
      const payloadLength = fault === 4 ? 7 : fault === 5 ? size + 5 : fault === 6 ? size : undefined;
      const header =
        family === 4
          ? ipv4({ src, dst: vip, ttl: hopLimit })
          : ipv6({ src, dst: vip, hopLimit, ...(payloadLength !== undefined && { payloadLength }) });
      const between = family === 4 ? [] : fault === 7 ? [fragment()] : fault === 8 ? [hopByHop()] : [];
      return frame({ dst: mac, vlans }, header, ...between, family === 4 ? icmp(o) : icmpv6(o));
    });
}

/** A fragment with any offset, as the first or a later one, of TCP, UDP or ICMP. */
function fragmentOf(target: Target): fc.Arbitrary<Uint8Array> {
  const { family, vip } = target;
  return fc
    .record({
      src: clientAddress[family],
      protocol: fc.constantFrom(6, 17, 17, 1, 58),
      offset: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 8191 })),
      more: fc.boolean(),
      port: fc.constantFrom(...target.ports),
      size: fc.integer({ min: 0, max: 1480 }),
      behind: fc.boolean(),
    })
    .map(({ src, protocol, offset, more, port, size, behind }) => {
      const ports = payload(Uint8Array.of(1, 2, port >> 8, port & 0xff), protocol);
      const last = [ports, payload(size)];
      if (family === 4) {
        return frame({}, ipv4({ src, dst: vip, fragmentOffset: offset, moreFragments: more }), ...last);
      }
      const rest = behind ? [destinationOptions(), ...last] : last;
      return frame({}, ipv6({ src, dst: vip }), fragment({ offset, more }), ...rest);
    });
}
