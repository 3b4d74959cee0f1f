/** Outer headers that are read from an engine's frame and put around other packets: the same way, and a packet that is sound. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseAddress } from '#anyhop/packet/address.js';
import { P } from '#anyhop/packet/constants.js';
import { composeTcp } from '#anyhop/packet/tcp.js';
import { composeUdp } from '#anyhop/packet/udp.js';
import { readFrame, readOuter, wrapIn } from '#anyhop/trace/outer.js';
import { decodePacket } from '../packets/decode.js';

const endpoint = (text: string, port: number) => ({ address: parseAddress(text)!, port });
const CLIENTS = { 4: endpoint('10.0.0.1', 61_000), 6: endpoint('fd00::1', 61_000) };
const VIPS = { 4: endpoint('203.0.113.10', 80), 6: endpoint('2001:db8:100::10', 80) };
const SYN = { sequence: 7, acknowledgment: 0, flags: P.TCP_SYN };

/** What an engine would send, by hand: RFC 791, RFC 8200, RFC 2890. */
function frameOf(family: 4 | 6, key: number | undefined, vlan: number | undefined): Buffer {
  const gre = key === undefined ? '00000800' : `20080800${key.toString(16).padStart(8, '0')}`;
  const ip =
    family === 4
      ? `4500${'0000'}00004000402f${'0000'}0a0000010a01000b`
      : `600abcde${'0000'}2f40${'fd00000000000000000000000000000a'}${'fd0100000000000000000000000000bb'}`;
  const type = family === 4 ? '0800' : '86dd';
  const tag = vlan === undefined ? '' : `8100${vlan.toString(16).padStart(4, '0')}`;
  return Buffer.from(`020000000002020000000001${tag}${type}${ip}${gre}4500${'00'.repeat(18)}`, 'hex');
}

test('carry on source, destination, entropy and key, around packets of both IP versions', () => {
  fc.assert(
    fc.property(
      fc.constantFrom<4 | 6>(4, 6),
      fc.constantFrom<4 | 6>(4, 6),
      fc.option(fc.integer({ min: 1, max: 0xffff_ffff }), { nil: undefined }),
      fc.option(fc.integer({ min: 1, max: 4094 }), { nil: undefined }),
      fc.integer({ min: 0, max: 8_000 }),
      fc.integer({ min: 1, max: 255 }),
      fc.boolean(),
      (family, inside, key, vlan, padding, ttl, isTcp) => {
        const facts = readFrame(frameOf(family, key, vlan))!;
        assert.deepEqual([facts.destinationMac, facts.vlan], ['02:00:00:00:00:02', vlan]);
        const { outer } = facts;
        assert.equal(outer.key, key);
        const inner = isTcp
          ? composeTcp(CLIENTS[inside], VIPS[inside], SYN, padding)
          : composeUdp(CLIENTS[inside], VIPS[inside], padding);
        const packet = wrapIn(outer, inner, ttl);
        const decoded = decodePacket(Uint8Array.from(packet)); // checks lengths and checksums
        assert.deepEqual([decoded.src, decoded.dst], [outer.source.text, outer.destination.text]);
        assert.equal(packet[family === 4 ? 8 : 7], ttl);
        assert.ok(decoded.transport?.kind === 'gre');
        assert.deepEqual(Buffer.from(decoded.transport.inner), Buffer.from(inner));
        if (family === 6) assert.equal(packet.readUInt32BE(0), 0x600abcde, 'the flow label spreads flows');
        assert.deepEqual(readOuter(packet)!.key, key);
      },
    ),
  );
});

test('are not found in anything else, however it is cut or damaged', () => {
  const whole = frameOf(4, 1, undefined);
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 80 }),
      fc.nat(whole.length - 1),
      fc.nat(255),
      (bytes, at, value) => {
        readFrame(bytes);
        const damaged = Buffer.from(whole);
        damaged[at] = value;
        readFrame(damaged);
        readFrame(damaged.subarray(0, at));
      },
    ),
  );
  assert.equal(readFrame(Buffer.alloc(60)), undefined);
});
