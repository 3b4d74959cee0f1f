/** SipHash and SYN cookies in C: the vectors that TypeScript's are held to, and TypeScript's own results on anything. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { L } from '#anyhop/core/layout.gen.js';
import { checkCookie, cookieOptions, makeCookie } from '#anyhop/forward/cookie.js';
import { sipHash } from '#anyhop/hash/siphash.js';
import { devLibrary } from '../../scripts/native/object.js';
import { COOKIE_VECTORS } from '../hash/cookie-vectors.js';
import {
  CASE_BYTES,
  type CookieFlow,
  cookieKeyWords,
  familyOf,
  messageOf,
  writeCase,
} from '../packets/cookie.js';
import { Random, seedOfRun } from './random.js';

const KEY = Buffer.from(COOKIE_VECTORS.key, 'hex');

interface Case {
  readonly flow: CookieFlow;
  readonly epoch: number;
  readonly given: number;
}

function cookiesInC(cases: readonly Case[], key: Uint8Array, isCheck: boolean): number[] {
  const memory = Buffer.alloc(cases.length * CASE_BYTES);
  for (const [i, { flow, epoch, given }] of cases.entries())
    writeCase(memory, i * CASE_BYTES, key, flow, epoch, given);
  const out = Buffer.alloc(cases.length * 4);
  devLibrary.call('ERR_NATIVE', 'anyhop_dev_cookies', memory, cases.length, isCheck ? 1 : 0, out);
  return Array.from(cases, (_, i) => out.readUInt32LE(i * 4));
}

function address(random: Random, family: number): string {
  if (family === 4) return Array.from({ length: 4 }, () => random.byte()).join('.');
  return Array.from({ length: 8 }, () => random.below(65536).toString(16)).join(':');
}

function anyFlow(random: Random): CookieFlow {
  const family = random.pick([4, 6]);
  return {
    client: address(random, family),
    clientPort: random.below(65536),
    vip: address(random, family),
    port: random.below(65536),
    isn: random.below(2 ** 32),
    owner: address(random, random.pick([4, 6])),
  };
}

describe('SYN cookies in C', () => {
  it('are those of the shared vectors, and tell the options of their clients', () => {
    const vectors = COOKIE_VECTORS.cookies;
    const cases = vectors.map((flow) => ({
      flow,
      epoch: flow.epoch,
      given: cookieOptions(flow.mss, flow.sack ? 1 : 0, flow.wscale ?? L.COOKIE_NO_WSCALE, familyOf(flow)),
    }));
    for (const [i, cookie] of cookiesInC(cases, KEY, false).entries())
      assert.equal(
        cookie.toString(16).padStart(8, '0'),
        vectors[i].cookie,
        `case ${i}: ${JSON.stringify(vectors[i])}`,
      );
    for (const family of [4, 6] as const) {
      const those = vectors.filter((vector) => familyOf(vector) === family);
      const words = Buffer.alloc(those.length * 4);
      for (const [i, { cookie }] of those.entries()) words.writeUInt32LE(Number.parseInt(cookie, 16), i * 4);
      const told = Buffer.alloc(those.length * 12);
      devLibrary.call('ERR_NATIVE', 'anyhop_dev_cookies_tell', words, those.length, family, told);
      for (const [i, { mss, sack, wscale }] of those.entries()) {
        const tells = [0, 4, 8].map((at) => told.readUInt32LE(i * 12 + at));
        const classes =
          family === 4
            ? [L.COOKIE_MSS4_3, L.COOKIE_MSS4_2, L.COOKIE_MSS4_1]
            : [L.COOKIE_MSS6_3, L.COOKIE_MSS6_2, L.COOKIE_MSS6_1];
        const least = family === 4 ? L.COOKIE_MSS4_0 : L.COOKIE_MSS6_0;
        const want = classes.find((each) => each <= mss) ?? least;
        assert.deepEqual(tells, [want, sack ? 1 : 0, wscale ?? L.COOKIE_NO_WSCALE], JSON.stringify(those[i]));
      }
    }
  });

  it('are TypeScript’s for any flow, key, epoch and options, and so is what is good', () => {
    const seed = seedOfRun();
    const random = new Random(seed);
    const key = Uint8Array.from({ length: 16 }, () => random.byte());
    const words = cookieKeyWords(key);
    const cases = Array.from({ length: 5000 }, (): Case => {
      const epoch = random.pick([random.below(2 ** 32), 0, 1, 2 ** 32 - 1, 2 ** 32 - 2, 65535, 65536]);
      return { flow: anyFlow(random), epoch, given: random.below(128) };
    });
    const made = cookiesInC(cases, key, false);
    for (const [i, { flow, epoch, given }] of cases.entries()) {
      const cookie = makeCookie(words, 0, messageOf(flow), familyOf(flow), epoch, given) >>> 0;
      assert.equal(made[i], cookie, `ANYHOP_SEED=${seed}, case ${i}`);
    }
    // Good ones, of other epochs, with a bit turned over, and guesses.
    const checks = cases.map((one, i): Case => {
      const later = random.below(9) - 4;
      const damage = random.pick([0, 0, 0, 1 << random.below(32), random.below(2 ** 32)]);
      return { ...one, epoch: (one.epoch + later) >>> 0, given: (made[i] ^ damage) >>> 0 };
    });
    const good = cookiesInC(checks, key, true);
    for (const [i, { flow, epoch, given }] of checks.entries()) {
      const want = checkCookie(words, 0, messageOf(flow), familyOf(flow), epoch, given);
      assert.equal(good[i], want ? 1 : 0, `ANYHOP_SEED=${seed}, check ${i}`);
    }
    const count = good.filter((each) => each === 1).length;
    assert.ok(count > 500 && count < 4000, `${count} of ${good.length} are good; ANYHOP_SEED=${seed}`);
  });

  it('take a client’s options as TypeScript does', () => {
    for (const family of [4, 6]) {
      const clients = Array.from({ length: 6000 }, (_, i) => [i < 5000 ? i : i * 10, i & 1, i % 16]);
      const memory = Buffer.alloc(clients.length * 12);
      for (const [i, client] of clients.entries())
        for (const [at, value] of client.entries()) memory.writeUInt32LE(value, i * 12 + at * 4);
      const out = Buffer.alloc(clients.length * 4);
      devLibrary.call('ERR_NATIVE', 'anyhop_dev_cookie_options', memory, clients.length, family, out);
      for (const [i, [mss, sack, wscale]] of clients.entries())
        assert.equal(out.readUInt32LE(i * 4), cookieOptions(mss, sack, wscale, family), `${clients[i]}`);
    }
  });
});

describe('SipHash-2-4 in C', () => {
  it('is TypeScript’s for any key and message', () => {
    const seed = seedOfRun();
    const random = new Random(seed);
    const count = 1000;
    for (const pairs of [1, 4, 7]) {
      const keys = Buffer.from(Uint8Array.from({ length: count * 16 }, () => random.byte()));
      const messages = Buffer.from(Uint8Array.from({ length: count * pairs * 8 }, () => random.byte()));
      const out = Buffer.alloc(count * 8);
      devLibrary.call('ERR_NATIVE', 'anyhop_dev_siphash', keys, messages, pairs, count, out);
      const own = new Int32Array(2);
      for (let i = 0; i < count; i++) {
        const message = Int32Array.from({ length: pairs * 2 }, (_, word) =>
          messages.readInt32LE(8 * pairs * i + 4 * word),
        );
        sipHash(cookieKeyWords(keys.subarray(16 * i, 16 * i + 16)), 0, message, pairs, own);
        assert.deepEqual(
          [out.readInt32LE(8 * i), out.readInt32LE(8 * i + 4)],
          [...own],
          `ANYHOP_SEED=${seed}, message ${i} of ${pairs} pairs`,
        );
      }
    }
  });
});
