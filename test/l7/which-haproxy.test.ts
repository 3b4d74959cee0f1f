/** What a real HAProxy does with a request, against what `which --url` says of the same request on a command line. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import type { L7Bind, L7Config } from '#anyhop/config/l7/types.js';
import { AnyhopError } from '#anyhop/core/errors.js';
import { compileRoutes } from '#anyhop/l7/routes/compile.js';
import { explainRoute, type RouteRequest } from '#anyhop/l7/routes/explain.js';
import { answerTo } from '#anyhop/l7/which/answer.js';
import { listenersFor } from '#anyhop/l7/which/listeners.js';
import { readRequest } from '#anyhop/l7/which/request.js';
import { createAuthority } from '../../scripts/lab/certificates.js';
import { curl, headerOf } from '../../scripts/lab/l7/curl.js';
import { temporaryRun, withoutHaproxy } from './haproxy-fixture.js';
import { loadL7, SERVER_NET, THUMBPRINT } from './render-fixture.js';
import { startProxy, startServer, type TestProxy, type TestServer } from './render-live.js';
import { requests, route, routes } from './routes-fixture.js';
import { ask, RoutingHaproxy, requestBytes } from './routes-haproxy.js';

const seed = Number(process.env['ANYHOP_SEED'] ?? Date.now() % 2 ** 31);

type Sent = RouteRequest & { readonly host: string; readonly path: string };

/** What a user writes to ask about a request. A host that no URL has comes as a header. */
function commandLine({ host, path, headers }: Sent): readonly [url: string, lines: readonly string[]] {
  const isPlain = /^[A-Za-z0-9._-]+(:[1-9][0-9]{0,3})?$/.test(host);
  const lines = headers.map(({ name, value }) => `${name}:${value}`);
  return isPlain
    ? [`http://${host}${path}`, lines]
    : [`HTTP://a.example${path}`, [...lines, `HOST: ${host}`]];
}

describe('which --url', { skip: withoutHaproxy }, () => {
  it('explains the route that HAProxy takes, for generated routes, URLs and headers', async () => {
    const [LISTS, PER_LIST] = [40, 150];
    const lists = fc.sample(routes, { numRuns: LISTS, seed }).map(compileRoutes);
    const wanted = fc
      .sample(requests, { numRuns: LISTS * PER_LIST, seed })
      .filter((one): one is Sent => one.host !== undefined && one.path !== undefined);
    const haproxy = new RoutingHaproxy(lists);
    const counts = { served: 0, redirected: 0, missing: 0, byHeader: 0 };
    try {
      await haproxy.ready();
      for (const [i, compiled] of lists.entries()) {
        const asked = wanted.filter((_, j) => j % LISTS === i);
        const answers = await ask(haproxy.address, haproxy.port(i), asked.map(requestBytes));
        for (const [j, { status, action }] of answers.entries()) {
          const [url, lines] = commandLine(asked[j]);
          const { route: index, action: said } = explainRoute(compiled, readRequest(url, lines).sent);
          const redirect = index === undefined ? undefined : compiled.routes[index].redirect;
          const shouldBe = index === undefined ? 404 : (redirect?.status ?? 200);
          const where = `ANYHOP_SEED=${seed} ${JSON.stringify({ url, lines, routes: compiled.routes })}`;
          assert.deepEqual([status, action], [shouldBe, shouldBe === 200 ? said : undefined], where);
          counts[status === 200 ? 'served' : status === 404 ? 'missing' : 'redirected']++;
          if (lines.some((line) => line.startsWith('HOST'))) counts.byHeader++;
        }
      }
    } finally {
      await haproxy.close();
    }
    for (const [what, count] of Object.entries(counts)) assert.ok(count > 50, `${what}: ${count}`);
  });

  it('refuses the requests that HAProxy answers 400 to, and no others', async () => {
    const compiled = compileRoutes([route()]);
    const hostile = fc.sample(hostileRequest, { numRuns: 3000, seed });
    const haproxy = new RoutingHaproxy([compiled]);
    const counts = { refused: 0, taken: 0 };
    try {
      await haproxy.ready();
      const bytes = hostile.map(({ path, lines }) =>
        Buffer.from(`GET ${path} HTTP/1.1\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`),
      );
      const answers = await ask(haproxy.address, haproxy.port(0), bytes);
      for (const [i, { path, lines }] of hostile.entries()) {
        const isRefused = isWrong(`http://a.example${path}`, lines);
        const where = `ANYHOP_SEED=${seed} ${JSON.stringify({ path, lines })}`;
        assert.equal(answers[i].status, isRefused ? 400 : 200, where);
        counts[isRefused ? 'refused' : 'taken']++;
      }
    } finally {
      await haproxy.close();
    }
    assert.ok(counts.refused > 300 && counts.taken > 300, JSON.stringify(counts));
  });
});

function isWrong(url: string, lines: readonly string[]): boolean {
  try {
    readRequest(url, lines);
    return false;
  } catch (error) {
    assert.ok(error instanceof AnyhopError && error.code === 'ERR_USAGE', String(error));
    return true;
  }
}

/** Every ASCII character but those that end a line, and some beyond. HAProxy lets DEL through in some places. */
const character = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...'abz09-_.~/%?&=:@+$!*\',;"<>()[]{}|\\^`') },
  {
    weight: 1,
    arbitrary: fc
      .integer({ min: 1, max: 126 })
      .map((code) => String.fromCharCode(code))
      .filter((char) => !'\r\n'.includes(char)),
  },
  { weight: 1, arbitrary: fc.constantFrom('é', 'ÿ', 'ж', '😀', '\u2028') },
);
const text = fc.array(character, { maxLength: 3 }).map((parts) => parts.join(''));
const tame = fc.constantFrom('', 'x', '/v1', '/a/../b', '/%61?q=%2F');
const upgrade = fc.subarray(
  ['Connection: keep-alive, Upgrade', 'Upgrade: WebSocket', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='],
  { minLength: 2 },
);

const hostileRequest = fc
  .record({
    // Spaces at the end of a target would only be more space before the version.
    path: fc.oneof(tame, text).map((part) => `/${part}/x`),
    hosts: fc.oneof(
      { weight: 8, arbitrary: fc.constant(['host: a.example']) },
      { weight: 1, arbitrary: fc.constantFrom(['host: a', 'Host: A'], ['host: a', 'host: b'], ['host:']) },
      { weight: 1, arbitrary: text.map((part) => [`host: a${part}`]) },
    ),
    others: fc.oneof(
      { weight: 4, arbitrary: fc.constant<string[]>([]) },
      { weight: 2, arbitrary: text.map((value) => [`x-a: ${value}`]) },
      { weight: 2, arbitrary: text.map((name) => [`x${name.replaceAll(':', '')}: 1`]) },
      { weight: 1, arbitrary: upgrade },
      {
        weight: 1,
        arbitrary: fc
          .integer({ min: 97, max: 101 })
          .map((count) => Array.from({ length: count }, (_, i) => `x-${i}: ${i}`)),
      },
    ),
  })
  .map(({ path, hosts, others }) => ({ path, lines: [...hosts, ...others] }));

describe('what is said of a frontend', { skip: withoutHaproxy }, () => {
  let place: ReturnType<typeof temporaryRun>;
  let servers: TestServer[];
  let config: L7Config;
  let proxy: TestProxy;
  before(async () => {
    place = temporaryRun();
    const directory = dirname(place.run);
    mkdirSync(join(directory, 'certs'));
    const authority = await createAuthority(directory);
    await authority.serverCertificate(join(directory, 'certs', 'a.pem'), ['shop.example.com']);
    servers = await Promise.all(
      ['shop', 'beta'].map((name) =>
        startServer((_, response) => {
          response.setHeader('x-upstream', name);
          response.end();
        }),
      ),
    );
    config = loadL7(CONFIG, directory);
    proxy = await startProxy(config, { servers });
  });
  after(async () => {
    await proxy?.stop();
    for (const server of servers) await server.close();
    place.remove();
  });

  const shifted = ({ portFirst, portLast }: L7Bind) => ({
    portFirst: proxy.port(portFirst),
    portLast: proxy.port(portLast),
  });

  /** What is said, and what happens. */
  async function both(port: number, path: string, lines: readonly string[]) {
    const asked = readRequest(`http://shop.example.com:${port}${path}`, lines);
    const [listener] = listenersFor(config, { ...asked, vip: undefined, family: 4 });
    // The proxy listens on other ports, which a redirect names.
    const binds = listener.frontend.binds.map((bind) => ({ ...bind, ...shifted(bind) }));
    const answer = answerTo({ ...listener, frontend: { ...listener.frontend, binds } }, config, asked);
    const headers = lines.some((line) => /^host:/i.test(line))
      ? lines
      : [...lines, `host: ${asked.sent.host}`];
    const got = await curl({
      url: `http://shop.example.com:${proxy.port(port)}/`,
      address: proxy.address,
      headers,
      options: ['--request-target', path],
    });
    const said = {
      status: 'status' in answer ? answer.status : 200,
      location: 'location' in answer ? answer.location : undefined,
      upstream: 'upstream' in answer ? answer.upstream : undefined,
      body: answer.from === 'acme' ? answer.body : undefined,
    };
    const happened = {
      status: got.status,
      location: headerOf(got, 'location'),
      upstream: headerOf(got, 'x-upstream'),
      body: said.body === undefined ? undefined : got.body,
    };
    return { from: answer.from, said, happened };
  }

  const CASES: readonly (readonly [
    what: string,
    port: number,
    path: string,
    lines: readonly string[],
    from: string,
    status: number,
  ])[] = [
    ['a redirect to https with path and query', 80, '/a/../b?x=%61', [], 'redirect_from', 308],
    ['a redirect to a host in lower case', 80, '/', ['host: SHOP.example.com.:80'], 'redirect_from', 308],
    ['no redirect to an address in brackets', 80, '/', ['host: [2001:db8::1]'], 'redirect_from', 400],
    ['no redirect without a host', 80, '/', ['host:'], 'redirect_from', 400],
    ['no redirect to a long host', 80, '/', [`host: ${'a'.repeat(254)}`], 'redirect_from', 400],
    [
      'a redirect to a host as long as names are',
      80,
      '/',
      [`host: ${'a'.repeat(253)}`],
      'redirect_from',
      308,
    ],
    ['a challenge before the redirect', 80, '/.well-known/acme-challenge/a-_Z9?x', [], 'acme', 200],
    ['a redirect of what is no challenge', 80, '/.well-known/acme-challenge/a.b', [], 'redirect_from', 308],
    ['a challenge before routes', 8000, '/.well-known/acme-challenge/abc', [], 'acme', 200],
    ['a route by a header', 8000, '/', ['X-Beta: 1'], 'routes', 200],
    ['no route by a header that clients cannot send', 8000, '/', ['x-real-ip: 1'], 'routes', 200],
    ['no route by a header that begins like one', 8000, '/', ['X-Forwarded-User: 1'], 'routes', 200],
    ['a redirect of a route', 8000, '/old/x?y', [], 'routes', 302],
    ['a redirect of a route to another URL', 8000, '/new/x?y', [], 'routes', 308],
    ['no route', 8001, '/', ['host: other.example.com'], 'routes', 404],
  ];

  for (const [what, port, path, lines, from, status] of CASES)
    it(`is what HAProxy does: ${what}`, async () => {
      const { from: saidFrom, said, happened } = await both(port, path, lines);
      assert.deepEqual(happened, said);
      assert.deepEqual([saidFrom, said.status], [from, status]);
    });
});

const CONFIG = {
  acme: { thumbprint: THUMBPRINT },
  frontends: {
    web: { services: ['https'], certificates: 'certs', redirect_from: ['http'], routes: [{ to: 'shop' }] },
    inner: {
      services: ['ports'],
      routes: [
        { host: 'shop.example.com', path: '/old', redirect: 'https://shop.example.com:8443', status: 302 },
        { host: 'shop.example.com', path: '/new', redirect: 'https://shop.example.com/z' },
        { host: 'shop.example.com', header: { 'x-beta': '1' }, to: 'beta' },
        { host: 'shop.example.com', header: { 'x-real-ip': '1' }, to: 'beta' },
        { host: 'shop.example.com', header: { 'x-forwarded-user': '1' }, to: 'beta' },
        { host: 'shop.example.com', to: 'shop' },
      ],
    },
  },
  upstreams: Object.fromEntries(
    ['shop', 'beta'].map((name, i) => [
      name,
      { health: { kind: 'none' }, servers: [{ name, address: `${SERVER_NET}.${i + 1}`, port: 8080 }] },
    ]),
  ),
};
