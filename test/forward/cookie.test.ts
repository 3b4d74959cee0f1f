/** The SYN cookie of the reference: shared vectors, which epochs are good, and what a forger gets. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { L } from '#anyhop/core/layout.gen.js';
import { checkCookie, cookieOptions } from '#anyhop/forward/cookie.js';
import { Random, seedOfRun } from '../differential/random.js';
import { COOKIE_VECTORS } from '../hash/cookie-vectors.js';
import { type CookieFlow, cookieKeyWords, cookieOf, familyOf, messageOf } from '../packets/cookie.js';

const KEY = Buffer.from(COOKIE_VECTORS.key, 'hex');
const EPOCH = 13_328_125;

const FLOW4: CookieFlow = {
  client: '198.51.100.7',
  clientPort: 40000,
  vip: '203.0.113.10',
  port: 80,
  isn: 0x12345678,
  owner: '10.1.0.11',
};
const FLOW6: CookieFlow = { ...FLOW4, client: '2001:db8:c::7', vip: '2001:db8::10', owner: '2001:db8:1::11' };

const isGood = (flow: CookieFlow, epoch: number, cookie: number, key: Uint8Array = KEY): boolean =>
  checkCookie(cookieKeyWords(key), 0, messageOf(flow), familyOf(flow), epoch, cookie);

const word = fc.integer({ min: 0, max: 2 ** 32 - 1 });

describe('a SYN cookie', () => {
  it('is that of the shared vectors', () => {
    assert.ok(COOKIE_VECTORS.cookies.length > 60);
    for (const vector of COOKIE_VECTORS.cookies) {
      const { mss, sack, wscale, epoch, cookie } = vector;
      const options = cookieOptions(mss, sack ? 1 : 0, wscale ?? L.COOKIE_NO_WSCALE, familyOf(vector));
      const made = cookieOf(KEY, vector, epoch, options);
      assert.equal(made.toString(16).padStart(8, '0'), cookie, JSON.stringify(vector));
      assert.ok(isGood(vector, epoch, made), JSON.stringify(vector));
    }
  });

  it('is good in its epoch, the two behind it and the one before, and in no other, replayed or from far ahead', () => {
    fc.assert(
      fc.property(word, fc.integer({ min: 0, max: 127 }), fc.boolean(), (epoch, options, isSix) => {
        const flow = isSix ? FLOW6 : FLOW4;
        const cookie = cookieOf(KEY, flow, epoch, options);
        for (let later = -9; later <= 9; later++) {
          const at = (epoch + later) >>> 0;
          // Four epochs apart its two bits are the same, and the MAC is not.
          assert.equal(isGood(flow, at, cookie), later >= -1 && later <= 2, `${later} epochs later`);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('is no good for another client, port, VIP, sequence number, owner, family or key, nor with other options', () => {
    for (const flow of [FLOW4, FLOW6]) {
      const cookie = cookieOf(KEY, flow, EPOCH, cookieOptions(1460, 1, 7, familyOf(flow)));
      const others: Partial<CookieFlow>[] = [
        { client: flow === FLOW4 ? '198.51.100.8' : '2001:db8:c::8' },
        { vip: flow === FLOW4 ? '203.0.113.11' : '2001:db8::11' },
        { clientPort: 40001 },
        { port: 81 },
        { isn: flow.isn + 1 },
        { owner: '10.1.0.12' },
        { owner: '2001:db8:1::12' },
        { clientPort: 80, port: 40000 },
      ];
      for (const other of others)
        assert.ok(!isGood({ ...flow, ...other }, EPOCH, cookie), JSON.stringify(other));
      const otherKey = Uint8Array.from(KEY);
      otherKey[15] ^= 1;
      assert.ok(!isGood(flow, EPOCH, cookie, otherKey));
      for (let bit = 0; bit < 32; bit++)
        assert.ok(!isGood(flow, EPOCH, (cookie ^ (1 << bit)) >>> 0), `bit ${bit} turned over`);
    }
  });

  it('is guessed as seldom as 23 bits say: of a million random ones, an eighth of one is right', () => {
    const seed = seedOfRun();
    const random = new Random(seed);
    const guesses = 1_000_000;
    const key = cookieKeyWords(KEY);
    const message = messageOf(FLOW4);
    let right = 0;
    for (let i = 0; i < guesses; i++) {
      message[0] = random.below(2 ** 32) | 0;
      if (checkCookie(key, 0, message, 4, EPOCH, random.below(2 ** 32))) right++;
    }
    // Poisson with mean 0.12: five or more come once in 6 million runs.
    assert.ok(right < 5, `${right} of ${guesses} guesses are good; ANYHOP_SEED=${seed}`);
  });

  it('tells the highest class that the client’s MSS reaches, and the least where it names none', () => {
    for (const [family, classes] of [
      [4, [L.COOKIE_MSS4_0, L.COOKIE_MSS4_1, L.COOKIE_MSS4_2, L.COOKIE_MSS4_3]],
      [6, [L.COOKIE_MSS6_0, L.COOKIE_MSS6_1, L.COOKIE_MSS6_2, L.COOKIE_MSS6_3]],
    ] as const) {
      for (let mss = 0; mss < 2000; mss++) {
        const want = Math.max(
          0,
          classes.findLastIndex((each) => each <= mss),
        );
        assert.equal(cookieOptions(mss, 1, 7, family), (want << 5) | 0x17, `${mss}, IPv${family}`);
      }
    }
  });
});
