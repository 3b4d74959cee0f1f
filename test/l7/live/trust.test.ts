/** What a client says is not believed: about itself, about its connection, and about where it was sent from or goes to. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { headerOf } from '../../../scripts/lab/l7/curl.js';
import type { OddServer, SeenRequest } from '../../../scripts/lab/l7/odd.js';
import { seedOfRun } from '../../differential/random.js';
import {
  eventually,
  NAME,
  ProxyHost,
  SERVER_PORT,
  serverAddress,
  VIP4,
  VIP6,
  withoutProxyHost,
} from '../run-fixture.js';
import { logEntries } from './access-log.js';
import { converse } from './converse.js';
import { type Relay, startRelay } from './relay.js';
import { connectTls } from './tls.js';

const THUMBPRINT = 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG';
const YEAR_S = 365 * 86_400;
const CLIENT4 = '192.0.2.1';
const CLIENT6 = '2001:db8:1:1::1';
const MOVED = 'moved.example.com';
const RUNS = 300;
const seed = seedOfRun();

const FORGED = [
  ...[
    'X-Forwarded-For: 1.2.3.4',
    'x-forwarded-for: 5.6.7.8',
    'X_Forwarded_For: 1.2.3.4',
    'X.Forwarded.For: 1.2.3.4',
  ],
  ...[
    'X-Forwarded-Host: evil.example',
    'X-Forwarded-Proto: http',
    'X-Forwarded-Port: 1',
    'X-Forwarded-Prefix: /evil',
  ],
  ...[
    'Forwarded: for=1.2.3.4',
    'Forwarded: for=5.6.7.8;host=evil.example',
    'X-Real-IP: 1.2.3.4',
    'X-Client-IP: 1.2.3.4',
  ],
  ...['X-Cluster-Client-IP: 1.2.3.4', 'True-Client-IP: 1.2.3.4', 'X-Request-Id: mine', 'X_Request_Id: mine'],
  ...[
    'X-Original-URL: /admin',
    'X-Rewrite-URL: /admin',
    'Proxy: http://evil.example',
    'X-Secret: from outside',
  ],
];

describe('a client', { skip: withoutProxyHost, timeout: 180_000 }, () => {
  let host: ProxyHost;
  let relay: Relay;
  let server: OddServer;

  before(async () => {
    host = await ProxyHost.create();
    for (const address of [`${CLIENT4}/32`, `${CLIENT6}/128`])
      execFileSync('ip', ['-n', host.namespace, 'addr', 'add', address, 'dev', 'lo']);
    server = await host.startServer(1);
    const upstream = (port: number) => ({
      health: { kind: 'none' },
      retries: 0,
      servers: [{ name: 's1', address: serverAddress(1), port }],
    });
    host.configure({
      acme: { thumbprint: THUMBPRINT },
      web: {
        hsts: '1y',
        headers: { set: { 'x-edge': 'web' }, remove: ['x-secret'] },
        routes: [
          { host: MOVED, redirect: `https://${NAME}` },
          { host: NAME, path: '/nobody', to: 'nobody' },
          { host: NAME, to: 'shop' },
        ],
      },
      upstreams: { shop: upstream(SERVER_PORT), nobody: upstream(1) },
    });
    await host.start();
    relay = await startRelay(host.resources, host.namespace);
  });
  after(() => host?.close());

  /** Over plain HTTP, where all is redirected. */
  const say = async (start: string, name: string) => {
    const socket = await relay.connect({ address: VIP4, port: 80 });
    return converse(socket, `${start} HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`);
  };
  const secure = (serverName: string) =>
    connectTls(relay, { address: VIP4, port: 443, ca: host.authority.file, serverName });
  const valuesOf = ({ headers }: SeenRequest, name: string) =>
    headers.filter(([each]) => each.toLowerCase() === name).map(([, value]) => value);
  const reached = (path: string) =>
    eventually(`the server tells of ${path}`, () => server.requests().find((one) => one.path === path));

  it('cannot tell a server that it is somebody else, over HTTP/1.1 and HTTP/2, IPv4 and IPv6', async () => {
    for (const http of ['1.1', '2'] as const)
      for (const [address, from, forwarded] of [
        [VIP4, CLIENT4, `for=${CLIENT4};proto=https`],
        [VIP6, CLIENT6, `for="[${CLIENT6}]";proto=https`],
      ] as const) {
        const path = `/forged/${http}/${from}`;
        const options = ['--interface', from];
        assert.equal((await host.get(path, { http, address, headers: FORGED, options })).status, 200);
        const seen = await reached(path);
        const expected = {
          'x-forwarded-for': from,
          forwarded,
          'x-forwarded-proto': 'https',
          'x-edge': 'web',
        };
        for (const [name, value] of Object.entries(expected)) assert.deepEqual(valuesOf(seen, name), [value]);
        const [id, ...more] = valuesOf(seen, 'x-request-id');
        assert.match(id!, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
        assert.deepEqual(more, []);
        const known = new Set([...Object.keys(expected), 'x-request-id', 'host', 'accept', 'user-agent']);
        const others = seen.headers.filter(([name]) => !known.has(name.toLowerCase()));
        assert.deepEqual(others, []);
        const logged = await eventually('the access log has it', () =>
          logEntries(host).find((entry) => entry.id === id),
        );
        assert.deepEqual([logged.client, logged.version], [from, http === '2' ? 'HTTP/2' : 'HTTP/1']);
      }
  });

  it('cannot make a server drop the headers of the proxy by calling them those of the connection', async () => {
    const names = ['X-Forwarded-For', 'X-Request-Id', 'Forwarded', 'Host', 'X-Edge'];
    const connection = `Connection: ${['close', ...names].join(', ')}`;
    await converse(await secure(NAME), `GET /named HTTP/1.1\r\nHost: ${NAME}\r\n${connection}\r\n\r\n`);
    const seen = await reached('/named');
    for (const name of names) assert.equal(valuesOf(seen, name.toLowerCase()).length, 1, name);
    assert.deepEqual(valuesOf(seen, 'connection'), []);
  });

  it('is told to stay with https by every answer, those too that no server gave', async () => {
    for (const [url, status] of [
      [`https://${NAME}/`, 200],
      [`https://${NAME}/error`, 500],
      [`https://${NAME}/reset`, 502],
      [`https://${NAME}/nobody`, 503],
      ['https://none.example.com/', 404],
      [`https://${MOVED}/`, 308],
    ] as const) {
      const answer = await host.get('', { url });
      assert.equal(answer.status, status, url);
      assert.equal(headerOf(answer, 'strict-transport-security'), `max-age=${YEAR_S}`, url);
      assert.equal(headerOf(answer, 'x-edge'), 'web', url);
    }
  });

  it('is redirected to the host that it asked for under https, or not at all, whatever host and path are', async (t) => {
    t.diagnostic(`ANYHOP_SEED=${seed}`);
    const odd = fc.constantFrom(...'\r\n\t\0\x0b\x7f\xe9 /\\@:?#%"\'<>;,.&=[]{}()-_a');
    const piece = fc.constantFrom(NAME, 'evil.example', '//', 'https://', '%0d%0a', '..', '80');
    const text = fc
      .array(fc.oneof(piece, odd), { minLength: 1, maxLength: 5 })
      .map((pieces) => pieces.join(''));
    let redirects = 0;
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.constant(NAME), text), text, async (name, path) => {
        const { answers } = await say(`GET /${path}`, name);
        for (const { status, headers } of answers) {
          const known = new Set([
            'content-length',
            'location',
            'connection',
            'cache-control',
            'content-type',
          ]);
          assert.deepEqual(
            headers.filter(([header]) => !known.has(header)),
            [],
          );
          const locations = headers.filter(([header]) => header === 'location').map(([, value]) => value);
          if (status === 400) assert.deepEqual(locations, []);
          else {
            redirects += 1;
            assert.deepEqual([status, locations.length], [308, 1]);
            const [, to] = /^https:\/\/([a-z0-9_.-]+)\//.exec(locations[0]!) ?? assert.fail(locations[0]);
            // Without its port and the dots at its end.
            assert.ok(name.toLowerCase().trim().startsWith(to!), `${name} -> ${locations[0]}`);
          }
        }
      }),
      { numRuns: RUNS, seed, includeErrorInReport: true },
    );
    assert.ok(redirects > RUNS / 10, `${redirects}`);
  });

  it('is not redirected by a target that is no path of the host', async () => {
    for (const target of [
      'http://evil.example/',
      `http://${NAME}@evil.example/`,
      'evil.example:443',
      '@evil.example',
    ])
      for (const method of ['GET', 'OPTIONS', 'CONNECT']) {
        const { answers } = await say(`${method} ${target}`, NAME);
        assert.deepEqual(
          answers.map(({ status }) => status),
          [400],
          `${method} ${target}`,
        );
      }
    for (const target of ['*', `http://${NAME}`, `http://${NAME}/`]) {
      const { answers } = await say(`OPTIONS ${target}`, NAME);
      assert.equal(new Map(answers[0]!.headers).get('location'), `https://${NAME}/`, target);
    }
  });

  it('is redirected by a route to the host of the config, whatever the path is', async () => {
    for (const path of [
      '//evil.example/',
      '/@evil.example',
      '/\\evil.example',
      '/.evil.example',
      '/%0d%0ax-a:b',
      '/?a=//b',
    ]) {
      const request = `GET ${path} HTTP/1.1\r\nHost: ${MOVED}\r\nConnection: close\r\n\r\n`;
      const { answers } = await converse(await secure(MOVED), request);
      const headers = new Map(answers[0]!.headers);
      assert.equal(headers.get('location'), `https://${NAME}${path}`);
      assert.equal(headers.get('x-a'), undefined);
    }
  });

  it('of an authority gets the answer to its challenge over plain HTTP and TLS, whatever the host', async () => {
    const challenge = '/.well-known/acme-challenge/Token-_123';
    for (const [origin, http] of [
      [`http://${NAME}`, '1.1'],
      ['http://any.example.org', '1.1'],
      [`https://${NAME}`, '1.1'],
      [`https://${MOVED}`, '2'],
    ] as const) {
      const { status, body } = await host.get('', { url: `${origin}${challenge}`, http });
      assert.deepEqual([status, body], [200, `Token-_123.${THUMBPRINT}`], origin);
    }
    for (const path of [
      `${challenge}/x`,
      `${challenge}%41`,
      '/.well-known/acme-challenge/',
      `/x/..${challenge}`,
    ])
      assert.equal((await host.get('', { url: `http://${NAME}${path}` })).status, 308, path);
  });
});
