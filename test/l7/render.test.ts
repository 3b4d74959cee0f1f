/** What is rendered from a config that uses every field: HAProxy accepts it, and nobody has to guess what it holds. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
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
        { host: 'old.example.com', redirect: 'https://shop.example.com', status: '307' },
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

  it('is accepted by HAProxy without a word', async () => {
    const user = await identity();
    const generations = await Generations.open(place.run, user);
    const generation = await generations.write(rendererOf(loadL7(FULL, dirname(place.run))));
    assert.deepEqual(await checkGeneration(generation, 'haproxy', user), []);
  });
});
