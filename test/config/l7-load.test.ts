/** Good configs of the section `l7`, and what becomes of their values. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parseConfig } from '#anyhop/config/load.js';
import type { LoadedConfig } from '#anyhop/config/types.js';
import { makeCertificate } from '../health/servers.js';
import { parse, problemsOf, unmark } from './fixture.js';
import { parseL7, SUBKEY } from './l7-fixture.js';

/** Every field that most users need. */
const SAMPLE = `agent: {forwarders: [10.0.0.1]}
pools:
  proxies:
    backends: [{name: proxy-1, address: 10.1.0.11}]
services:
  - {name: https, vip: 203.0.113.10, protocol: tcp, port: 443, pool: proxies}
  - {name: https6, vip: "2001:db8::10", protocol: tcp, port: "443-444", pool: proxies}
  - {name: http, vip: 203.0.113.10, protocol: tcp, port: 80, pool: proxies}
  - {name: http6, vip: "2001:db8::10", protocol: tcp, port: 80, pool: proxies}
l7:
  key_file: l7.key
  frontends:
    web:
      services: [https, https6]         # layer-4 services; their pool's backends are the proxy hosts
      certificates: certs               # *.pem, chosen by SNI; the first in name order is the default
      redirect_from: [http, http6]      # plain HTTP there answers 308 to https
      routes:                           # exact host before wildcard, longest path first, then the file's order
        - {host: api.example.com, path: /v1/, to: api}
        - {host: "*.example.com", header: {x-beta: "1"}, to: beta}       # or cookie: {group: b}
        - {host: old.example.com, redirect: "https://shop.example.com", status: 308}
        - {to: shop}
      client_rate: {requests: 200, per: 10s}    # 429 above; counted per proxy host, IPv6 by /64, kept over reloads
      headers: {set: {x-edge: web}, remove: [server]}   # requests and responses
      hsts: 1y
      clients: {ca_file: clients.pem}       # mTLS towards clients, optional
  upstreams:
    shop:
      balance: least_connections        # the default; round_robin | power_of_two | hash
      hash_on: {header: x-user}         # with hash: header, cookie, path or source; bounded
      sticky: {cookie: SRV}             # keyed-hash values (address, port, key): no name or address leaks
      health: {kind: http, path: /healthz, interval: 2s, rise: 2, fall: 3}
      passive: {errors: 10}
      panic_threshold: 50%
      retries: 2
      max_connections: 200
      tls: {ca_file: clients.pem, server_name: shop.internal, certificate: own.pem}
      servers:
        - {name: shop-1, address: 10.2.0.11, port: 8080, weight: 2, state: draining}
    api: {servers: [{name: api-1, address: 10.2.0.21, port: 8080}]}
    beta: {servers: [{name: beta-1, address: "fd00::31", port: 8080}]}
`;

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'anyhop-l7-load-'));
  const { key, cert } = makeCertificate('DNS:*.example.com');
  mkdirSync(join(folder, 'certs'));
  writeFileSync(join(folder, 'certs/a.pem'), cert + key, { mode: 0o600 });
  writeFileSync(join(folder, 'own.pem'), cert + key, { mode: 0o600 });
  writeFileSync(join(folder, 'clients.pem'), cert);
  writeFileSync(join(folder, 'l7.key'), SUBKEY, { mode: 0o600 });
});
after(() => rmSync(folder, { recursive: true }));

const load = (text: string): LoadedConfig<'l7'> =>
  parseConfig(text, join(folder, 'anyhop.yaml'), { role: 'l7', env: {} });

/** Without methods and bytes, which `deepEqual` would compare. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('the section l7', () => {
  it('becomes frontends whose services are places to listen at', () => {
    const [web] = load(SAMPLE).l7.frontends;
    const binds = web.binds.map(({ service, vip, portFirst, portLast }) => [
      service,
      vip.text,
      portFirst,
      portLast,
    ]);
    assert.deepEqual(binds, [
      ['https', '203.0.113.10', 443, 443],
      ['https6', '2001:db8::10', 443, 444],
    ]);
    assert.deepEqual(
      web.redirectBinds.map(({ service }) => service),
      ['http', 'http6'],
    );
    assert.equal(web.name, 'web');
    assert.equal(web.certificates, join(folder, 'certs'));
    assert.deepEqual(web.clientRate, { requests: 200, perMs: 10_000 });
    assert.equal(web.hstsMs, 365 * 86_400_000);
    assert.equal(web.idleTimeoutMs, 60_000);
    assert.equal(web.clientsCa?.path, join(folder, 'clients.pem'));
    const edits = { set: [{ name: 'x-edge', value: 'web' }], remove: ['server'] };
    assert.deepEqual(plain([web.requestHeaders, web.responseHeaders]), [edits, edits]);
  });

  it('becomes routes in the order of the file, with all that was left out', () => {
    const [web] = load(SAMPLE).l7.frontends;
    const route = { headers: [], cookies: [], path: '/' };
    assert.deepEqual(plain(web.routes), [
      { ...route, host: 'api.example.com', path: '/v1/', to: 'api' },
      { ...route, host: '*.example.com', headers: [{ name: 'x-beta', value: '1' }], to: 'beta' },
      {
        ...route,
        host: 'old.example.com',
        redirect: { url: 'https://shop.example.com', isPrefix: true, status: 308 },
      },
      { ...route, to: 'shop' },
    ]);
  });

  it('becomes upstreams with their files read', () => {
    const [shop, api] = load(SAMPLE).l7.upstreams;
    const { servers, tls, health, hashOn, ...values } = shop;
    assert.deepEqual(plain(values), {
      name: 'shop',
      balance: 'least_connections',
      stickyCookie: 'SRV',
      protocol: 'http1',
      passiveErrors: 10,
      panicThreshold: 0.5,
      retries: 2,
      maxConnections: 200,
      timeoutMs: 60_000,
      tunnelTimeoutMs: 3_600_000,
      slowStartMs: 10_000,
    });
    assert.deepEqual(hashOn, { header: 'x-user' });
    assert.deepEqual(plain(health), {
      kind: 'http',
      path: '/healthz',
      status: { first: 200, last: 399 },
      intervalMs: 2000,
      timeoutMs: 1000,
      rise: 2,
      fall: 3,
    });
    assert.equal(tls?.serverName, 'shop.internal');
    assert.match(Buffer.from(tls!.certificate!.pem.reveal()).toString(), /PRIVATE KEY/);
    assert.deepEqual(
      servers.map(({ name, address, port, weight, state }) => [name, address.text, port, weight, state]),
      [['shop-1', '10.2.0.11', 8080, 2, 'draining']],
    );
    assert.equal(api.health?.kind, 'tcp', 'a check opens a connection when nothing else is asked for');
    assert.equal(api.stickyCookie, undefined);
    assert.equal(api.tls, undefined);
  });

  it('has the settings of the process, with defaults', () => {
    const { frontends, upstreams, key, ...values } = load(SAMPLE).l7;
    assert.equal(Buffer.from(key!.reveal()).toString('hex'), SUBKEY);
    assert.deepEqual(plain(values), {
      user: 'haproxy',
      runDirectory: '/run/anyhop/l7',
      healthPort: 9612,
      drainDeadlineMs: 300_000,
      accessLog: 'stdout',
    });
  });

  it('is read by every role, and only its own needs it', () => {
    for (const role of ['pools', 'agent'] as const) {
      assert.equal(parse(SAMPLE, role).l7?.frontends[0].name, 'web');
      assert.equal(parse(SAMPLE.replace(/l7:[\s\S]*/, ''), role).l7, undefined);
    }
    const { text, places } = unmark(`^${SAMPLE.replace(/l7:[\s\S]*/, '')}`);
    const [problem, ...others] = problemsOf(text, 'l7');
    assert.deepEqual(others, []);
    assert.equal(`${problem.line}:${problem.column}`, places[0]);
    assert.equal(problem.message, 'missing; expected a mapping {frontends: ..., upstreams: ...}');
  });

  it('is read from the full example', () => {
    const text = readFileSync(new URL('../../../test/config/full-l7.yaml', import.meta.url), 'utf8')
      .replaceAll('full-certificates/edge.pem', 'own.pem')
      .replaceAll('full-certificates', 'certs')
      .replaceAll('full-ca.pem', 'clients.pem')
      .replaceAll('full-l7.key', 'l7.key');
    const { l7, warnings } = load(text);
    assert.deepEqual(warnings, []);
    const [{ requestHeaders, responseHeaders, routes }] = l7.frontends;
    assert.deepEqual(plain(requestHeaders.remove), ['x-powered-by', 'x-debug']);
    assert.deepEqual(
      responseHeaders.set.map(({ name }) => name),
      ['x-edge', 'x-served-by'],
    );
    assert.deepEqual(
      routes.map(({ to, redirect }) => to ?? redirect?.status),
      ['api', 'beta', 301, 'shop'],
    );
    assert.equal(l7.acmeThumbprint, 'cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s');
    assert.deepEqual(l7.upstreams[0].hashOn, { header: 'x-user' });
    assert.equal(l7.upstreams[0].health?.port, 8081);
  });

  it('is frozen', () => {
    const { l7 } = load(SAMPLE);
    for (const part of [l7, l7.frontends, l7.frontends[0].routes[0], l7.upstreams[0].servers])
      assert.ok(Object.isFrozen(part));
  });

  it('accepts what stands in headers, cookies, paths and URLs elsewhere', () => {
    const value = `"\${HOME} %[src] %ci # \\\\ ' quoted"`;
    const { l7 } = parseL7({
      frontend: `services: [plain]\nheaders: {response: {set: {x-a: '${value.replaceAll("'", "''")}'}}}`,
      routes: [
        '{host: 10.2.0.1, path: "/a%20b/~c;d=e,f:g@h!$&*+.-_", to: shop}',
        '{host: _x.xn--bcher-kva.example, cookie: {group: "a=b#c"}, to: shop}',
        '{redirect: "http://a.example.com:8081/x%2F", status: 302}',
      ],
    });
    const [{ responseHeaders, routes }] = l7.frontends;
    assert.deepEqual(plain(responseHeaders.set), [{ name: 'x-a', value }]);
    assert.equal(routes[0].path, '/a%20b/~c;d=e,f:g@h!$&*+.-_');
    assert.deepEqual(plain(routes[1].cookies), [{ name: 'group', value: 'a=b#c' }]);
    assert.deepEqual(plain(routes[2].redirect), {
      url: 'http://a.example.com:8081/x%2F',
      isPrefix: false,
      status: 302,
    });
  });

  it('keeps names of headers in lower case, and those of cookies as they are', () => {
    const { l7 } = parseL7({
      frontend: 'services: [plain]\nheaders: {request: {set: {X-Edge: A}, remove: [X-Old]}}',
      routes: ['{header: {X-Beta: On}, cookie: {Group: B}, to: shop}', '{to: shop}'],
    });
    const [{ requestHeaders, routes }] = l7.frontends;
    assert.deepEqual(plain(requestHeaders), { set: [{ name: 'x-edge', value: 'A' }], remove: ['x-old'] });
    assert.deepEqual(plain(routes[0].headers), [{ name: 'x-beta', value: 'On' }]);
    assert.deepEqual(plain(routes[0].cookies), [{ name: 'Group', value: 'B' }]);
  });

  it('hashes by a header, a cookie, the path or the source', () => {
    for (const [text, expected] of [
      ['{header: x-user}', { header: 'x-user' }],
      ['{cookie: user}', { cookie: 'user' }],
      ['path', 'path'],
      ['source', 'source'],
    ] as const) {
      const { l7 } = parseL7({ upstream: `balance: hash\nhash_on: ${text}` });
      assert.deepEqual(plain(l7.upstreams[0].hashOn), expected);
    }
  });

  it('checks nothing where it is told so', () => {
    assert.equal(parseL7({ upstream: 'health: {kind: none}' }).l7.upstreams[0].health, undefined);
  });
});
