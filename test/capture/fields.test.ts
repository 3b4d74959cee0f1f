/** What filters look at in a frame, held to the strict decoder of the tests, and to frames that are cut anywhere. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PacketFields } from '#anyhop/capture/fields.js';
import { L } from '#anyhop/core/layout.gen.js';
import { addressFromBytes, parseAddress } from '#anyhop/packet/address.js';
import { frame, gre, ipv4, ipv6, packet, payload, tcp } from '../packets/build.js';
import { decodeFrame } from '../packets/decode.js';
import { mixedTraffic } from '../packets/mixed.js';

interface Read {
  readonly family: number;
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly ports: readonly [number, number];
}

function read(bytes: Uint8Array, length = bytes.length, point: 'forwarder' | 'agent' = 'forwarder'): Read {
  const fields = new PacketFields().read(bytes, 0, length, point);
  const size = fields.family === 6 ? 16 : 4;
  const text = (at: number): string =>
    fields.family === 0 ? '' : addressFromBytes(bytes.slice(at, at + size)).text;
  return {
    family: fields.family,
    source: text(fields.source),
    destination: text(fields.destination),
    protocol: fields.protocol,
    ports: [fields.sourcePort, fields.destinationPort],
  };
}

const FRAMES = mixedTraffic().map((each) => each.frame);

describe('the fields of a packet', () => {
  it('are those that the decoder of the tests finds', () => {
    let compared = 0;
    for (const bytes of FRAMES) {
      const decoded = decodedOrNot(bytes);
      if (decoded?.packet === undefined || decoded.vlans.length > L.VLAN_TAGS_READ) continue;
      const { version, src, dst, transport, fragment } = decoded.packet;
      const found = read(bytes);
      assert.deepEqual(
        [found.family, found.source, found.destination],
        [version, parseAddress(src)!.text, parseAddress(dst)!.text],
      );
      if (transport?.kind === 'tcp' || transport?.kind === 'udp') {
        assert.deepEqual(found.ports, [transport.sport, transport.dport]);
        compared++;
      } else if (fragment?.offset !== 0) assert.deepEqual(found.ports, [-1, -1]); // the first fragment has them
    }
    assert.ok(compared > 20);
  });

  it('of a frame that is cut are those of the whole one, or unknown', () => {
    for (const bytes of FRAMES) {
      const whole = read(bytes);
      for (let length = 0; length < Math.min(bytes.length, 120); length++) {
        // What lies behind the cut must not be looked at.
        const cut = bytes.slice();
        cut.fill(0xa5, length);
        const found = read(cut, length);
        if (found.family !== 0)
          assert.deepEqual(
            [found.family, found.source, found.destination],
            [whole.family, whole.source, whole.destination],
          );
        if (found.protocol >= 0) assert.equal(found.protocol, whole.protocol);
        if (found.ports[0] >= 0) assert.deepEqual(found.ports, whole.ports);
      }
    }
  });

  it('are at an agent those of the packet inside of GRE, with and without a key', () => {
    const inner = packet(
      ipv6({ src: '2001:db8:1::7', dst: '2001:db8::10' }),
      tcp({ sport: 4000, dport: 443 }),
    );
    for (const key of [undefined, 0x60000]) {
      const options = { etherType: 0x86dd, ...(key !== undefined && { key }) };
      const outer = frame({}, ipv4({ src: '10.0.0.1', dst: '10.1.0.11' }), gre(options), payload(inner));
      assert.deepEqual(read(outer, outer.length, 'agent'), {
        family: 6,
        source: '2001:db8:1::7',
        destination: '2001:db8::10',
        protocol: 6,
        ports: [4000, 443],
      });
      assert.equal(read(outer, outer.length, 'forwarder').protocol, 47);
    }
  });
});

/** Undefined for what is no good packet. */
function decodedOrNot(bytes: Uint8Array): ReturnType<typeof decodeFrame> | undefined {
  try {
    return decodeFrame(bytes);
  } catch {
    return undefined;
  }
}
