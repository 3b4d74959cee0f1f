/** The segments of a health check through the tunnel: whole packets by the strict decoder, and read as they were written. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseAddress } from '#anyhop/packet/address.js';
import { P } from '#anyhop/packet/constants.js';
import { composeTcp, readTcp } from '#anyhop/packet/tcp.js';
import { clientAddress } from './arbitrary.js';
import { decodePacket } from './decode.js';

const port = fc.integer({ min: 0, max: 65535 });
const word = fc.integer({ min: 0, max: 0xffffffff });
const flags = fc.constantFrom<[number, string[]]>(
  [P.TCP_SYN, ['syn']],
  [P.TCP_RST, ['rst']],
  [P.TCP_SYN | P.TCP_ACK, ['syn', 'ack']],
);

describe('a bare TCP segment', () => {
  for (const family of [4, 6] as const) {
    const address = clientAddress[family].map((text) => parseAddress(text)!);
    it(`over IPv${family} has right lengths and checksums, and is read as it was written`, () => {
      fc.assert(
        fc.property(
          address,
          port,
          address,
          port,
          word,
          word,
          flags,
          (from, sport, to, dport, seq, ack, [bits, names]) => {
            const packet = composeTcp(
              { address: from, port: sport },
              { address: to, port: dport },
              { sequence: seq, acknowledgment: ack, flags: bits },
            );
            const decoded = decodePacket(packet);
            assert.deepEqual([decoded.src, decoded.dst], [from.text, to.text]);
            assert.ok(decoded.transport?.kind === 'tcp');
            assert.deepEqual(
              [decoded.transport.sport, decoded.transport.dport, decoded.transport.flags.toSorted()],
              [sport, dport, names.toSorted()],
            );
            const at = packet.length - decoded.payload.length;
            assert.deepEqual(readTcp(packet, at), {
              sourcePort: sport,
              destinationPort: dport,
              sequence: seq,
              acknowledgment: ack,
              flags: bits,
            });
          },
        ),
      );
    });
  }

  it('that is cut short is none', () => {
    assert.equal(readTcp(new Uint8Array(39), 20), undefined);
    assert.notEqual(readTcp(new Uint8Array(40), 20), undefined);
  });
});
