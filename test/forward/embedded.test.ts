/** ICMP errors: which embedded packet is a flow of a service, and which is not to be trusted. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { L } from '#anyhop/core/layout.gen.js';
import {
  destinationOptions,
  fragment,
  frame,
  hopByHop,
  type Ipv4Options,
  type Ipv6Options,
  icmpError,
  icmpv6Error,
  ipOption,
  ipv4,
  ipv6,
  type Layer,
  packet,
  payload,
  tcp,
  udp,
} from '../packets/build.js';
import { decapsulate } from '../packets/decode.js';
import { Runner, VIP4, VIP6 } from './fixture.js';

const CLIENT4 = '198.51.100.7';
const CLIENT6 = '2001:db8:c::7';
const ROUTER4 = '192.0.2.99';
const ROUTER6 = '2001:db8:99::1';
const SPORT = 40000;

const runner = new Runner({
  pools: { web: Array.from({ length: 50 }, (_, i) => ({ address: `10.1.0.${i + 1}` })) },
});
const back = tcp({ sport: 80, dport: SPORT });

function error4(header: Partial<Ipv4Options>, ...rest: Layer[]): Uint8Array {
  const about = packet(ipv4({ src: VIP4, dst: CLIENT4, ...header }), ...rest);
  return frame(
    {},
    ipv4({ src: ROUTER4, dst: VIP4 }),
    icmpError({ type: 11, about, quoteBytes: about.length }),
  );
}

function error6(header: Partial<Ipv6Options>, ...rest: Layer[]): Uint8Array {
  const about = packet(ipv6({ src: VIP6, dst: CLIENT6, ...header }), ...rest);
  return frame({}, ipv6({ src: ROUTER6, dst: VIP6 }), icmpv6Error({ type: 3, about }));
}

/** The error goes where the packets of the client's flow go. */
function assertFollows(error: Uint8Array, flow: Uint8Array, sentence: string): void {
  const { verdict, out } = runner.run(error);
  assert.equal(verdict, 'forwarded_icmp_error', sentence);
  assert.equal(decapsulate(out!).outer.dst, decapsulate(runner.run(flow).out!).outer.dst, sentence);
}

function assertUnmatched(error: Uint8Array, sentence: string): void {
  assert.equal(runner.run(error).verdict, 'drop_icmp_unmatched', sentence);
}

const flow4 = frame({}, ipv4({ src: CLIENT4, dst: VIP4 }), tcp({ sport: SPORT, dport: 80 }));
const flow6 = frame({}, ipv6({ src: CLIENT6, dst: VIP6 }), tcp({ sport: SPORT, dport: 80 }));

describe('the packet that an ICMP error embeds', () => {
  it('is read behind its options, and when it is a first fragment', () => {
    assertFollows(error4({}, back), flow4, 'plain');
    for (const slots of [1, 5, 9]) {
      assertFollows(error4({ options: ipOption.recordRoute(slots) }, back), flow4, `${slots} slots`);
    }
    assertFollows(error4({ moreFragments: true }, back, payload(4)), flow4, 'first fragment');
  });

  it('must be IPv4 with a whole header', () => {
    for (const version of [0, 5, 6, 15]) assertUnmatched(error4({ version }, back), `version ${version}`);
    for (const headerWords of [0, 1, 4]) {
      assertUnmatched(error4({ headerWords }, back, back, back), `${headerWords} words of header`);
    }
    // With an IHL of 4 the "ports" would stand in the destination address: let these name the service.
    const asPorts = error4({ headerWords: 4, dst: '0.80.156.64' }, back);
    assertUnmatched(asPorts, 'ports within the header');
  });

  it('must not be a later fragment, whose payload is no port', () => {
    for (const fragmentOffset of [1, 0x100, 0x1fff]) {
      assertUnmatched(error4({ fragmentOffset }, back), `offset ${fragmentOffset}`);
    }
  });

  it('must be from the VIP, TCP or UDP, from the port of a service, with eight bytes of its header', () => {
    assertUnmatched(error4({ src: '203.0.113.11' }, back), 'another address');
    assertUnmatched(error4({ protocol: 132 }, back), 'SCTP');
    assertUnmatched(error4({}, tcp({ sport: 81, dport: SPORT })), 'port 81');
    assertUnmatched(error4({}, udp({ sport: 80, dport: SPORT })), 'UDP port 80');
    const ports = Uint8Array.of(0, 80, SPORT >> 8, SPORT & 0xff, 0, 0, 0, 0);
    for (let bytes = 0; bytes < 8; bytes++) {
      assertUnmatched(error4({ protocol: 6 }, payload(ports.subarray(0, bytes))), `${bytes} bytes`);
    }
    assertFollows(error4({ protocol: 6 }, payload(ports)), flow4, 'eight bytes');
  });
});

describe('an ICMP message that is cut short', () => {
  it('is truncated when its own header is not whole, and unmatched when what it embeds is not', () => {
    const whole4 = packet(ipv4({ src: VIP4, dst: CLIENT4 }), back);
    const whole6 = packet(ipv6({ src: VIP6, dst: CLIENT6 }), back);
    const ip4 = ipv4({ src: ROUTER4, dst: VIP4, protocol: 1 });
    const ip6 = ipv6({ src: ROUTER6, dst: VIP6, nextHeader: 58 });
    for (const [ip, whole, type, header] of [
      [ip4, whole4, 3, 20],
      [ip6, whole6, 1, 40],
    ] as const) {
      const message = Uint8Array.of(type, 0, 0, 0, 0, 0, 0, 0, ...whole);
      for (let bytes = 0; bytes <= 8 + header + 8; bytes++) {
        // The frame ends with the message, so that a read beyond it throws.
        const { verdict } = runner.run(frame({}, ip, payload(message.subarray(0, bytes))));
        const cut = bytes < 8 ? 'drop_truncated' : 'drop_icmp_unmatched';
        assert.equal(verdict, bytes < 8 + header + 8 ? cut : 'forwarded_icmp_error', `${bytes} bytes`);
      }
    }
  });
});

describe('the packet that an ICMPv6 error embeds', () => {
  it('is read behind as many extension headers as are walked over anywhere, and no more', () => {
    for (let headers = 0; headers <= L.EXTENSION_HEADERS_MAX + 1; headers++) {
      const before = Array.from({ length: headers }, (_, i) =>
        i === 0 ? hopByHop() : destinationOptions({ length: 8 + 8 * (i % 3) }),
      );
      const error = error6({}, ...before, back);
      if (headers <= L.EXTENSION_HEADERS_MAX) assertFollows(error, flow6, `${headers} headers`);
      else assertUnmatched(error, `${headers} headers`);
    }
  });

  it('may be a first fragment or an atomic one, but no later one', () => {
    assertFollows(error6({}, fragment({ more: true }), back), flow6, 'first');
    assertFollows(error6({}, fragment(), back), flow6, 'atomic');
    for (const offset of [1, 0x100, 0x1fff]) {
      assertUnmatched(error6({}, fragment({ offset }), back), `offset ${offset}`);
      assertUnmatched(
        error6({}, hopByHop(), fragment({ offset, more: true }), back),
        `offset ${offset}, more`,
      );
    }
  });

  it('must be IPv6, and its extension headers within what is embedded', () => {
    for (const version of [0, 4, 5, 7]) assertUnmatched(error6({ version }, back), `version ${version}`);
    assertUnmatched(error6({}, destinationOptions({ lengthUnits: 255 }), back), 'a header that ends beyond');
    assertUnmatched(error6({ nextHeader: 60 }), 'a header that is not there');
  });

  it('must be from the VIP: one that differs in a single word of 32 bits is not', () => {
    for (const src of ['2001:db9:100::10', '2001:db8:101::10', '2001:db8:100:0:1::10', '2001:db8:100::11']) {
      assertUnmatched(error6({ src }, back), src);
    }
  });
});
