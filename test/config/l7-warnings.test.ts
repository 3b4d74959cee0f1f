/** Likely mistakes in the section `l7`: each warning at its place, marked by `^`, and none for what is meant. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parse, unmark } from './fixture.js';
import { type L7Parts, l7Text, SUBKEY, warningsOf } from './l7-fixture.js';

type Case = readonly [title: string, parts: L7Parts, field: string, message: RegExp];

const SHOP = '{name: a, address: 10.2.0.11, port: 8080}';
const TLS = 'services: [https]\ncertificates: /nowhere\nredirect_from: [http]';
const WEB = 'l7.frontends.web';
const UP = 'l7.upstreams.shop';

const POOL = `  proxies:
    health: {kind: http, port: 9612, path: /anyhop-l7}
    backends: [{name: proxy-1, address: 10.1.0.11}, {name: proxy-2, address: 10.1.0.12}]
`;
const SERVICES =
  '  - {name: plain, vip: 203.0.113.10, protocol: tcp, port: 8080, pool: proxies, second_chance: on}\n';

/** The parts before `l7`. */
const head = (pools: string, services: string): L7Parts => ({
  head: `node: {interface: eth0, source: 10.0.0.1, key: ${'5e'.repeat(16)}}
agent: {forwarders: [10.0.0.1]}
pools:\n${pools}services:\n${services}`,
});

const CASES: readonly Case[] = [
  [
    'services without second chance',
    {
      ...head(POOL, '  - {name: plain, vip: 203.0.113.10, protocol: tcp, port: 8080, pool: proxies}\n'),
      frontend: 'services: ^[plain]',
    },
    `${WEB}.services`,
    /^second_chance is off for "plain": the drain of a proxy host breaks its connections; set it on$/,
  ],
  [
    'proxy hosts that no check asks whether they can serve',
    head(
      '  proxies:\n    ^health: {kind: tunnel}\n    backends: [{name: proxy-1, address: 10.1.0.11}]\n',
      SERVICES,
    ),
    'pools.proxies.health',
    /^the backends are proxy hosts, and no check asks whether HAProxy can serve; add \{kind: http, port: 9612, path: \/anyhop-l7\}$/,
  ],
  [
    'proxy hosts without a check',
    head('  ^proxies:\n    backends: [{name: proxy-1, address: 10.1.0.11}]\n', SERVICES),
    'pools.proxies',
    /no check asks whether HAProxy can serve/,
  ],
  [
    'a proxy host without an agent',
    head(POOL.replace('10.1.0.12}', '10.1.0.12, agent: ^false}'), SERVICES),
    'pools.proxies.backends[1].agent',
    /^found false for a proxy host: without an agent, forwarders do not hear of its drain, which breaks its connections$/,
  ],
  [
    'failing servers that may all be taken out',
    {
      upstream: '^passive: {errors: 10}',
      servers: ['{name: a, address: 10.2.0.11, port: 80}', '{name: b, address: 10.2.0.12, port: 80}'],
    },
    'l7.upstreams.shop.passive',
    /^found without panic_threshold: when something that all servers need is broken, all are taken out/,
  ],
  [
    'a drain that may end before forwarders follow',
    { fields: `key: ${SUBKEY}\ndrain_deadline: ^2m` },
    'l7.drain_deadline',
    /^found 2m, and settle_time of pool "proxies" is 5m: when proxy hosts are drained one after the other,/,
  ],
  [
    'a pool that lacks a proxy host of the other one',
    {
      ...head(
        `${POOL}  others:
    health: {kind: http, port: 9612, path: /anyhop-l7}
    backends: [{name: proxy-1, address: "fd00::1:11"}]
`,
        `${SERVICES}  - {name: plain6, vip: "2001:db8::10", protocol: tcp, port: 8080, pool: others, second_chance: on}\n`,
      ),
      frontend: 'services: [plain, ^plain6]',
    },
    `${WEB}.services[1]`,
    /^pool "others" of this service lacks "proxy-2" of pool "proxies", which serves the same frontend: that proxy host gets no connections of this service$/,
  ],
  [
    'a redirect to a VIP where nothing speaks TLS',
    {
      ...head(
        POOL,
        `  - {name: https, vip: 203.0.113.10, protocol: tcp, port: 443, pool: proxies, second_chance: on}
  - {name: http, vip: 203.0.113.11, protocol: tcp, port: 80, pool: proxies}\n`,
      ),
      frontend: TLS.replace('[http]', '[^http]'),
    },
    `${WEB}.redirect_from[0]`,
    /^clients are sent to https on 203\.0\.113\.11, and no frontend with certificates has a service there$/,
  ],
  [
    'plain HTTP where TLS is expected',
    { frontend: 'services: [https, ^http]\ncertificates: /nowhere' },
    `${WEB}.services[1]`,
    /^clients speak plain HTTP on port 80, and this frontend expects TLS; did you mean redirect_from\?$/,
  ],
  [
    'TLS where plain HTTP is expected',
    { frontend: 'services: [^https]' },
    `${WEB}.services[0]`,
    /^clients speak TLS on port 443, and this frontend has no certificates$/,
  ],
  [
    'a redirect from the port of TLS',
    { frontend: 'services: [plain]\ncertificates: /nowhere\nredirect_from: [^https]' },
    `${WEB}.redirect_from[0]`,
    /^clients speak TLS on port 443, and redirect_from expects plain HTTP$/,
  ],
  [
    'challenges that no frontend hears',
    { fields: '^acme: {thumbprint: cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s}' },
    'l7.acme',
    /^challenges come by plain HTTP on port 80, and no frontend takes it: name such a service in redirect_from$/,
  ],
  [
    'a path with a wildcard',
    { routes: ['{path: ^/static/*, to: shop}', '{to: shop}'] },
    `${WEB}.routes[0].path`,
    /^"\*" stands for itself in a path; a path takes everything below it without one$/,
  ],
  [
    'a condition on a header that requests do not have',
    { routes: ['{header: {^X-Forwarded-Proto: https}, to: shop}', '{to: shop}'] },
    `${WEB}.routes[0].header.X-Forwarded-Proto`,
    /^the proxy hosts remove "X-Forwarded-Proto" from requests before routes are compared: no request takes this one$/,
  ],
  [
    'an upstream without a route',
    { upstreams: `    shop: {servers: [${SHOP}]}\n    ^beta: {servers: [${SHOP}]}\n` },
    'l7.upstreams.beta',
    /^no route leads to this upstream$/,
  ],
  [
    'what is hashed without a hash',
    { upstream: '^hash_on: path' },
    `${UP}.hash_on`,
    /^not used with balance: least_connections; only balance: hash needs it$/,
  ],
  [
    'servers of which none is active',
    {
      upstreams: `    shop:
      ^servers:
        - {name: a, address: 10.2.0.11, port: 8080, state: draining}
        - {name: b, address: 10.2.0.12, port: 8080, weight: 0}
`,
    },
    `${UP}.servers`,
    /^no server is active with a weight above 0: new clients get 503$/,
  ],
  [
    'plain HTTP to the port of TLS',
    { servers: ['{name: a, address: 10.2.0.11, port: ^443}'] },
    `${UP}.servers[0].port`,
    /^servers speak TLS on port 443, and this upstream has no tls: it is asked in plain HTTP$/,
  ],
  [
    'one cookie of two upstreams for one host',
    {
      routes: ['{path: /api, to: api}', '{to: shop}'],
      upstreams: `    api: {sticky: {cookie: SRV}, servers: [{name: a, address: 10.2.0.12, port: 80}]}
    shop: {sticky: {cookie: ^SRV}, servers: [${SHOP}]}\n`,
    },
    `${UP}.sticky.cookie`,
    /^upstream "api" \(line 22\) sets "SRV" for the same host: a client that uses both loses its server at each change; expected another name$/,
  ],
];

describe('warnings about l7', () => {
  for (const [title, parts, field, message] of CASES) {
    it(`point at ${title}`, () => {
      const { text, places } = unmark(l7Text({ fields: '', ...parts }));
      const warnings = warningsOf(parse(text, 'agent'));
      assert.equal(warnings.length, 1, warnings.join('\n'));
      const [place, where, ...words] = warnings[0].split(' ');
      assert.equal(`${place} ${where}`, `${places[0] ?? place} ${field}:`);
      assert.match(words.join(' '), message);
    });
  }

  const GOOD: Readonly<Record<string, L7Parts>> = {
    'the parts of these tests': {},
    'TLS with a redirect from plain HTTP': { frontend: TLS },
    'challenges on port 80': {
      frontend: TLS,
      fields: 'acme: {thumbprint: cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s}',
    },
    'two pools with the same hosts by name': {
      ...head(
        `${POOL}  others:
    health: {kind: http, port: 9612, path: /anyhop-l7}
    backends: [{name: proxy-1, address: "fd00::1:11"}, {name: proxy-2, address: "fd00::1:12"}]
`,
        `${SERVICES}  - {name: plain6, vip: "2001:db8::10", protocol: tcp, port: 8080, pool: others, second_chance: on}\n`,
      ),
      frontend: 'services: [plain, plain6]',
    },
    'checks that are turned off': head(POOL.replace('kind: http', 'kind: none'), SERVICES),
    'one cookie of two upstreams with the same servers': {
      routes: ['{path: /api, to: api}', '{to: shop}'],
      upstreams: `    api: {timeout: 5m, sticky: {cookie: SRV}, servers: [${SHOP}]}
    shop: {sticky: {cookie: SRV}, servers: [${SHOP}]}\n`,
    },
    'one cookie of two upstreams for two hosts': {
      routes: ['{host: api.example.com, to: api}', '{to: shop}'],
      upstreams: `    api: {sticky: {cookie: SRV}, servers: [{name: a, address: 10.2.0.12, port: 80}]}
    shop: {sticky: {cookie: SRV}, servers: [${SHOP}]}\n`,
    },
    'routes with conditions before one without': {
      routes: [
        '{header: {x-beta: "1"}, to: shop}',
        '{header: {x-beta: "2"}, to: shop}',
        '{cookie: {group: b}, to: shop}',
        '{header: {x-beta: "1"}, path: /v1, to: shop}',
        '{to: shop}',
      ],
    },
    'redirects that end': {
      frontend: TLS,
      routes: [
        '{host: old.example.com, redirect: "https://shop.example.com"}',
        '{host: shop.example.com, path: /old, redirect: "https://shop.example.com/new"}',
        '{host: shop.example.com, to: shop}',
        '{host: b.example.com, redirect: "https://b.example.com:8443"}',
        '{host: c.example.com, redirect: "http://c.example.com"}',
        '{to: shop}',
      ],
    },
  };
  for (const [title, parts] of Object.entries(GOOD)) {
    it(`say nothing about ${title}`, () => {
      assert.deepEqual(warningsOf(parse(l7Text({ fields: '', ...parts }), 'agent')), []);
    });
  }
});
