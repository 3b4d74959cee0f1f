/** Builders and oracle check each other: they share no code, so what both agree on is right or wrong twice. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { frameTo, junk, mutated } from './arbitrary.js';
import * as b from './build.js';
import { decapsulate, decodeFrame, decodePacket, Malformed } from './decode.js';
import { fields } from './layer.js';

const v4 = { src: '198.51.100.7', dst: '203.0.113.10' };
const v6 = { src: '2001:db8::7', dst: '2001:db8:100::10' };
const targets = { vips: [v4.dst, v6.dst], ports: [80, 443] };

test('every generated frame decodes strictly, with the ports, addresses and tags that it was built from', () => {
  fc.assert(
    fc.property(frameTo(targets), (generated) => {
      const { packet, vlans } = decodeFrame(generated.frame);
      assert.ok(packet);
      assert.equal(vlans.length, generated.vlans);
      assert.equal(packet.version, generated.family);
      assert.equal(packet.dst, generated.vip);
      assert.equal(
        packet.fragment !== undefined && packet.transport === undefined,
        generated.kind === 'fragment',
      );
      const transport = packet.transport;
      if (generated.kind === 'tcp' || generated.kind === 'udp') {
        assert.equal(transport?.kind, generated.kind);
        assert.deepEqual([transport.sport, transport.dport], [generated.sport, generated.dport]);
      }
      if (generated.kind === 'icmp-error') {
        assert.ok(transport?.kind === 'icmp' || transport?.kind === 'icmpv6');
        assert.equal(transport.quoted?.src, generated.vip);
        assert.equal(transport.quoted?.dst, packet.src);
      }
    }),
    { numRuns: 1000 },
  );
});

test('the oracle answers damage and junk with Malformed or a decoded frame, never another error', () => {
  const frames = fc.oneof(mutated(frameTo(targets).map((g) => g.frame)), junk);
  fc.assert(
    fc.property(frames, (frame) => {
      try {
        decodeFrame(frame);
      } catch (error) {
        assert.ok(error instanceof Malformed, String(error));
      }
    }),
    { numRuns: 1000 },
  );
});

test('one flipped bit in a packet with a checksum over everything never goes unnoticed', () => {
  // Flow label, traffic class, hop limit and IPv6 options are under no checksum: IPv4 without options is.
  const whole = b.packet(b.ipv4(v4), b.tcp({ sport: 40000, dport: 80 }), b.payload(64));
  for (let bit = 0; bit < whole.length * 8; bit++) {
    const damaged = whole.slice();
    damaged[bit >> 3] ^= 0x80 >> (bit & 7);
    assert.throws(() => decodePacket(damaged), Malformed, `bit ${bit}`);
  }
});

const wrong: [name: string, sentence: RegExp, frame: Uint8Array][] = [
  ['IPv4 checksum', /wrong IPv4 header checksum/, b.frame({}, b.ipv4({ ...v4, checksum: 1 }), b.payload(8))],
  ['IPv4 total length', /claims 60 bytes/, b.frame({}, b.ipv4({ ...v4, totalLength: 60 }), b.payload(8))],
  ['IPv4 version', /EtherType says IPv4/, b.frame({}, b.ipv4({ ...v4, version: 6 }), b.payload(8))],
  [
    'IPv6 payload length',
    /claims 140 bytes/,
    b.frame({}, b.ipv6({ ...v6, payloadLength: 100 }), b.payload(8)),
  ],
  ['TCP checksum', /wrong TCP/, b.frame({}, b.ipv4(v4), b.tcp({ sport: 1, dport: 2, checksum: 7 }))],
  [
    'TCP data offset',
    /TCP header of 60/,
    b.frame({}, b.ipv4(v4), b.tcp({ sport: 1, dport: 2, dataOffsetWords: 15 })),
  ],
  ['UDP length', /UDP length 9/, b.frame({}, b.ipv4(v4), b.udp({ sport: 1, dport: 2, length: 9 }))],
  [
    'UDP over IPv6 without checksum',
    /without a checksum/,
    b.frame({}, b.ipv6(v6), b.udp({ sport: 1, dport: 2, checksum: 0 })),
  ],
  ['ICMP checksum', /wrong ICMP checksum/, b.frame({}, b.ipv4(v4), b.icmpEcho({ checksum: 3 }))],
  ['ICMPv6 checksum', /wrong ICMPv6/, b.frame({}, b.ipv6(v6), b.icmpv6Echo({ checksum: 3 }))],
  [
    'extension header length',
    /is cut short/,
    b.frame({}, b.ipv6(v6), b.hopByHop({ lengthUnits: 9 }), b.udp({ sport: 1, dport: 2 })),
  ],
  [
    'hop-by-hop that is not first',
    /not first/,
    b.frame({}, b.ipv6(v6), b.routing(), b.hopByHop(), b.udp({ sport: 1, dport: 2 })),
  ],
  [
    'padding that is not zero',
    /not zero/,
    b.concat(b.frame({}, b.ipv4(v4), b.icmpEcho()), Uint8Array.of(0, 1)),
  ],
];
for (const [name, sentence, frame] of wrong) {
  test(`the oracle refuses a wrong ${name}`, () => {
    assert.throws(() => decodeFrame(frame), sentence);
  });
}

const inner = b.packet(b.ipv6(v6), b.tcp({ sport: 40000, dport: 80 }), b.payload(32));
const outer = { src: '10.0.0.1', dst: '10.1.0.11', df: true, tos: 0xb8 };

test('decapsulate gives back the outer fields and the inner packet byte by byte', () => {
  const got = decapsulate(
    b.frame({ vlans: [7] }, b.ipv4(outer), b.gre({ key: 0x0a01000c, etherType: 0x86dd }), b.payload(inner)),
  );
  assert.deepEqual(got.inner, inner);
  const { bytes: _, ...fields } = got.outer;
  assert.deepEqual(fields, {
    version: 4,
    src: '10.0.0.1',
    dst: '10.1.0.11',
    dscp: 46,
    ecn: 0,
    ttl: 64,
    df: true,
    id: 0,
    flowLabel: 0,
    key: 0x0a01000c,
    alternates: false,
  });
  assert.equal(got.ethernet.vlans[0].id, 7);
});

const notGre: [name: string, sentence: RegExp, frame: Uint8Array][] = [
  [
    'a padded frame',
    /padding/,
    b.concat(b.frame({}, b.ipv4(outer), b.gre({ etherType: 0x86dd }), b.payload(inner)), new Uint8Array(2)),
  ],
  [
    'an inner packet with bytes behind it',
    /inner packet claims/,
    b.frame({}, b.ipv4(outer), b.gre({ etherType: 0x86dd }), b.payload(inner), b.payload(1)),
  ],
  [
    'a protocol type that does not fit the inner packet',
    /GRE says IPv4/,
    b.frame({}, b.ipv4(outer), b.gre({ etherType: 0x0800 }), b.payload(inner)),
  ],
  [
    'GRE version 1',
    /flags and version/,
    b.frame({}, b.ipv4(outer), b.gre({ version: 1, etherType: 0x86dd }), b.payload(inner)),
  ],
  [
    'a sequence number',
    /sequence/,
    b.frame({}, b.ipv4(outer), b.gre({ sequence: 1, etherType: 0x86dd }), b.payload(inner)),
  ],
  ['UDP', /not GRE/, b.frame({}, b.ipv4(outer), b.udp({ sport: 1, dport: 2 }))],
];
for (const [name, sentence, frame] of notGre) {
  test(`decapsulate refuses ${name}`, () => {
    assert.throws(() => decapsulate(frame), sentence);
  });
}

test('the checksum of the example in RFC 1071 section 3 is what the builder writes', () => {
  // An ICMP message whose words are the example's 0001 f203 f4f5 f6f7 has the sum ddf2, less the type's 0000.
  const message = b.packet(b.icmp({ type: 0, code: 1, rest: fields([0xf203f4f5, 4], [0xf6f7, 2]) }));
  assert.equal((message[2] << 8) | message[3], 0xffff - 0xddf2);
});
