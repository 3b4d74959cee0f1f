/** IPv6 extension headers (RFC 8200 section 4): what is looked behind, and what is not for a forwarder to look behind. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { L } from '#anyhop/core/layout.gen.js';
import {
  authentication,
  destinationOptions,
  fragment,
  frame,
  hopByHop,
  ipv6,
  type Layer,
  PROTOCOL,
  payload,
  routing,
  tcp,
  udp,
} from '../packets/build.js';
import { Runner, VIP6 } from './fixture.js';

const CLIENT = '2001:db8:c::7';
const runner = new Runner();
const segment = tcp({ sport: 40000, dport: 80 });
const datagram = udp({ sport: 40000, dport: 53 });

function verdict(...layers: Layer[]): string {
  return runner.run(frame({}, ipv6({ src: CLIENT, dst: VIP6 }), ...layers)).verdict;
}

describe('IPv6 extension headers', () => {
  it('do not change where a flow goes', () => {
    const slotOf = (...before: Layer[]): number => {
      assert.equal(verdict(...before, segment), 'forwarded');
      return runner.pipeline.slot;
    };
    const slot = slotOf();
    assert.equal(slotOf(hopByHop({ length: 2048 })), slot);
    assert.equal(slotOf(hopByHop(), destinationOptions({ length: 16 }), authentication()), slot);
    assert.equal(slotOf(fragment()), slot);
  });

  it('are walked over up to the limit, and one more is not', () => {
    for (let count = 0; count <= L.EXTENSION_HEADERS_MAX + 2; count++) {
      const headers = Array.from({ length: count }, () => destinationOptions());
      const want = count <= L.EXTENSION_HEADERS_MAX ? 'forwarded' : 'drop_extension_header';
      assert.equal(verdict(...headers, segment), want, `${count} headers`);
    }
  });

  it('of authentication count in words of four bytes less two', () => {
    // 8 + 16 bytes with a length byte of 4: read as units of eight it would reach into the segment.
    assert.equal(verdict(authentication(), segment), 'forwarded');
    assert.equal(verdict(authentication(), tcp({ sport: 1, dport: 81 })), 'drop_no_service');
  });

  it('of routing are followed by nobody else: with segments left the packet is dropped, of any type', () => {
    for (const type of [0, 2, 3, 4, 253]) {
      for (const segmentsLeft of [0, 1, 2, 255]) {
        const header = routing({ type, segmentsLeft, addresses: ['2001:db8::1', '2001:db8::2'] });
        const want = segmentsLeft === 0 ? 'forwarded' : 'drop_extension_header';
        assert.equal(verdict(header, segment), want, `type ${type}, ${segmentsLeft} left`);
        assert.equal(verdict(hopByHop(), header, destinationOptions(), segment), want);
      }
    }
    // Only a routing header has segments: the same byte of another one is an option's length.
    assert.equal(verdict(destinationOptions({ length: 16 }), segment), 'forwarded');
  });

  it('that end beyond the packet are dropped, wherever the frame ends', () => {
    assert.equal(verdict(destinationOptions({ lengthUnits: 200 }), segment), 'drop_extension_header');
    assert.equal(
      verdict(destinationOptions({ lengthUnits: 3 }), payload(20, PROTOCOL.tcp)),
      'drop_extension_header',
    );
    // One that takes all the room leaves none for the segment.
    assert.equal(
      verdict(destinationOptions({ lengthUnits: 2 }), payload(16, PROTOCOL.tcp)),
      'drop_truncated',
    );
    const sixBytes = frame({}, ipv6({ src: CLIENT, dst: VIP6, nextHeader: 60 }), payload(6));
    assert.equal(runner.run(sixBytes).verdict, 'drop_extension_header');
    const padded = frame({ padTo: 200 }, ipv6({ src: CLIENT, dst: VIP6, nextHeader: 60 }), payload(6));
    assert.equal(runner.run(padded).verdict, 'drop_extension_header');
  });
});

describe('IPv6 fragment headers', () => {
  it('of an atomic fragment, with neither offset nor more to come, make no fragment (RFC 6946)', () => {
    assert.equal(verdict(fragment(), segment), 'forwarded');
    assert.equal(verdict(hopByHop(), fragment({ id: 0 }), destinationOptions(), segment), 'forwarded');
    assert.equal(verdict(fragment(), fragment(), segment), 'forwarded');
  });

  it('of a real fragment make one, be it the first or a later one', () => {
    assert.equal(verdict(fragment({ more: true }), datagram, payload(8)), 'forwarded_fragment');
    assert.equal(verdict(fragment({ offset: 1 }), payload(9, PROTOCOL.udp)), 'forwarded_fragment');
    assert.equal(verdict(fragment({ offset: 0x1fff }), payload(9, PROTOCOL.udp)), 'forwarded_fragment');
    assert.equal(verdict(fragment({ more: true }), segment, payload(4)), 'drop_fragment_tcp');
    const other = udp({ sport: 1, dport: 54 });
    assert.equal(verdict(fragment({ more: true }), other, payload(8)), 'drop_no_service');
  });

  it('of a real fragment are the last header that is looked behind', () => {
    for (const real of [
      fragment({ more: true }),
      fragment({ offset: 1 }),
      fragment({ offset: 1, more: true }),
    ]) {
      for (const behind of [destinationOptions(), authentication(), fragment(), fragment({ more: true })]) {
        assert.equal(verdict(real, behind, datagram), 'drop_extension_header');
      }
    }
  });

  it('have eight bytes, whatever stands in their reserved bits', () => {
    const asked = frame({}, ipv6({ src: CLIENT, dst: VIP6 }), fragment(), segment);
    asked[14 + 40 + 1] = 0xff;
    asked[14 + 40 + 3] |= 0x06;
    assert.equal(runner.run(asked).verdict, 'forwarded');
  });
});
