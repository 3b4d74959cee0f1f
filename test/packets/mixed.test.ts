/** The mixed traffic through the pipeline: each packet ends in the verdict that its name says, and what is sent is sound. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { L, VERDICTS } from '#anyhop/core/layout.gen.js';
import { type FixtureService, Runner } from '../forward/fixture.js';
import { decapsulate, decodeFrame } from './decode.js';
import { internetChecksum } from './decode-util.js';
import { mixedTraffic } from './mixed.js';
import { MTU, UDP_PORT, VIP } from './mixed-config.js';

/** MIXED_CONFIG without the file around it. */
const services = (['4', '6'] as const).flatMap((v): FixtureService[] => [
  { vip: VIP[`web${v}`], protocol: 'tcp', port: 80 },
  { vip: VIP[`web${v}`], protocol: 'tcp', port: 443 },
  { vip: VIP[`web${v}`], protocol: 'udp', port: UDP_PORT },
  { vip: VIP[`split${v}`], protocol: 'tcp', port: 80, hash: '3-tuple' },
  { vip: VIP[`split${v}`], protocol: 'udp', port: 9001 },
  { vip: VIP[`split${v}`], protocol: 'udp', port: 9002, pool: 'other' },
  { vip: VIP[`outer6in${v}`], protocol: 'tcp', port: [1, 65535], pool: 'six' },
]);
const backends = (...addresses: string[]) => addresses.map((address) => ({ address, mtu: MTU }));
const runner = new Runner({
  services,
  pools: {
    web: backends('10.1.0.11', '10.1.0.12', '10.1.0.13'),
    other: backends('10.1.0.21'),
    six: backends('2001:db8:2::11', '2001:db8:2::12'),
  },
});

const traffic = mixedTraffic();

test('no two packets of the mixed traffic have the same name, and every verdict that a client can cause occurs', () => {
  assert.equal(new Set(traffic.map(({ name }) => name)).size, traffic.length);
  // The others need a pool without backends, an interface with an address, eleven pings at once, a driver without headroom, and rules of
  // defence (test/differential).
  const others = new Set([
    ...['drop_no_backend', 'pass_other_host', 'drop_echo_limited', 'drop_headroom'],
    ...['drop_blocked', 'drop_source_rate', 'drop_service_rate', 'drop_syn_limited', 'syn_cookie_answered'],
  ]);
  const expected = VERDICTS.map(({ name }) => name).filter((name) => !others.has(name));
  assert.deepEqual([...new Set(traffic.map(({ verdict }) => verdict))].sort(), expected.sort());
});

for (const { name, verdict, frame, timestampNs } of traffic) {
  test(`${name}: ${verdict}`, () => {
    runner.pipeline.tick = Number(timestampNs / (BigInt(L.BUDGET_TICK_MS) * 1_000_000n) - 16_999_999_999n);
    const { verdict: got, action, out } = runner.run(frame);
    assert.equal(got, verdict);
    if (action === 'forward') {
      const { inner } = decapsulate(out!);
      const before = ipPacket(frame);
      assert.deepEqual(withoutTtl(inner), withoutTtl(before));
      const ttl = inner[0] >> 4 === 4 ? 8 : 7;
      assert.equal(inner[ttl], before[ttl] - 1);
      if (ttl === 8) assert.equal(internetChecksum(inner.subarray(0, (inner[0] & 15) * 4)), 0);
    }
    if (action === 'answer') {
      const { packet, dst, src, vlans } = decodeFrame(out!);
      const asked = decodeFrame(frame);
      assert.deepEqual([packet?.src, packet?.dst], [asked.packet?.dst, asked.packet?.src]);
      assert.deepEqual([dst, src, vlans], [asked.src, asked.dst, asked.vlans]);
      const { transport } = packet!;
      assert.ok(transport?.kind === 'icmp' || transport?.kind === 'icmpv6');
      if (verdict === 'too_big_answered') {
        const overhead = asked.packet?.dst === VIP.outer6in4 || asked.packet?.dst === VIP.outer6in6 ? 44 : 24;
        assert.equal(transport.mtu, MTU - overhead);
        assert.equal(transport.quoted?.claimedLength, asked.packet?.bytes.length);
      }
    }
  });
}

/** The IP packet of a frame, without the padding behind it. */
function ipPacket(frame: Uint8Array): Uint8Array {
  let at = 14;
  while (frame[at - 2] === 0x81 || frame[at - 2] === 0x88) at += 4;
  const length =
    frame[at] >> 4 === 4 ? frame[at + 2] * 256 + frame[at + 3] : frame[at + 4] * 256 + frame[at + 5] + 40;
  return frame.subarray(at, at + length);
}

/** The packet with TTL and IPv4 header checksum blanked */
function withoutTtl(packet: Uint8Array): Uint8Array {
  const bytes = packet.slice();
  if (bytes[0] >> 4 === 6) bytes[7] = 0;
  else bytes.fill(0, 8, 9).fill(0, 10, 12);
  return bytes;
}
