/** The frames that `anyhop which` asks with: what the builders compose, but for the transport checksum. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseAddress } from '#anyhop/packet/address.js';
import { composeFrame } from '#anyhop/packet/compose.js';
import { clientAddress } from './arbitrary.js';
import { frame, ipv4, ipv6, type Layer, tcp, udp } from './build.js';
import { decodeFrame, Malformed } from './decode.js';

const NO_MAC = '00:00:00:00:00:00';
const port = fc.integer({ min: 0, max: 65535 });

describe('the frame of a flow', () => {
  for (const family of [4, 6] as const) {
    for (const protocol of ['tcp', 'udp'] as const) {
      it(`is the smallest ${protocol} packet over IPv${family} between its endpoints, with no transport checksum`, () => {
        const address = clientAddress[family];
        fc.assert(
          fc.property(address, port, address, port, (src, sport, dst, dport) => {
            const composed = composeFrame(
              protocol,
              { address: parseAddress(src)!, port: sport },
              { address: parseAddress(dst)!, port: dport },
            );
            const ip: Layer = family === 4 ? ipv4({ src, dst, df: true }) : ipv6({ src, dst });
            const transport = (checksum?: number): Layer =>
              protocol === 'tcp'
                ? tcp({
                    sport,
                    dport,
                    flags: [],
                    sequence: 0,
                    acknowledgment: 0,
                    window: 0,
                    ...(checksum === undefined ? {} : { checksum }),
                  })
                : udp({ sport, dport, ...(checksum === undefined ? {} : { checksum }) });
            const macs = { dst: NO_MAC, src: NO_MAC };
            assert.deepEqual(composed, frame(macs, ip, transport(0)));
            const whole = decodeFrame(frame(macs, ip, transport())).packet!;
            assert.equal(whole.bytes.length, composed.length - 14);
          }),
          { numRuns: 200 },
        );
      });
    }
  }

  it('decodes strictly where a zero checksum means none, and fails for its checksum alone elsewhere', () => {
    const at = (text: string, number: number) => ({ address: parseAddress(text)!, port: number });
    const udp4 = decodeFrame(composeFrame('udp', at('198.51.100.7', 1), at('203.0.113.10', 53)));
    assert.equal(udp4.packet?.transport?.kind, 'udp');
    for (const protocol of ['tcp', 'udp'] as const) {
      const composed = composeFrame(protocol, at('2001:db8::7', 1), at('2001:db8::10', 53));
      assert.throws(
        () => decodeFrame(composed),
        (error) => error instanceof Malformed && /checksum/.test(error.message),
      );
    }
  });
});
