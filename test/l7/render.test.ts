/** What is rendered from a config that uses every field: HAProxy accepts it, and nobody has to guess what it holds. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { checkGeneration } from '#anyhop/l7/haproxy/check.js';
import { Generations } from '#anyhop/l7/haproxy/generations.js';
import { createAuthority } from '../../scripts/lab/certificates.js';
import { identity, temporaryRun, withoutHaproxy } from './haproxy-fixture.js';
import { loadL7, rendererOf, THUMBPRINT } from './render-fixture.js';

const SERVER = { address: '10.2.0.11', port: 8080 };

/** Every field of the section that reaches HAProxy. */
const FULL = {
  acme: { thumbprint: THUMBPRINT },
  frontends: {
    web: {
      services: ['https', 'https6'],
      certificates: 'certs',
      redirect_from: ['http', 'http6'],
      routes: [
        { host: 'api.example.com', path: '/v1/', to: 'api' },
        { host: '*.example.com', header: { 'x-beta': '1' }, cookie: { group: 'b' }, to: 'beta' },
        { host: 'old.example.com', redirect: 'https://shop.example.com', status: 307 },
        { to: 'shop' },
      ],
      client_rate: { requests: 200, per: '10s' },
      headers: { set: { 'x-edge': 'web' }, remove: ['server'] },
      hsts: '365d',
      clients: { ca_file: 'ca.pem' },
      idle_timeout: '30s',
    },
    plain: { services: ['ports'], routes: [{ to: 'shop' }] },
  },
  upstreams: {
    shop: {
      sticky: { cookie: 'SRV' },
      health: { kind: 'http', path: '/healthz', interval: '2s', rise: 2, fall: 3 },
      passive: { errors: 10 },
      panic_threshold: '50%',
      retries: 2,
      max_connections: 200,
      servers: [
        { name: 'shop-1', ...SERVER, weight: 2 },
        { name: 'shop-2', ...SERVER, address: 'fd00::12', state: 'draining' },
      ],
    },
    beta: {
      balance: 'hash',
      hash_on: { header: 'x-user' },
      protocol: 'http2',
      health: { kind: 'http' },
      servers: [{ name: 'beta-1', ...SERVER }],
    },
    api: {
      balance: 'power_of_two',
      protocol: 'http2',
      health: { kind: 'http', host: 'health.internal:8080', port: 8083 },
      tls: { server_name: 'api.internal', ca_file: 'ca.pem', certificate: 'client.pem' },
      servers: [{ name: 'api-1', ...SERVER }],
    },
  },
};

describe('a rendered config', { skip: withoutHaproxy }, () => {
  let place: ReturnType<typeof temporaryRun>;
  before(async () => {
    place = temporaryRun();
    const directory = dirname(place.run);
    mkdirSync(join(directory, 'certs'));
    const authority = await createAuthority(directory);
    await authority.serverCertificate(join(directory, 'certs', 'shop.pem'), ['shop.example.com']);
    await authority.serverCertificate(join(directory, 'certs', 'all of them.pem'), ['*.example.com']);
    await authority.clientCertificate(join(directory, 'client.pem'), 'proxy');
  });
  after(() => place.remove());

  it('is accepted by HAProxy without a word, whatever of it is left out', async () => {
    const user = await identity();
    const generations = await Generations.open(place.run, user);
    const { acme: _, ...without } = FULL;
    const { api, ...plain } = FULL.upstreams;
    for (const config of [
      FULL,
      { ...without, access_log: 'off' },
      { ...FULL, access_log: '/dev/log' },
      {
        frontends: { plain: FULL.frontends.plain },
        upstreams: { shop: { servers: [{ name: 's', ...SERVER }] } },
      },
      { ...FULL, upstreams: { ...plain, api: { ...api, tls: { server_name: 'api.internal' } } } },
      ...['http1', 'http2'].flatMap((protocol) =>
        ['http', 'tcp', 'none'].map((kind) => ({
          ...FULL,
          upstreams: { ...plain, api: { ...api, protocol, health: { kind } } },
        })),
      ),
    ]) {
      const generation = await generations.write(rendererOf(loadL7(config, dirname(place.run))));
      assert.deepEqual(await checkGeneration(generation, 'haproxy', user), [], JSON.stringify(config));
    }
  });

  it('holds what full.cfg says', () => {
    const { lines } = rendererOf(loadL7(FULL, dirname(place.run)))('/run/anyhop/l7/g1');
    const expected = readFileSync('test/l7/full.cfg', 'utf8');
    assert.equal(lines.map(({ text }) => `${text}\n`).join(''), expected);
  });

  it('says of every line which field causes it', () => {
    const { lines } = rendererOf(loadL7(FULL, dirname(place.run)))('/run/anyhop/l7/g1');
    for (const { text, at } of lines) {
      // The last step may be a field that has its default.
      let value: unknown = { l7: FULL };
      for (const step of at.slice(0, -1)) value = (value as Record<string | number, unknown>)?.[step];
      assert.ok(value !== undefined, `${at.join('.')}: ${text}`);
    }
    const everywhere = lines.filter(({ at }) => at.length === 0);
    assert.ok(everywhere.length < 30, 'few lines have no field');
  });

  it('leaves the port out of a redirect to the usual port of https, and names another one', () => {
    const redirect = (services: readonly string[]): string => {
      const web = { ...FULL.frontends.web, services };
      const { lines } = rendererOf(loadL7({ ...FULL, frontends: { web } }, dirname(place.run)))('/run/l7/g1');
      return lines.find(({ text }) => text.includes('redirect prefix https://%[var(txn.host)]'))!.text;
    };
    assert.match(redirect(['https', 'ports']), /https:\/\/%\[var\(txn\.host\)\] code 308$/);
    assert.match(redirect(['ports']), /https:\/\/%\[var\(txn\.host\)\]:8000 code 308$/);
  });
});
