/** What follows from the secrets of the tier and from names: keys, ids of servers, thresholds. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Secret } from '#anyhop/config/secret.js';
import { cookieKey, deriveL7Key, ticketKey, ticketKeys, ticketsOf } from '#anyhop/l7/render/keys.js';
import { serverIds } from '#anyhop/l7/render/names.js';
import { panicLeast } from '#anyhop/l7/render/panic.js';
import { type ServerOverride, type ServerOverrides, serversInForce } from '#anyhop/l7/render/servers.js';
import { run } from '../../scripts/lab/command.js';
import { isInstalled } from '../isolation.js';
import { addressOf, loadL7, SERVER_NET } from './render-fixture.js';

const SECRET = Buffer.from('c0ffee11c0ffee22c0ffee33c0ffee44', 'hex');
const HOUR_MS = 3_600_000;

describe('a key of the tier', () => {
  it('is what openssl derives for the same use', {
    skip: !isInstalled('openssl') && 'needs openssl',
  }, async () => {
    const derived = async (key: Uint8Array, info: string, bytes: number): Promise<string> => {
      const options = ['digest:SHA256', `hexkey:${Buffer.from(key).toString('hex')}`, `info:${info}`];
      const argv = ['openssl', 'kdf', '-keylen', `${bytes}`, ...options.flatMap((one) => ['-kdfopt', one])];
      return (await run([...argv, 'HKDF'])).trim().replaceAll(':', '').toLowerCase();
    };
    const key = deriveL7Key(SECRET);
    assert.equal(Buffer.from(key).toString('hex'), await derived(SECRET, 'anyhop l7 v1', 32));
    assert.equal(cookieKey(key, 'shop'), await derived(key, 'anyhop l7-cookie v1 shop', 32));
    const ticket = Buffer.from(ticketKey(key, 'web', 498_883), 'base64').toString('hex');
    assert.equal(ticket, await derived(key, 'anyhop l7-ticket v1 web 498883', 80));
  });

  it('is another one for every upstream, every frontend and every hour', () => {
    const key = deriveL7Key(SECRET);
    const all = [
      Buffer.from(key).toString('hex'),
      cookieKey(key, 'a'),
      cookieKey(key, 'b'),
      ticketKey(key, 'a', 1),
      ticketKey(key, 'b', 1),
      ticketKey(key, 'a', 2),
      ticketKey(key, 'a', 12),
    ];
    assert.equal(new Set(all.map((one) => one.slice(0, 20))).size, all.length);
  });

  it('for tickets follows from the frontend, and from the authorities of its clients', () => {
    const whose = [undefined, 'one', 'other'].map((text) =>
      ticketsOf({
        name: 'web',
        clientsCa: text === undefined ? undefined : { path: '/ca.pem', pem: new Secret(Buffer.from(text)) },
      }),
    );
    assert.equal(whose[0], 'web');
    assert.equal(new Set(whose).size, 3);
  });

  it('for tickets is in force from an hour before it encrypts to an hour after', () => {
    const key = deriveL7Key(SECRET);
    const at = (hour: number, ms = 0) => ticketKeys(key, 'web', new Date(hour * HOUR_MS + ms));
    for (let i = 0; i < 3; i++) assert.equal(at(10)[i], ticketKey(key, 'web', 9 + i));
    assert.deepEqual(at(10, HOUR_MS - 1), at(10));
    assert.deepEqual(at(11).slice(0, 2), at(10).slice(1));
    assert.equal(Buffer.from(at(10)[0], 'base64').length, 80);
  });
});

describe('the id of a server', () => {
  it('is the same in every order, and is not moved by another server', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.stringMatching(/^[a-z0-9-]{1,8}$/), { minLength: 2, maxLength: 50 }),
        (names) => {
          const ids = serverIds(names);
          assert.deepEqual(serverIds(names.toReversed()), ids);
          assert.equal(new Set(ids.values()).size, names.length);
          for (const id of ids.values()) assert.ok(id >= 1 && id < 2 ** 20);
          // One in 2^20 pairs of names has the same hash, and then the second one moves.
          const moved = [...serverIds(names.slice(1))].filter(([name, id]) => ids.get(name) !== id);
          assert.ok(moved.length <= 1, `${moved}`);
        },
      ),
    );
  });

  it('is unique in the largest upstream', () => {
    const names = Array.from({ length: 4096 }, (_, i) => `server-${i}`);
    assert.equal(new Set(serverIds(names).values()).size, names.length);
  });
});

describe('servers in force', () => {
  const upstream = loadL7({
    frontends: { web: { services: ['http'], routes: [{ to: 'shop' }] } },
    upstreams: {
      shop: {
        servers: [
          { name: 'a', address: `${SERVER_NET}.1`, port: 80, weight: 7 },
          { name: 'b', address: `${SERVER_NET}.2`, port: 80, state: 'draining' },
        ],
      },
    },
  }).upstreams[0]!;

  it('are those of the config, with what was said at runtime', () => {
    const overrides: ServerOverrides = new Map([
      [
        'shop',
        new Map<string, ServerOverride>([
          ['a', { state: 'draining' as const, address: addressOf('fd00::1') }],
          ['b', { state: 'active' as const, weight: 3, port: 81 }],
          ['gone', { weight: 1 }],
        ]),
      ],
      ['other', new Map<string, ServerOverride>([['a', { weight: 9 }]])],
    ]);
    const described = (servers: ReturnType<typeof serversInForce>) =>
      servers.map(({ name, address, port, weight }) => `${name} ${address.text} ${port} ${weight}`);
    assert.deepEqual(described(serversInForce(upstream)), ['a 10.2.0.1 80 7', 'b 10.2.0.2 80 0']);
    assert.deepEqual(described(serversInForce(upstream, overrides)), ['a fd00::1 80 0', 'b 10.2.0.2 81 3']);
  });

  it('must be up in a share, of those that get requests', () => {
    const [active, draining] = serversInForce(upstream);
    const four = [active!, active!, active!, active!, draining!];
    for (const [share, least] of [
      [0, 0],
      [0.01, 1],
      [0.5, 2],
      [0.51, 3],
      [1, 4],
    ])
      assert.equal(panicLeast(share!, four), least);
    assert.equal(panicLeast(0.5, [draining!]), 0);
    for (let percent = 0; percent <= 100; percent++)
      for (const count of [1, 25, 50, 100, 150])
        assert.equal(
          panicLeast(percent / 100, Array(count).fill(active)),
          Math.ceil((percent * count) / 100),
          `${percent} % of ${count}`,
        );
  });
});
