/** Who can be a client: sources that no packet should come from are dropped, their neighbours are not. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  frame,
  frameOf,
  icmpEcho,
  icmpError,
  icmpv6Echo,
  icmpv6Error,
  ipv4,
  ipv4Fragments,
  ipv6,
  ipv6Fragments,
  type Layer,
  packet,
  payload,
  tcp,
  udp,
} from '../packets/build.js';
import { type FixtureService, Runner, VIP4, VIP6 } from './fixture.js';

const OTHER_VIP4 = '203.0.113.11';
const OTHER_VIP6 = '2001:db8:100::11';
const runner = new Runner({
  services: [VIP4, VIP6, OTHER_VIP4, OTHER_VIP6].flatMap((vip): FixtureService[] => [
    { vip, protocol: 'tcp', port: 80 },
    { vip, protocol: 'udp', port: 53 },
  ]),
});
const segment = tcp({ sport: 40000, dport: 80 });
const datagram = udp({ sport: 40000, dport: 53 });
const about4 = packet(ipv4({ src: VIP4, dst: '198.51.100.7' }), tcp({ sport: 80, dport: 1 }));
const about6 = packet(ipv6({ src: VIP6, dst: '2001:db8:c::7' }), tcp({ sport: 80, dport: 1 }));
const verdict4 = (src: string, ...layers: Layer[]): string =>
  runner.run(frame({}, ipv4({ src, dst: VIP4 }), ...layers)).verdict;
const verdict6 = (src: string, ...layers: Layer[]): string =>
  runner.run(frame({}, ipv6({ src, dst: VIP6 }), ...layers)).verdict;

describe('a source', () => {
  it('that is zero, loopback, multicast or broadcast is dropped over IPv4, for every first byte', () => {
    for (let first = 0; first < 256; first++) {
      const bad = first === 0 || first === 127 || (first >= 224 && first < 240);
      const want = bad ? 'drop_bad_source' : 'forwarded';
      assert.equal(verdict4(`${first}.1.2.3`, segment), want, `${first}.1.2.3`);
      assert.equal(verdict4(`${first}.255.255.254`, datagram), want);
    }
    assert.equal(verdict4('255.255.255.255', datagram), 'drop_bad_source');
    assert.equal(verdict4('254.255.255.255', datagram), 'forwarded');
  });

  it('that is link-local is dropped, and its neighbours are clients', () => {
    for (const src of ['169.254.0.0', '169.254.169.254', '169.254.255.255']) {
      for (const layer of [segment, datagram, icmpEcho(), payload(20, 47)])
        assert.equal(verdict4(src, layer), 'drop_bad_source', src);
      for (const piece of ipv4Fragments({ src, dst: VIP4 }, [datagram, payload(100)], 64))
        assert.equal(runner.run(frameOf({}, piece)).verdict, 'drop_bad_source');
    }
    for (const src of ['169.253.255.255', '169.255.0.0', '254.169.1.1'])
      assert.equal(verdict4(src, segment), 'forwarded', src);
    for (const src of ['fe80::1', 'fe80::1:2:3:4', 'febf:ffff::1']) {
      for (const layer of [segment, datagram, icmpv6Echo(), icmpv6Error({ type: 2, about: about6 })])
        assert.equal(verdict6(src, layer), 'drop_bad_source', src);
    }
    for (const src of ['fe7f::1', 'fec0::1', 'fdff::1'])
      assert.equal(verdict6(src, segment), 'forwarded', src);
  });

  it('that is link-local may report an error about a flow of the VIP over IPv4: many routers have no other address', () => {
    const src = '169.254.1.1';
    for (const type of [3, 11, 12])
      assert.equal(verdict4(src, icmpError({ type, about: about4 })), 'forwarded_icmp_error');
    const elsewhere = packet(
      ipv4({ src: '203.0.113.99', dst: '198.51.100.7' }),
      tcp({ sport: 80, dport: 1 }),
    );
    assert.equal(verdict4(src, icmpError({ type: 3, about: elsewhere })), 'drop_icmp_unmatched');
  });

  it('that is unspecified, loopback, IPv4-compatible, IPv4-mapped or multicast is dropped over IPv6', () => {
    const bad = [
      '::',
      '::1',
      '::198.51.100.7',
      '::ffff:198.51.100.7',
      '::ffff:0.0.0.0',
      'ff02::1',
      'ffff::1',
    ];
    for (const src of bad) {
      assert.equal(verdict6(src, segment), 'drop_bad_source', src);
      assert.equal(verdict6(src, icmpv6Echo()), 'drop_bad_source', src);
    }
  });

  it('next to these is a client: NAT64, translated IPv4 and addresses that differ in one word', () => {
    const good = ['64:ff9b::198.51.100.7', '::ffff:0:198.51.100.7', '::fffe:198.51.100.7', '::1:0:0:1'];
    good.push('0:0:0:1::198.51.100.7', '1::', 'fd00::1', '0:0:1::ffff:198.51.100.7');
    for (const src of good) assert.equal(verdict6(src, segment), 'forwarded', src);
  });
});

describe('from a VIP to a VIP', () => {
  it('UDP and ICMP are dropped, where two services could answer each other for ever', () => {
    for (const src of [VIP4, OTHER_VIP4]) {
      for (const layer of [datagram, icmpEcho(), icmpError({ type: 3, about: about4 })]) {
        assert.equal(verdict4(src, layer), 'drop_bad_source');
      }
    }
    for (const src of [VIP6, OTHER_VIP6]) {
      for (const layer of [datagram, icmpv6Echo(), icmpv6Error({ type: 1, about: about6 })]) {
        assert.equal(verdict6(src, layer), 'drop_bad_source');
      }
    }
  });

  it('so are fragments of UDP', () => {
    const pieces4 = ipv4Fragments({ src: OTHER_VIP4, dst: VIP4 }, [datagram, payload(100)], 64);
    const pieces6 = ipv6Fragments({ src: OTHER_VIP6, dst: VIP6 }, [datagram, payload(100)], 64);
    for (const piece of [...pieces4, ...pieces6]) {
      assert.equal(runner.run(frameOf({}, piece)).verdict, 'drop_bad_source');
    }
  });

  it('TCP is dropped from the VIP itself, and forwarded from another one', () => {
    assert.equal(verdict4(VIP4, segment), 'drop_bad_source');
    assert.equal(verdict4(OTHER_VIP4, segment), 'forwarded');
    assert.equal(verdict6(VIP6, segment), 'drop_bad_source');
    assert.equal(verdict6(OTHER_VIP6, segment), 'forwarded');
    // Not the VIP itself: these differ from it in one word of 32 bits each.
    for (const src of [
      '2001:db9:100::10',
      '2001:db8:101::10',
      '2001:db8:100:0:1::10',
      '2001:db8:100::1:10',
    ]) {
      assert.equal(verdict6(src, segment), 'forwarded', src);
    }
  });
});
