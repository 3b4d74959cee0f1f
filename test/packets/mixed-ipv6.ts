/** The IPv6 half of the mixed traffic: each packet a sentence, the verdict that it must end in, and the frame. */
import {
  authentication,
  concat,
  destinationOptions,
  fragment,
  frame,
  frameOf,
  hopByHop,
  icmpv6,
  icmpv6Echo,
  icmpv6Error,
  ipv6,
  ipv6Fragments,
  type Layer,
  PROTOCOL,
  packet,
  payload,
  routing,
  tcp,
  tcpOption,
  udp,
} from './build.js';
import { addressBytes, fields } from './layer.js';
import { MTU, ROUTER6, type Row, CLIENT6 as src, UDP_PORT, VIP } from './mixed-config.js';

const to = { src, dst: VIP.web6 };
const syn = tcp({
  sport: 41001,
  dport: 80,
  flags: ['syn'],
  options: concat(tcpOption.mss(1440), tcpOption.sackPermitted()),
});
const datagram = udp({ sport: 41002, dport: UDP_PORT });
const chained = (...headers: Layer[]): Uint8Array => frame({}, ipv6(to), ...headers, syn);

const fromVip = { src: VIP.web6, dst: src };
const aboutTcp = packet(ipv6(fromVip), tcp({ sport: 80, dport: 41001 }), payload(1400));
const error = (o: Parameters<typeof icmpv6Error>[0], outer = {}): Uint8Array =>
  frame({}, ipv6({ src: ROUTER6, dst: VIP.web6, ...outer }), icmpv6Error(o));

/** TCP data so long that the IPv6 packet has `total` bytes. */
const sized = (total: number, sport: number, dst: string = VIP.web6): Uint8Array =>
  frame({}, ipv6({ src, dst }), tcp({ sport, dport: 443 }), payload(total - 60));

const solicitation = icmpv6({ type: 135, rest: concat(new Uint8Array(4), addressBytes(VIP.web6)) });

const udpPieces = ipv6Fragments(to, [datagram, payload(3000)], 1400, 77);
const ambiguousPieces = ipv6Fragments(
  { src, dst: VIP.split6 },
  [udp({ sport: 1, dport: 9001 }), payload(200)],
  104,
  78,
);
const tcpPieces = ipv6Fragments(to, [syn, payload(200)], 80, 79);
const threeTuplePieces = ipv6Fragments({ src, dst: VIP.split6 }, [syn, payload(200)], 80, 80);
const echoPieces = ipv6Fragments(to, [icmpv6Echo(), payload(200)], 104, 81);

export const IPV6: readonly Row[] = [
  ['an IPv6 SYN', 'forwarded', frame({}, ipv6(to), syn)],
  [
    'an IPv6 request',
    'forwarded',
    frame(
      {},
      ipv6(to),
      tcp({ sport: 41001, dport: 80, flags: ['psh', 'ack'] }),
      payload('GET / HTTP/1.1\r\nHost: example.net\r\n\r\n'),
    ),
  ],
  [
    'an IPv6 SYN with traffic class and flow label',
    'forwarded',
    frame({}, ipv6({ ...to, trafficClass: 0xba, flowLabel: 0xabcde }), syn),
  ],
  ['an IPv6 SYN under two VLAN tags', 'forwarded', frame({ vlans: [10, 20] }, ipv6(to), syn)],
  ['an IPv6 SYN under three VLAN tags', 'drop_vlan_tags', frame({ vlans: [10, 20, 30] }, ipv6(to), syn)],
  ['an IPv6 UDP datagram', 'forwarded', frame({}, ipv6(to), datagram, payload(100))],
  [
    'an IPv6 SYN to a pool with an IPv6 underlay',
    'forwarded',
    frame({}, ipv6({ src, dst: VIP.outer6in6 }), syn),
  ],
  ['an IPv6 SYN with hop limit 2', 'forwarded', frame({}, ipv6({ ...to, hopLimit: 2 }), syn)],
  ['an IPv6 SYN with hop limit 1', 'drop_ttl_expired', frame({}, ipv6({ ...to, hopLimit: 1 }), syn)],
  [
    'an IPv6 SYN to a port that is no service',
    'drop_no_service',
    frame({}, ipv6(to), tcp({ sport: 41003, dport: 22, flags: ['syn'] })),
  ],

  ['a SYN behind a hop-by-hop header', 'forwarded', chained(hopByHop())],
  ['a SYN behind long destination options', 'forwarded', chained(destinationOptions({ length: 512 }))],
  [
    'a SYN behind a routing header that has been used up',
    'forwarded',
    chained(routing({ type: 2, addresses: [VIP.web6] })),
  ],
  ['a SYN behind an authentication header', 'forwarded', chained(authentication())],
  ['a SYN in an atomic fragment', 'forwarded', chained(fragment())],
  [
    'a SYN behind one extension header of each kind',
    'forwarded',
    chained(hopByHop(), destinationOptions(), routing(), fragment(), authentication(), destinationOptions()),
  ],
  [
    'a SYN behind eight extension headers',
    'forwarded',
    chained(...Array.from({ length: 8 }, () => destinationOptions())),
  ],
  [
    'a SYN behind nine extension headers',
    'drop_extension_header',
    chained(...Array.from({ length: 9 }, () => destinationOptions())),
  ],
  [
    'an extension header that goes past the packet',
    'drop_extension_header',
    chained(destinationOptions({ lengthUnits: 20 })),
  ],
  [
    'a packet that ends in an extension header',
    'drop_extension_header',
    frame({}, ipv6(to), payload(fields([PROTOCOL.tcp, 1], [0, 3]), PROTOCOL.destinationOptions)),
  ],
  [
    'an echo request behind destination options',
    'echo_answered',
    frame({}, ipv6(to), destinationOptions(), icmpv6Echo(), payload(56)),
  ],
  ['no next header', 'drop_protocol', frame({}, ipv6(to))],
  [
    'ESP over IPv6',
    'drop_protocol',
    frame({}, ipv6(to), payload(fields([256, 4], [1, 4], [0, 8], [0, 8], [0, 4]), PROTOCOL.esp)),
  ],
  [
    'ICMP of IPv4 in an IPv6 packet',
    'drop_protocol',
    frame({}, ipv6(to), payload(fields([0x0800, 2], [0xf7ff, 2], [0, 4]), PROTOCOL.icmp)),
  ],

  ['the longest IPv6 packet that fits behind 24 bytes of headers', 'forwarded', sized(MTU - 24, 41020)],
  ['an IPv6 packet that is one byte too long', 'too_big_answered', sized(MTU - 23, 41021)],
  ['a full IPv6 packet', 'too_big_answered', sized(MTU, 41022)],
  [
    'the longest IPv6 packet that fits behind 44 bytes of headers',
    'forwarded',
    sized(MTU - 44, 41023, VIP.outer6in6),
  ],
  [
    'an IPv6 packet that is one byte too long for an IPv6 underlay',
    'too_big_answered',
    sized(MTU - 43, 41024, VIP.outer6in6),
  ],

  ...udpPieces.map(
    (piece, i): Row => [
      `fragment ${i + 1} of ${udpPieces.length} of an IPv6 UDP datagram`,
      'forwarded_fragment',
      frameOf({}, piece),
    ],
  ),
  [
    'a first IPv6 fragment to a VIP whose UDP services have two pools',
    'drop_fragment_ambiguous',
    frameOf({}, ambiguousPieces[0]),
  ],
  ['the first fragment of an IPv6 TCP segment', 'drop_fragment_tcp', frameOf({}, tcpPieces[0])],
  ['a later fragment of an IPv6 TCP segment', 'drop_fragment_tcp', frameOf({}, tcpPieces[1])],
  [
    'a later fragment of an IPv6 TCP segment of a 3-tuple service',
    'forwarded_fragment',
    frameOf({}, threeTuplePieces[1]),
  ],
  ['the first fragment of an IPv6 echo request', 'drop_fragment_icmp', frameOf({}, echoPieces[0])],
  ['a later fragment of an IPv6 echo request', 'drop_fragment_icmp', frameOf({}, echoPieces[1])],

  [
    'packet too big, about a segment of a service',
    'forwarded_icmp_error',
    error({ type: 2, mtu: 1400, about: aboutTcp }),
  ],
  [
    'IPv6 port unreachable, about a datagram of a service',
    'forwarded_icmp_error',
    error({
      type: 1,
      code: 4,
      about: packet(ipv6(fromVip), udp({ sport: UDP_PORT, dport: 41002 }), payload(100)),
    }),
  ],
  ['hop limit exceeded', 'forwarded_icmp_error', error({ type: 3, about: aboutTcp, quoteBytes: 200 })],
  [
    'IPv6 parameter problem',
    'forwarded_icmp_error',
    error({ type: 4, code: 1, about: aboutTcp, quoteBytes: 200 }),
  ],
  [
    'packet too big about a packet with extension headers',
    'forwarded_icmp_error',
    error({
      type: 2,
      mtu: 1400,
      about: packet(
        ipv6(fromVip),
        destinationOptions(),
        fragment({ more: true }),
        tcp({ sport: 80, dport: 41001 }),
        payload(1200),
      ),
    }),
  ],
  [
    'packet too big about a later fragment',
    'drop_icmp_unmatched',
    error({
      type: 2,
      mtu: 1400,
      about: packet(ipv6(fromVip), fragment({ offset: 100 }), payload(200, PROTOCOL.tcp)),
    }),
  ],
  [
    'an ICMPv6 error about a port that is no service',
    'drop_icmp_unmatched',
    error({ type: 1, code: 4, about: packet(ipv6(fromVip), udp({ sport: 7, dport: 41002 })) }),
  ],
  [
    'an ICMPv6 error about a packet that another host sent',
    'drop_icmp_unmatched',
    error({
      type: 1,
      code: 4,
      about: packet(ipv6({ src: '2001:db8::99', dst: src }), tcp({ sport: 80, dport: 41001 })),
    }),
  ],
  [
    'an ICMPv6 error of an unknown type',
    'drop_icmp_type',
    error({ type: 100, about: aboutTcp, quoteBytes: 200 }),
  ],

  [
    'an IPv6 echo request',
    'echo_answered',
    frame({}, ipv6(to), icmpv6Echo({ id: 8, sequence: 1 }), payload(56)),
  ],
  [
    'an IPv6 echo request with hop limit 1',
    'echo_answered',
    frame({}, ipv6({ ...to, hopLimit: 1 }), icmpv6Echo({ id: 8, sequence: 2 }), payload(56)),
  ],
  [
    'an IPv6 echo request under a VLAN tag',
    'echo_answered',
    frame({ vlans: [10] }, ipv6(to), icmpv6Echo({ id: 8, sequence: 3 }), payload(56)),
  ],
  ['an IPv6 echo reply', 'drop_icmp_type', frame({}, ipv6(to), icmpv6Echo({ reply: true }), payload(56))],
  [
    'a neighbour solicitation sent to the VIP',
    'pass_neighbour',
    frame({}, ipv6({ src: 'fe80::1', dst: VIP.web6, hopLimit: 255 }), solicitation),
  ],
  [
    'a neighbour solicitation that a router has forwarded to the VIP',
    'drop_icmp_type',
    frame({}, ipv6({ ...to, hopLimit: 254 }), solicitation),
  ],

  [
    'an IPv6 SYN for a group of machines',
    'drop_group_mac',
    frame({ dst: '33:33:00:00:00:01' }, ipv6(to), syn),
  ],
  [
    'an IPv6 SYN from a link-local address',
    'drop_bad_source',
    frame({}, ipv6({ ...to, src: 'fe80::1' }), syn),
  ],
  ['an IPv6 SYN from loopback', 'drop_bad_source', frame({}, ipv6({ ...to, src: '::1' }), syn)],
  ['an IPv6 SYN from the unspecified address', 'drop_bad_source', frame({}, ipv6({ ...to, src: '::' }), syn)],
  ['an IPv6 SYN from a multicast group', 'drop_bad_source', frame({}, ipv6({ ...to, src: 'ff02::1' }), syn)],
  ['an IPv6 SYN from the VIP itself', 'drop_bad_source', frame({}, ipv6({ ...to, src: VIP.web6 }), syn)],
  [
    'an IPv6 payload length beyond the frame',
    'drop_bad_length',
    frame({}, ipv6({ ...to, payloadLength: 1000 }), syn),
  ],
  [
    'an IPv6 TCP header cut at 12 bytes',
    'drop_truncated',
    frame({}, ipv6(to), payload(fields([41000, 2], [80, 2], [0, 8]), PROTOCOL.tcp)),
  ],
  [
    'an IPv6 SYN to an address that is no VIP',
    'pass_not_vip',
    frame({}, ipv6({ src, dst: '2001:db8:100::99' }), syn),
  ],
  [
    'a neighbour solicitation on the link',
    'pass_not_vip',
    frame(
      { dst: '33:33:ff:00:00:01' },
      ipv6({ src: ROUTER6, dst: 'ff02::1:ff00:1', hopLimit: 255 }),
      icmpv6({ type: 135, rest: concat(new Uint8Array(4), addressBytes('2001:db8:1::1')) }),
    ),
  ],
];
