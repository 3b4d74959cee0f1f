/** The time that a replay goes by: the stamps of the capture, of which any may be bogus. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { VERDICTS } from '#anyhop/core/layout.gen.js';
import { ReplayEngine } from '#anyhop/engine/replay.js';
import { imageOf, VIP4 } from '../forward/fixture.js';
import { frame, ipv4, payload, tcp } from '../packets/build.js';

const SECOND = 1_000_000_000n;
const START = 1_800_000_000n * SECOND;
const image = imageOf({ pools: { web: [{ address: '10.1.0.11', mtu: 1500 }] } });
const tooBig = frame(
  {},
  ipv4({ src: '198.51.100.7', dst: VIP4, df: true }),
  tcp({ sport: 1, dport: 80 }),
  payload(1460),
);

/** The verdict of one packet that is too big at each of these times, from one client. */
async function verdictsAt(stamps: readonly bigint[]): Promise<string[]> {
  const verdicts: string[] = [];
  const packets = stamps.map((timestampNs) => ({
    number: 0,
    frame: tooBig,
    timestampNs,
    originalLength: tooBig.length,
    truncated: false,
  }));
  const engine = new ReplayEngine(packets, { write: () => undefined }, (verdict) =>
    verdicts.push(VERDICTS[verdict].name),
  );
  await engine.start(image);
  await engine.finished;
  return verdicts;
}

describe('a replay', () => {
  it('answers one packet a second although one of them has any stamp whatever', async () => {
    const stamp = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    await fc.assert(
      fc.asyncProperty(stamp, fc.integer({ min: 0, max: 9 }), async (bogus, place) => {
        const stamps = Array.from({ length: 10 }, (_, i) => START + BigInt(i) * 3n * SECOND);
        stamps.splice(place, 0, bogus);
        const verdicts = await verdictsAt(stamps);
        verdicts.splice(place, 1);
        // A bogus one may be near the right time, and use up the answer of one that is.
        const limited = verdicts.filter((verdict) => verdict !== 'too_big_answered').length;
        assert.ok(limited <= 1, verdicts.join(' '));
      }),
    );
    const far = await verdictsAt([START, START + 12_345_678n * SECOND, START + SECOND, START + 2n * SECOND]);
    assert.deepEqual(new Set(far), new Set(['too_big_answered']));
  });

  it('does not take two packets that are a little out of order for two times', async () => {
    const verdicts = await verdictsAt([START, START + SECOND / 10n, START, START + SECOND / 10n]);
    assert.deepEqual(verdicts, [
      'too_big_answered',
      'too_big_answered',
      'drop_too_big_limited',
      'drop_too_big_limited',
    ]);
  });
});
