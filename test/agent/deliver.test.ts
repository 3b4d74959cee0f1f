/** What the agent's program delivers, and what the inner packet then looks like. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { BpfObject } from '#anyhop/ffi/bpf.js';
import {
  authentication,
  destinationOptions,
  fragment,
  frame,
  gre,
  hopByHop,
  icmpError,
  icmpv6Error,
  ipOption,
  ipv4,
  ipv4Fragments,
  ipv6,
  ipv6Fragments,
  type Layer,
  packet,
  payload,
  routing,
  tcp,
  udp,
} from '../packets/build.js';
import { decodeFrame } from '../packets/decode.js';
import {
  CLIENT,
  CLIENT6,
  delivers,
  inner4,
  inner6,
  judge,
  loadAgent,
  outer4,
  outer6,
  refuses,
  SKIP,
  VIP,
  VIP6,
  wrapped,
  wrappedBytes,
} from './fixture.js';

const web = tcp({ sport: 40000, dport: 80 });
/** What has a key is delivered when it opens a connection; what has none, always. */
const opening = tcp({ sport: 40000, dport: 80, flags: ['syn'] });
const dns = udp({ sport: 40000, dport: 53 });

describe('the agent unwraps', { skip: SKIP }, () => {
  let agent: BpfObject;
  before(() => {
    agent = loadAgent();
  });
  after(() => agent.close());

  const outers: [string, Layer][] = [
    ['IPv4', outer4()],
    ['IPv6', outer6()],
  ];
  const inners: [string, Layer][] = [
    ['IPv4', inner4()],
    ['IPv6', inner6()],
  ];
  for (const [outerName, outer] of outers) {
    for (const [innerName, inner] of inners) {
      test(`${innerName} in ${outerName}, with and without a key`, () => {
        const packetBytes = packet(inner, web, payload(100));
        delivers(agent, frame({}, outer, gre(), inner, web, payload(100)), packetBytes);
        const openingBytes = packet(inner, opening, payload(100));
        delivers(
          agent,
          frame({}, outer, gre({ key: 0x0a01000c }), inner, opening, payload(100)),
          openingBytes,
        );
      });
    }
  }

  test('behind up to eight VLAN tags, which go with the outer header', () => {
    for (const count of [3, 8]) {
      const vlans = Array<number>(count).fill(0);
      const tagged = frame({ vlans }, outer4(), gre(), inner4(), web, payload(10));
      delivers(agent, tagged, packet(inner4(), web, payload(10)));
    }
    const inner = packet(inner4(), web, payload(10));
    delivers(agent, frame({ vlans: [10] }, outer4(), gre(), inner4(), web, payload(10)), inner);
    const twice = [{ id: 10, tpid: 0x88a8 }, 20];
    const keyed = frame({ vlans: twice }, outer6(), gre({ key: 1 }), inner4(), opening, payload(10));
    delivers(agent, keyed, packet(inner4(), opening, payload(10)));
  });

  test('padding behind the outer packet stays behind the inner one', () => {
    const short = frame({ padTo: 90 }, outer4(), gre(), inner4(), dns);
    const judged = judge(agent, short);
    assert.equal(judged.verdict, 'delivered');
    const decoded = decodeFrame(judged.frame);
    assert.equal(decoded.paddingBytes, 90 - 24 - 14 - 28);
  });

  test('GRE flag bits that RFC 2784 says to ignore', () => {
    const bytes = wrapped(inner4(), web);
    for (const bit of [0x0200, 0x0100, 0x0080, 0x0008]) {
      const odd = Uint8Array.from(bytes);
      new DataView(odd.buffer).setUint16(34, bit);
      assert.equal(judge(agent, odd).verdict, 'delivered', bit.toString(16));
    }
  });

  test('from every address of a forwarder prefix and from peers, and from no neighbour of them', () => {
    for (const src of ['10.0.0.0', '10.0.0.15', '10.1.0.12', '10.1.0.11']) {
      assert.equal(judge(agent, frame({}, outer4({ src }), gre(), inner4(), web)).verdict, 'delivered', src);
    }
    for (const src of ['10.0.0.16', '9.255.255.255', '10.1.0.13']) {
      refuses(agent, frame({}, outer4({ src }), gre(), inner4(), web), 'drop_stranger');
    }
    assert.equal(
      judge(agent, frame({}, outer6({ src: 'fd00::ffff' }), gre(), inner4(), web)).verdict,
      'delivered',
    );
    for (const src of ['fd00:0:0:1::1', '::ffff:10.0.0.1', '::10.0.0.1']) {
      refuses(agent, frame({}, outer6({ src }), gre(), inner4(), web), 'drop_stranger');
    }
  });

  test('each port of a range, and neither neighbour', () => {
    const to = (dport: number): Uint8Array =>
      wrapped(inner4({ dst: '203.0.113.20' }), udp({ sport: 5, dport }), payload(3));
    for (let port = 27000; port <= 27015; port++) assert.equal(judge(agent, to(port)).verdict, 'delivered');
    refuses(agent, to(26999), 'drop_no_service');
    refuses(agent, to(27016), 'drop_no_service');
    refuses(agent, to(80), 'drop_no_service');
  });

  test('inner options and extension headers as they are', () => {
    const options = concatOptions();
    delivers(agent, wrapped(inner4({ options }), web), packet(inner4({ options }), web));
    const walk = [hopByHop(), routing(), destinationOptions({ length: 64 }), fragment(), authentication()];
    delivers(agent, wrapped(inner6(), ...walk, web), packet(inner6(), ...walk, web));
    const eight = Array.from({ length: 8 }, () => destinationOptions());
    delivers(agent, wrapped(inner6(), ...eight, dns), packet(inner6(), ...eight, dns));
    const long = [destinationOptions({ length: 2048 }), destinationOptions({ length: 1024 })];
    delivers(agent, wrapped(inner6(), ...long, dns), packet(inner6(), ...long, dns));
  });

  test('fragments: the first one by its port, later ones by VIP and protocol', () => {
    const pieces4 = ipv4Fragments({ src: CLIENT, dst: VIP }, [dns, payload(100)], 40);
    const pieces6 = ipv6Fragments({ src: CLIENT6, dst: VIP6 }, [dns, payload(100)], 40);
    const tcpPieces = ipv4Fragments({ src: CLIENT, dst: VIP }, [web, payload(100)], 40);
    for (const pieces of [pieces4, pieces6, tcpPieces]) {
      assert.equal(pieces.length, 3);
      delivers(agent, wrappedBytes(pieces[0]), pieces[0], 'delivered');
      delivers(agent, wrappedBytes(pieces[1]), pieces[1], 'delivered_fragment');
      delivers(agent, wrappedBytes(pieces[2]), pieces[2], 'delivered_fragment');
    }
    const [first] = ipv4Fragments({ src: CLIENT, dst: VIP }, [udp({ sport: 1, dport: 54 }), payload(50)], 40);
    refuses(agent, wrappedBytes(first), 'drop_no_service');
    const [, later] = ipv4Fragments({ src: CLIENT, dst: '203.0.113.20' }, [web, payload(50)], 40);
    refuses(agent, wrappedBytes(later), 'drop_no_service');
    const [tiny] = ipv4Fragments({ src: CLIENT, dst: VIP }, [web, payload(50)], 8);
    refuses(agent, wrappedBytes(tiny), 'drop_truncated');
  });

  test('ICMP errors about a flow of a service', () => {
    const about4 = packet(ipv4({ src: VIP, dst: CLIENT }), tcp({ sport: 80, dport: 40000 }), payload(100));
    for (const [type, mtu] of [
      [3, 1400],
      [11, undefined],
      [12, undefined],
    ] as const) {
      const error = icmpError({ type, about: about4, ...(mtu === undefined ? {} : { mtu }) });
      const from = inner4({ src: '192.0.2.1' });
      delivers(agent, wrapped(from, error), packet(from, error), 'delivered_icmp_error');
    }
    const about6 = packet(ipv6({ src: VIP6, dst: CLIENT6 }), udp({ sport: 53, dport: 40000 }), payload(2000));
    for (const type of [1, 2, 3, 4]) {
      const error = icmpv6Error({ type, about: about6 });
      const from = inner6({ src: '2001:db8:9::1' });
      delivers(agent, wrapped(from, error), packet(from, error), 'delivered_icmp_error');
    }
    const options = packet(
      ipv4({ src: VIP, dst: CLIENT, options: concatOptions() }),
      dnsAnswer(),
      payload(20),
    );
    const error = icmpError({ type: 3, mtu: 1400, about: options });
    delivers(agent, wrapped(inner4(), error), packet(inner4(), error), 'delivered_icmp_error');
    const headers = packet(
      ipv6({ src: VIP6, dst: CLIENT6 }),
      destinationOptions(),
      fragment({ more: true }),
      dnsAnswer(),
    );
    const error6 = icmpv6Error({ type: 2, mtu: 1280, about: headers });
    delivers(agent, wrapped(inner6(), error6), packet(inner6(), error6), 'delivered_icmp_error');
  });

  const dnsAnswer = (): Layer => udp({ sport: 53, dport: 40000 });
  const concatOptions = (): Uint8Array => Uint8Array.from([...ipOption.nop(4), ...ipOption.recordRoute(3)]);
});
