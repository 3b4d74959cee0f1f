/** The IPv4 half of the mixed traffic: each packet a sentence, the verdict that it must end in, and the frame. */
import {
  concat,
  frame,
  frameOf,
  gre,
  icmp,
  icmpEcho,
  icmpError,
  ipOption,
  ipv4,
  ipv4Fragments,
  PROTOCOL,
  packet,
  payload,
  tcp,
  tcpOption,
  udp,
} from './build.js';
import { fields } from './layer.js';
import { MTU, ROUTER4, type Row, CLIENT4 as src, UDP_PORT, VIP } from './mixed-config.js';

const to = { src, dst: VIP.web4 };
const syn = tcp({
  sport: 40001,
  dport: 80,
  flags: ['syn'],
  options: concat(
    tcpOption.mss(1460),
    tcpOption.sackPermitted(),
    tcpOption.timestamps(1, 0),
    tcpOption.windowScale(7),
  ),
});
const get = payload('GET / HTTP/1.1\r\nHost: example.net\r\n\r\n');
const data = (sport: number): ReturnType<typeof tcp> => tcp({ sport, dport: 443, flags: ['ack'] });
const datagram = udp({ sport: 40002, dport: UDP_PORT });

const fromVip = { src: VIP.web4, dst: src };
const aboutTcp = packet(ipv4({ ...fromVip, df: true }), tcp({ sport: 80, dport: 40001 }), payload(1400));
const aboutUdp = packet(ipv4(fromVip), udp({ sport: UDP_PORT, dport: 40002 }), payload(100));
const error = (o: Parameters<typeof icmpError>[0], outer = {}): Uint8Array =>
  frame({}, ipv4({ src: ROUTER4, dst: VIP.web4, ...outer }), icmpError(o));

/** TCP data so long that the IPv4 packet has `total` bytes. */
const sized = (total: number, df: boolean, sport: number, dst: string = VIP.web4): Uint8Array =>
  frame({}, ipv4({ src, dst, df }), tcp({ sport, dport: 443 }), payload(total - 40));

const udpPieces = ipv4Fragments({ ...to, id: 77 }, [datagram, payload(3000)], 1400);
const ambiguousPieces = ipv4Fragments(
  { src, dst: VIP.split4, id: 78 },
  [udp({ sport: 1, dport: 9001 }), payload(200)],
  104,
);
const tcpPieces = ipv4Fragments({ ...to, id: 79 }, [syn, payload(200)], 80);
const threeTuplePieces = ipv4Fragments({ src, dst: VIP.split4, id: 80 }, [syn, payload(200)], 80);
const echoPieces = ipv4Fragments({ ...to, id: 81 }, [icmpEcho(), payload(200)], 104);
const strayPieces = ipv4Fragments({ ...to, id: 82 }, [udp({ sport: 1, dport: 7 }), payload(200)], 104);
const noUdpPieces = ipv4Fragments({ src, dst: VIP.outer6in4, id: 83 }, [datagram, payload(200)], 104);

export const IPV4: readonly Row[] = [
  ['an IPv4 SYN with the usual options', 'forwarded', frame({}, ipv4({ ...to, df: true }), syn)],
  [
    'the request of the same connection',
    'forwarded',
    frame({}, ipv4({ ...to, df: true }), tcp({ sport: 40001, dport: 80, flags: ['psh', 'ack'] }), get),
  ],
  [
    'the RST of another connection',
    'forwarded',
    frame({}, ipv4(to), tcp({ sport: 40003, dport: 80, flags: ['rst'] })),
  ],
  [
    'a SYN padded to the shortest Ethernet frame',
    'forwarded',
    frame({ padTo: 60 }, ipv4(to), tcp({ sport: 40004, dport: 80, flags: ['syn'] })),
  ],
  [
    'a SYN marked EF and ECT(0)',
    'forwarded',
    frame({}, ipv4({ ...to, tos: 0xba }), tcp({ sport: 40005, dport: 80, flags: ['syn', 'ece', 'cwr'] })),
  ],
  ['data marked congestion experienced', 'forwarded', frame({}, ipv4({ ...to, tos: 3 }), data(40006))],
  ['a SYN under one VLAN tag', 'forwarded', frame({ vlans: [10] }, ipv4(to), syn)],
  [
    'a SYN under a service tag and a customer tag',
    'forwarded',
    frame(
      {
        vlans: [
          { id: 100, tpid: 0x88a8 },
          { id: 10, priority: 5 },
        ],
      },
      ipv4(to),
      syn,
    ),
  ],
  [
    'a SYN under three VLAN tags',
    'drop_vlan_tags',
    frame({ vlans: [{ id: 100, tpid: 0x88a8 }, 10, 20] }, ipv4(to), syn),
  ],
  [
    'a SYN under three priority tags, which Linux takes off',
    'drop_vlan_tags',
    frame({ vlans: [0, 0, 0] }, ipv4(to), syn),
  ],
  ['a SYN under two priority tags', 'forwarded', frame({ vlans: [0, 0] }, ipv4(to), syn)],
  [
    'a SYN under eight VLAN tags',
    'drop_vlan_tags',
    frame({ vlans: [0, 0, 0, 0, 0, 0, 0, 9] }, ipv4(to), syn),
  ],
  [
    'a packet for nobody here under eight VLAN tags',
    'pass_not_vip',
    frame({ vlans: [0, 0, 0, 0, 0, 0, 0, 9] }, ipv4({ ...to, dst: '10.0.0.1' }), syn),
  ],
  [
    'a packet for nobody knows whom under nine VLAN tags',
    'drop_vlan_tags',
    frame({ vlans: [0, 0, 0, 0, 0, 0, 0, 0, 0] }, ipv4({ ...to, dst: '10.0.0.1' }), syn),
  ],
  [
    'a SYN under a tag of type 0x9100',
    'pass_not_ip',
    frame({ vlans: [{ id: 10, tpid: 0x9100 }] }, ipv4(to), syn),
  ],
  ['a SYN for all machines', 'drop_group_mac', frame({ dst: 'ff:ff:ff:ff:ff:ff' }, ipv4(to), syn)],
  ['a SYN from 240.0.0.0/4', 'forwarded', frame({}, ipv4({ ...to, src: '240.0.0.1' }), syn)],
  ['a SYN from a link-local address', 'drop_bad_source', frame({}, ipv4({ ...to, src: '169.254.1.1' }), syn)],
  [
    'an echo request from a link-local address',
    'drop_bad_source',
    frame({}, ipv4({ ...to, src: '169.254.1.1' }), icmpEcho()),
  ],
  [
    'an ICMP error of a router that has a link-local address alone',
    'forwarded_icmp_error',
    frame(
      {},
      ipv4({ src: '169.254.1.1', dst: VIP.web4 }),
      icmpError({ type: 3, code: 4, mtu: 1400, about: aboutTcp }),
    ),
  ],
  [
    'a SYN behind a router alert option',
    'forwarded',
    frame({}, ipv4({ ...to, options: ipOption.routerAlert() }), syn),
  ],
  [
    'a SYN behind forty bytes of IPv4 options',
    'forwarded',
    frame({}, ipv4({ ...to, options: concat(ipOption.recordRoute(9), ipOption.nop()) }), syn),
  ],
  [
    'an echo request whose IPv4 header checksum is wrong',
    'drop_checksum',
    frame({}, ipv4({ ...to, checksum: 0x1234 }), icmpEcho(), payload(8)),
  ],
  [
    'a packet too big whose IPv4 header checksum is wrong',
    'drop_checksum',
    frame({}, ipv4({ ...to, df: true, checksum: 0x1234 }), data(40008), payload(1460)),
  ],
  [
    'an echo request of nothing but zeros',
    'echo_answered',
    frame({}, ipv4(to), icmpEcho({ id: 0, sequence: 0 })),
  ],
  ['a datagram from another VIP', 'drop_bad_source', frame({}, ipv4({ ...to, src: VIP.split4 }), datagram)],
  ['a SYN with TTL 2', 'forwarded', frame({}, ipv4({ ...to, ttl: 2 }), syn)],
  ['a SYN with TTL 1', 'drop_ttl_expired', frame({}, ipv4({ ...to, ttl: 1 }), syn)],
  ['a SYN with TTL 0', 'drop_ttl_expired', frame({}, ipv4({ ...to, ttl: 0 }), syn)],
  [
    'a SYN whose TCP checksum is wrong, which is for its receiver to judge',
    'forwarded',
    frame({}, ipv4(to), tcp({ sport: 40007, dport: 80, flags: ['syn'], checksum: 0x1234 })),
  ],
  ['a UDP datagram', 'forwarded', frame({}, ipv4(to), datagram, payload(100))],
  [
    'a UDP datagram without a checksum',
    'forwarded',
    frame({}, ipv4(to), udp({ sport: 40008, dport: UDP_PORT, checksum: 0 }), payload(100)),
  ],
  ['an empty UDP datagram', 'forwarded', frame({ padTo: 60 }, ipv4(to), datagram)],
  ['a SYN to a pool with an IPv6 underlay', 'forwarded', frame({}, ipv4({ src, dst: VIP.outer6in4 }), syn)],
  [
    'a SYN to a port that is no service',
    'drop_no_service',
    frame({}, ipv4(to), tcp({ sport: 40009, dport: 22, flags: ['syn'] })),
  ],
  [
    'a UDP datagram to a port of TCP alone',
    'drop_no_service',
    frame({}, ipv4(to), udp({ sport: 40010, dport: 80 }), payload(10)),
  ],
  [
    'GRE to the VIP',
    'drop_protocol',
    frame(
      {},
      ipv4(to),
      gre(),
      ipv4({ src, dst: '192.0.2.1' }),
      udp({ sport: 40011, dport: UDP_PORT }),
      payload(10),
    ),
  ],
  [
    'ESP to the VIP',
    'drop_protocol',
    frame({}, ipv4(to), payload(fields([256, 4], [1, 4], [0, 8], [0, 8], [0, 4]), PROTOCOL.esp)),
  ],

  [
    'the longest packet without DF that fits behind 24 bytes of headers',
    'forwarded',
    sized(MTU - 24, false, 40020),
  ],
  ['the longest packet with DF that fits', 'forwarded', sized(MTU - 24, true, 40021)],
  ['a packet with DF that is one byte too long', 'too_big_answered', sized(MTU - 23, true, 40022)],
  ['a packet without DF that is one byte too long', 'drop_too_big', sized(MTU - 23, false, 40023)],
  ['a full packet with DF', 'too_big_answered', sized(MTU, true, 40024)],
  [
    'the longest packet that fits behind 44 bytes of headers',
    'forwarded',
    sized(MTU - 44, true, 40025, VIP.outer6in4),
  ],
  [
    'a packet with DF that is one byte too long for an IPv6 underlay',
    'too_big_answered',
    sized(MTU - 43, true, 40026, VIP.outer6in4),
  ],

  ...udpPieces.map(
    (piece, i): Row => [
      `fragment ${i + 1} of ${udpPieces.length} of a UDP datagram`,
      'forwarded_fragment',
      frameOf({}, piece),
    ],
  ),
  [
    'the first fragment of a UDP datagram to a port that is no service',
    'drop_no_service',
    frameOf({}, strayPieces[0]),
  ],
  [
    'a fragment of a UDP datagram to a VIP without UDP services',
    'drop_no_service',
    frameOf({}, noUdpPieces[1]),
  ],
  [
    'a first fragment to a VIP whose UDP services have two pools',
    'drop_fragment_ambiguous',
    frameOf({}, ambiguousPieces[0]),
  ],
  [
    'a later fragment to a VIP whose UDP services have two pools',
    'drop_fragment_ambiguous',
    frameOf({}, ambiguousPieces[1]),
  ],
  ['the first fragment of a TCP segment', 'drop_fragment_tcp', frameOf({}, tcpPieces[0])],
  ['a later fragment of a TCP segment', 'drop_fragment_tcp', frameOf({}, tcpPieces[1])],
  [
    'the first fragment of a TCP segment of a 3-tuple service',
    'forwarded_fragment',
    frameOf({}, threeTuplePieces[0]),
  ],
  [
    'a later fragment of a TCP segment of a 3-tuple service',
    'forwarded_fragment',
    frameOf({}, threeTuplePieces[1]),
  ],
  [
    'a first fragment too short for the TCP header',
    'drop_truncated',
    frame(
      {},
      ipv4({ src, dst: VIP.split4, moreFragments: true }),
      payload(fields([40000, 2], [80, 2], [1, 4]), PROTOCOL.tcp),
    ),
  ],
  ['the first fragment of an echo request', 'drop_fragment_icmp', frameOf({}, echoPieces[0])],
  ['a later fragment of an echo request', 'drop_fragment_icmp', frameOf({}, echoPieces[1])],

  [
    'fragmentation needed, about a segment of a service',
    'forwarded_icmp_error',
    error({ type: 3, mtu: 1400, about: aboutTcp }),
  ],
  [
    'host unreachable, about a UDP datagram of a service',
    'forwarded_icmp_error',
    error({ type: 3, code: 1, about: aboutUdp }),
  ],
  [
    'time exceeded, with a long quote',
    'forwarded_icmp_error',
    error({ type: 11, about: aboutTcp, quoteBytes: 500 }),
  ],
  ['parameter problem', 'forwarded_icmp_error', error({ type: 12, about: aboutTcp })],
  [
    'fragmentation needed about a packet that has options',
    'forwarded_icmp_error',
    error({
      type: 3,
      mtu: 1400,
      about: packet(ipv4({ ...fromVip, options: ipOption.routerAlert() }), tcp({ sport: 80, dport: 40001 })),
    }),
  ],
  [
    'an ICMP error under a VLAN tag',
    'forwarded_icmp_error',
    frame(
      { vlans: [10] },
      ipv4({ src: ROUTER4, dst: VIP.web4 }),
      icmpError({ type: 3, mtu: 1400, about: aboutTcp }),
    ),
  ],
  [
    'an ICMP error with TTL 1',
    'drop_ttl_expired',
    error({ type: 3, mtu: 1400, about: aboutTcp }, { ttl: 1 }),
  ],
  [
    'an ICMP error that is itself too long once wrapped',
    'drop_too_big',
    error({
      type: 3,
      mtu: 1400,
      about: packet(ipv4(fromVip), tcp({ sport: 80, dport: 40001 }), payload(1440)),
      quoteBytes: MTU - 28,
    }),
  ],
  [
    'an ICMP error about a port that is no service',
    'drop_icmp_unmatched',
    error({ type: 3, code: 3, about: packet(ipv4(fromVip), tcp({ sport: 22, dport: 40001 })) }),
  ],
  [
    'an ICMP error about a packet that another host sent',
    'drop_icmp_unmatched',
    error({
      type: 3,
      code: 3,
      about: packet(ipv4({ src: '192.0.2.99', dst: src }), tcp({ sport: 80, dport: 40001 })),
    }),
  ],
  [
    'an ICMP error about a later fragment, which shows no ports',
    'drop_icmp_unmatched',
    error({
      type: 11,
      code: 1,
      about: packet(ipv4({ ...fromVip, fragmentOffset: 10 }), payload(64, PROTOCOL.udp)),
    }),
  ],
  [
    'an ICMP error about an echo reply',
    'drop_icmp_unmatched',
    error({ type: 3, code: 1, about: packet(ipv4(fromVip), icmpEcho({ reply: true }), payload(8)) }),
  ],
  [
    'an ICMP error whose quote is cut within the ports',
    'drop_icmp_unmatched',
    error({ type: 3, code: 1, about: aboutTcp, quoteBytes: 22 }),
  ],
  ['source quench', 'drop_icmp_type', error({ type: 4, about: aboutTcp })],
  ['a redirect', 'drop_icmp_type', error({ type: 5, code: 1, about: aboutTcp })],

  ['an echo request', 'echo_answered', frame({}, ipv4(to), icmpEcho({ id: 7, sequence: 1 }), payload(56))],
  [
    'an echo request with TTL 1',
    'echo_answered',
    frame({}, ipv4({ ...to, ttl: 1 }), icmpEcho({ id: 7, sequence: 2 }), payload(56)),
  ],
  [
    'an echo request behind options',
    'echo_answered',
    frame(
      {},
      ipv4({ ...to, options: ipOption.recordRoute(3) }),
      icmpEcho({ id: 7, sequence: 3 }),
      payload(56),
    ),
  ],
  [
    'an echo request under two VLAN tags',
    'echo_answered',
    frame({ vlans: [10, 20] }, ipv4(to), icmpEcho({ id: 7, sequence: 4 }), payload(56)),
  ],
  [
    'an echo request as long as the link allows',
    'echo_answered',
    frame({}, ipv4(to), icmpEcho({ id: 7, sequence: 5 }), payload(MTU - 28)),
  ],
  [
    'an empty echo request in a padded frame',
    'echo_answered',
    frame({ padTo: 60 }, ipv4(to), icmpEcho({ id: 7, sequence: 6 })),
  ],
  ['an echo reply', 'drop_icmp_type', frame({}, ipv4(to), icmpEcho({ reply: true }), payload(56))],
  [
    'a timestamp request',
    'drop_icmp_type',
    frame({}, ipv4(to), icmp({ type: 13, rest: new Uint8Array(16) })),
  ],

  ['a SYN from loopback', 'drop_bad_source', frame({}, ipv4({ ...to, src: '127.0.0.1' }), syn)],
  ['a SYN from no address', 'drop_bad_source', frame({}, ipv4({ ...to, src: '0.0.0.0' }), syn)],
  ['a SYN from a multicast group', 'drop_bad_source', frame({}, ipv4({ ...to, src: '224.0.0.1' }), syn)],
  [
    'a SYN from the broadcast address',
    'drop_bad_source',
    frame({}, ipv4({ ...to, src: '255.255.255.255' }), syn),
  ],
  ['a SYN from the VIP itself', 'drop_bad_source', frame({}, ipv4({ ...to, src: VIP.web4 }), syn)],
  [
    'an echo request from a multicast group',
    'drop_bad_source',
    frame({}, ipv4({ ...to, src: '224.0.0.1' }), icmpEcho()),
  ],
  ['a total length beyond the frame', 'drop_bad_length', frame({}, ipv4({ ...to, totalLength: 1500 }), syn)],
  [
    'a total length shorter than the header',
    'drop_bad_length',
    frame({}, ipv4({ ...to, totalLength: 12 }), syn),
  ],
  ['a header of four words', 'drop_bad_length', frame({}, ipv4({ ...to, headerWords: 4 }), syn)],
  [
    'a header longer than the packet',
    'drop_bad_length',
    frame({}, ipv4({ ...to, headerWords: 15 }), payload(8, PROTOCOL.udp)),
  ],
  [
    'a TCP header cut at 12 bytes',
    'drop_truncated',
    frame({}, ipv4(to), payload(fields([40000, 2], [80, 2], [0, 8]), PROTOCOL.tcp)),
  ],
  [
    'a UDP header cut at 4 bytes',
    'drop_truncated',
    frame({}, ipv4(to), payload(fields([40000, 2], [UDP_PORT, 2]), PROTOCOL.udp)),
  ],
  [
    'an ICMP header cut at 4 bytes',
    'drop_truncated',
    frame({}, ipv4(to), payload(fields([0x0800, 2], [0, 2]), PROTOCOL.icmp)),
  ],

  ['a SYN to an address that is no VIP', 'pass_not_vip', frame({}, ipv4({ src, dst: '203.0.113.99' }), syn)],
  [
    'an echo request to an address that is no VIP',
    'pass_not_vip',
    frame({}, ipv4({ src, dst: '203.0.113.99' }), icmpEcho()),
  ],
];
