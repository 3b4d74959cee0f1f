/** What a check sends through the tunnel is what the packet side would have sent for the same packet. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { wrap } from '#anyhop/health/tunnel-packet.js';
import { addressFromBytes, parseAddress, parsePrefix, prefixContains } from '#anyhop/packet/address.js';
import { P } from '#anyhop/packet/constants.js';
import { composeTcp } from '#anyhop/packet/tcp.js';
import { decodePacket } from '../packets/decode.js';

const CLIENTS = { 4: '10.0.0.1', 6: 'fd00::1' } as const;
const VIPS = { 4: '203.0.113.10', 6: '2001:db8::10' } as const;
const BACKENDS = { 4: '10.1.0.11', 6: 'fd00:1::11' } as const;
const families = fc.constantFrom<4 | 6>(4, 6);
const ADDRESS_AT = { 4: 12, 6: 8 } as const;

describe('a packet that is wrapped for a check', () => {
  it('is GRE without a key around it, from a source of the range to the backend, in all mixes of families', () => {
    fc.assert(
      fc.property(
        families,
        families,
        fc.constantFrom('10.0.0.0/28', '10.0.0.1/32', '0.0.0.0/0'),
        fc.integer({ min: 0, max: 0xffffffff }),
        (outer, inner, range, entropy) => {
          const endpoint = (text: string, port: number) => ({ address: parseAddress(text)!, port });
          const segment = { sequence: entropy, acknowledgment: 0, flags: P.TCP_SYN };
          const packet = composeTcp(endpoint(CLIENTS[inner], 61_000), endpoint(VIPS[inner], 80), segment);
          const sources = { source4: parsePrefix(range), source6: parsePrefix('fd00::1') };
          const wrapped = wrap({ ...sources, backend: parseAddress(BACKENDS[outer])! }, packet, entropy);
          const decoded = decodePacket(Uint8Array.from(wrapped));
          assert.equal(decoded.dst, BACKENDS[outer]);
          assert.ok(decoded.df && decoded.ttl === 64 && decoded.transport?.kind === 'gre');
          assert.deepEqual(decoded.transport.inner, packet);
          assert.equal(decoded.transport.key, undefined);
          const from = addressFromBytes(
            Uint8Array.from(wrapped.subarray(ADDRESS_AT[outer], ADDRESS_AT[outer] + (outer === 4 ? 4 : 16))),
          );
          assert.ok(prefixContains(sources[`source${outer}`]!, from), from.text);
          if (outer === 6) assert.equal(decoded.flowLabel, entropy & 0xfffff);
          // The bits of the source that are not the range's tell flows apart.
          else if (range === '10.0.0.0/28') assert.equal(from.bytes[3], entropy & 0x0f);
        },
      ),
    );
  });
});
