/** How a rendered HAProxy reaches servers: which one a request gets, which one it gets next, and who proves what to whom. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { connect, createServer as createHttp2Server, createSecureServer } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { dirname, join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { createAuthority } from '../../scripts/lab/certificates.js';
import { curl, headerOf } from '../../scripts/lab/l7/curl.js';
import { temporaryRun, withoutHaproxy } from './haproxy-fixture.js';
import { loadL7, SERVER_NET } from './render-fixture.js';
import {
  exchange,
  type Handler,
  listening,
  type ProxyOptions,
  startProxy,
  startServer,
  type TestProxy,
  type TestServer,
  until,
} from './render-live.js';

/** RFC 6455, section 1.3. */
const WEBSOCKET_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** A server that says nothing for a while is busy, and not down. */
const CHECK = { kind: 'http', path: '/health', interval: '1s', timeout: '1s', rise: 1, fall: 1 };

/** `NAME-1`, `NAME-2`... at the first addresses. */
function servers(name: string, count: number, more: Readonly<Record<number, object>> = {}): object[] {
  return Array.from({ length: count }, (_, i) => ({
    name: `${name}-${i + 1}`,
    address: `${SERVER_NET}.${i + 1}`,
    port: 8080,
    ...more[i],
  }));
}

/** The config of one frontend and one upstream, `shop`. */
function shop(upstream: object, frontend: object = {}): object {
  return {
    frontends: { web: { services: ['http', 'ports6'], routes: [{ to: 'shop' }], ...frontend } },
    upstreams: { shop: { health: { kind: 'none' }, ...upstream } },
  };
}

describe('a rendered HAProxy and its servers', { skip: withoutHaproxy }, () => {
  let place: ReturnType<typeof temporaryRun>;
  let directory: string;
  const open: { stop?: () => Promise<void>; close?: () => Promise<void> }[] = [];
  before(async () => {
    place = temporaryRun();
    directory = dirname(place.run);
    const authority = await createAuthority(directory);
    mkdirSync(join(directory, 'certs'));
    await authority.serverCertificate(join(directory, 'certs', 'web.pem'), ['shop.example.com']);
    await authority.serverCertificate(join(directory, 'server.pem'), ['shop.internal']);
    await authority.clientCertificate(join(directory, 'proxy.pem'), 'proxy');
  });
  after(() => place.remove());
  afterEach(async () => {
    for (const one of open.splice(0)) await (one.stop ?? one.close)!();
  });

  const serve = async (handler: Handler): Promise<TestServer> => {
    const server = await startServer(handler);
    open.unshift(server);
    return server;
  };
  const proxyOf = async (config: object, options: ProxyOptions): Promise<TestProxy> => {
    const proxy = await startProxy(loadL7(config, directory), options);
    open.unshift(proxy);
    return proxy;
  };
  const ask = (proxy: TestProxy, options: object = {}) =>
    curl({ url: `http://shop.example.com:${proxy.port(80)}/`, address: proxy.address, ...options });
  const named =
    (name: string): Handler =>
    (_, response) =>
      response.end(name);

  it('asks another server after a 500 and a broken answer, unless the method may have had an effect', async () => {
    const bad = await serve((request, response) => {
      if (request.headers['x-break'] !== undefined) request.socket.destroy();
      else response.writeHead(500).end('bad');
    });
    const good = await serve(named('good'));
    for (const balance of ['round_robin', 'least_connections', 'power_of_two']) {
      const proxy = await proxyOf(shop({ balance, servers: servers('shop', 2) }), { servers: [bad, good] });
      for (let i = 0; i < 6; i++) assert.equal((await ask(proxy)).body, 'good', balance);
      for (let i = 0; i < 2; i++) assert.equal((await ask(proxy, { headers: ['x-break: 1'] })).body, 'good');
      const posts = await Promise.all(
        [0, 1, 2, 3, 4, 5].map(() => ask(proxy, { method: 'POST', body: 'x' })),
      );
      assert.ok(
        posts.some(({ status, body }) => status === 500 && body === 'bad'),
        balance,
      );
    }
    const never = await proxyOf(shop({ balance: 'round_robin', retries: 0, servers: servers('shop', 2) }), {
      servers: [bad, good],
    });
    const statuses = [(await ask(never)).status, (await ask(never)).status];
    assert.deepEqual(statuses.sort(), [200, 500]);
  });

  it('does not ask another server when one is silent for too long', async () => {
    const silent = await Promise.all([0, 1].map(() => serve(() => {})));
    const proxy = await proxyOf(shop({ timeout: '300ms', servers: servers('shop', 2) }), { servers: silent });
    assert.equal((await ask(proxy)).status, 504);
    assert.equal(silent[0]!.requests.length + silent[1]!.requests.length, 1);
  });

  it('keeps a client on its server by a cookie that means the same at every proxy host, and tells nothing', async () => {
    const all = [await serve(named('1')), await serve(named('2')), await serve(named('3'))];
    const config = shop({ balance: 'round_robin', sticky: { cookie: 'SRV' }, servers: servers('shop', 3) });
    const first = await proxyOf(config, { servers: all });
    const second = await proxyOf(config, { servers: all });
    const seen = new Map<string, string>();
    for (let i = 0; i < 3; i++) {
      const answer = await ask(first);
      const cookie = headerOf(answer, 'set-cookie')!;
      assert.match(cookie, /^SRV=[0-9a-f]{16}; path=\/; HttpOnly; SameSite=Lax$/);
      seen.set(cookie.split(';')[0]!, answer.body);
    }
    assert.equal(seen.size, 3);
    for (const [cookie, body] of seen)
      for (const proxy of [first, second, second]) {
        const answer = await ask(proxy, { headers: [`Cookie: ${cookie}`] });
        assert.equal(answer.body, body);
        assert.equal(headerOf(answer, 'set-cookie'), undefined);
      }
    assert.equal(all[0]!.asked().at(-1)!.headers.cookie, undefined, 'servers do not get the cookie');
  });

  it('sends the cookie over TLS only, where no plain frontend leads to the upstream', async () => {
    const server = await serve(named('1'));
    const tls = { services: ['https'], certificates: 'certs', routes: [{ to: 'shop' }] };
    const upstream = { sticky: { cookie: 'SRV' }, servers: servers('shop', 1) };
    for (const [plain, isSecure] of [
      [{}, true],
      [{ plain: { services: ['http'], routes: [{ to: 'shop' }] } }, false],
    ] as const) {
      const config = {
        frontends: { web: tls, ...plain },
        upstreams: { shop: { ...upstream, health: { kind: 'none' } } },
      };
      const proxy = await proxyOf(config, { servers: [server] });
      const answer = await curl({
        url: `https://shop.example.com:${proxy.port(443)}/`,
        address: proxy.address,
        ca: join(directory, 'ca.pem'),
      });
      assert.equal(/; Secure/.test(headerOf(answer, 'set-cookie')!), isSecure);
    }
  });

  it('gives a draining server the clients that it has, and no other', async () => {
    const all = [await serve(named('1')), await serve(named('2'))];
    const sticky = { balance: 'round_robin', sticky: { cookie: 'SRV' } };
    const before_ = await proxyOf(shop({ ...sticky, servers: servers('shop', 2) }), { servers: all });
    const cookies = new Map<string, string>();
    while (cookies.size < 2) {
      const answer = await ask(before_);
      cookies.set(answer.body, headerOf(answer, 'set-cookie')!.split(';')[0]!);
    }
    const draining = servers('shop', 2, { 0: { state: 'draining' } });
    const proxy = await proxyOf(shop({ ...sticky, servers: draining }), { servers: all });
    for (let i = 0; i < 4; i++) assert.equal((await ask(proxy)).body, '2');
    for (const [body, cookie] of cookies)
      assert.equal((await ask(proxy, { headers: [`Cookie: ${cookie}`] })).body, body);
  });

  it('sends one value of a header to one server, and spreads requests without it', async () => {
    const all = await Promise.all(['1', '2', '3'].map((name) => serve(named(name))));
    const config = shop({ balance: 'hash', hash_on: { header: 'x-user' }, servers: servers('shop', 3) });
    const [first, second] = await Promise.all([0, 1].map(() => proxyOf(config, { servers: all })));
    const places = new Map<number, string>();
    for (let user = 0; user < 8; user++) {
      const bodies = new Set<string>();
      for (const proxy of [first!, first!, second!])
        bodies.add((await ask(proxy, { headers: [`x-user: ${user}`] })).body);
      assert.equal(bodies.size, 1, `user ${user}`);
      places.set(user, [...bodies][0]!);
    }
    assert.ok(new Set(places.values()).size > 1);
    const another = await serve(named('another'));
    const more = shop({
      balance: 'hash',
      hash_on: { header: 'x-user' },
      servers: [{ ...servers('shop', 4)[3], name: 'a-new-one' }, ...servers('shop', 3).reverse()],
    });
    const third = await proxyOf(more, { servers: [...all, another] });
    for (const [user, body] of places) {
      const now = (await ask(third, { headers: [`x-user: ${user}`] })).body;
      assert.ok(now === body || now === 'another', `user ${user} went from ${body} to ${now}`);
    }
    const without = await Promise.all([0, 1, 2].map(() => ask(first!)));
    assert.ok(new Set(without.map(({ body }) => body)).size > 1);
  });

  it('checks servers by their own address, takes out those that fail, and puts all back when too few are left', async () => {
    let failing = 0;
    const all = await Promise.all(
      [1, 2, 3].map((number) =>
        serve((request, response) => {
          if (request.url === '/health') response.writeHead(number <= failing ? 503 : 200).end();
          else response.end(`${number}`);
        }),
      ),
    );
    const config = shop({
      balance: 'round_robin',
      panic_threshold: '50%',
      slow_start: '0s',
      health: CHECK,
      servers: servers('shop', 3),
    });
    const proxy = await proxyOf(config, { servers: all });
    const places = async (): Promise<string> => {
      const answers = await Promise.all([1, 2, 3, 4, 5, 6].map(() => ask(proxy)));
      return [...new Set(answers.map(({ body }) => body))].sort().join('');
    };
    await until('checks reach all servers', () => all.every(({ requests }) => requests.length > 0));
    for (const { requests, address, port } of all)
      assert.equal(requests.find(({ url }) => url === '/health')!.headers.host, `${address}:${port}`);
    assert.equal(await places(), '123');
    failing = 1;
    await until('the first is taken out', async () => (await places()) === '23');
    failing = 2;
    await until('all are back', async () => (await places()) === '123');
    assert.ok(proxy.log.some((line) => line.includes('"backend":"p_shop"')));
    failing = 0;
    let seen = '';
    const decide = async (): Promise<boolean> => {
      const from = proxy.log.length;
      const found = await places();
      const lines = proxy.log.slice(from);
      seen = [found, ...lines].join('\n');
      return found === '123' && lines.every((line) => line.includes('"u_shop"'));
    };
    await until('the checked ones decide again', decide, () => seen);
  });

  it('speaks HTTP/2 to servers, without TLS and with it, and in checks', async () => {
    const options = {
      key: readFileSync(join(directory, 'server.pem')),
      cert: readFileSync(join(directory, 'server.pem')),
    };
    for (const tls of [undefined, { server_name: 'shop.internal', ca_file: 'ca.pem' }]) {
      const node =
        tls === undefined ? createHttp2Server() : createSecureServer({ ...options, allowHTTP1: false });
      node.on('request', (request, response) =>
        response.end(`${request.httpVersion} ${request.headers.host}`),
      );
      const server = await listening(node);
      open.unshift(server);
      const proxy = await proxyOf(
        shop({ protocol: 'http2', health: CHECK, servers: servers('shop', 1), ...(tls && { tls }) }),
        { servers: [server] },
      );
      await until('a check', () => server.requests.length > 0);
      for (let i = 0; i < 3; i++)
        assert.equal((await ask(proxy)).body, `2.0 shop.example.com:${proxy.port(80)}`, tls && 'TLS');
      assert.equal(proxy.messages.filter((line) => line.includes('DOWN')).join(''), '');
    }
  });

  it('verifies the name of a server and shows it a certificate', async () => {
    const pem = readFileSync(join(directory, 'server.pem'));
    const node = createHttpsServer(
      {
        key: pem,
        cert: pem,
        ca: readFileSync(join(directory, 'ca.pem')),
        requestCert: true,
        rejectUnauthorized: true,
      },
      named('hello'),
    );
    const server = await listening(node);
    open.unshift(server);
    const tls = { server_name: 'shop.internal', ca_file: 'ca.pem', certificate: 'proxy.pem' };
    const statusOf = async (more: object): Promise<number> => {
      const config = shop({ retries: 0, tls: { ...tls, ...more }, servers: servers('shop', 1) });
      return (await ask(await proxyOf(config, { servers: [server] }))).status;
    };
    assert.equal(await statusOf({}), 200);
    assert.equal(await statusOf({ server_name: 'other.internal' }), 503);
    const { ca_file: _, ...systemAuthorities } = tls;
    const config = shop({ retries: 0, tls: systemAuthorities, servers: servers('shop', 1) });
    assert.equal((await ask(await proxyOf(config, { servers: [server] }))).status, 503);
    const { certificate: __, ...anonymous } = tls;
    const without = shop({ retries: 0, tls: anonymous, servers: servers('shop', 1) });
    assert.notEqual((await ask(await proxyOf(without, { servers: [server] }))).status, 200);
    const checked = shop({ health: CHECK, tls, servers: servers('shop', 1) });
    const proxy = await proxyOf(checked, { servers: [server] });
    await until('a check over TLS', () =>
      server.requests.some(({ headers }) => headers.host === 'shop.internal'),
    );
    assert.equal((await ask(proxy)).status, 200);
  });

  it('lets a client do what its rate allows, and not its neighbour less', async () => {
    const server = await serve(named('hello'));
    const config = shop(
      { servers: servers('shop', 1) },
      { client_rate: { requests: 5, per: '10s' }, headers: { response: { set: { 'x-edge': '1' } } } },
    );
    const proxy = await proxyOf(config, { servers: [server] });
    const statuses = async (source: string): Promise<number[]> => {
      const found: number[] = [];
      for (let i = 0; i < 7; i++) found.push((await ask(proxy, { options: ['--interface', source] })).status);
      return found;
    };
    for (const source of ['127.0.0.7', '127.0.0.8'])
      assert.deepEqual(await statuses(source), [200, 200, 200, 200, 200, 429, 429], source);
    const refused = await ask(proxy, { options: ['--interface', '127.0.0.7'] });
    assert.equal(headerOf(refused, 'retry-after'), '10');
    assert.equal(headerOf(refused, 'x-edge'), '1');
  });

  it('counts an IPv6 client by its /64, and an IPv4 client alone', async () => {
    const server = await serve(named('hello'));
    const limited = shop({ servers: servers('shop', 1) }, { client_rate: { requests: 2, per: '60s' } });
    const proxy = await proxyOf(limited, {
      servers: [server],
      changed: (lines) =>
        lines.flatMap((one) => {
          const source = { at: [], text: '  http-request set-src req.hdr(x-test-source)' };
          return one.text.includes(' track-sc0 ') ? [source, one] : [one];
        }),
    });
    const found: number[] = [];
    for (const source of [
      ...['2001:db8:0:1::1', '2001:db8:0:1::2', '2001:db8:0:1:ffff::3', '2001:db8:0:2::1'],
      ...['192.0.2.1', '192.0.2.2', '192.0.2.1', '192.0.2.1'],
    ])
      found.push((await ask(proxy, { headers: [`x-test-source: ${source}`] })).status);
    assert.deepEqual(found, [200, 200, 429, 200, 200, 200, 200, 429]);
  });

  it('carries a WebSocket, and no other upgrade', async () => {
    const server = await serve((request, response) => response.end(request.headers.upgrade ?? 'none'));
    const accept = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='; // RFC 6455, section 1.3
    server.node.on('upgrade', (_, socket) => {
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
      );
      socket.on('error', () => {}).pipe(socket);
    });
    const proxy = await proxyOf(shop({ servers: servers('shop', 1) }), { servers: [server] });
    const upgrade = (protocol: string): string =>
      `GET / HTTP/1.1\r\nHost: shop.example.com\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n`;
    const websocket = await exchange(proxy.address, proxy.port(80), `${upgrade('websocket')}ping`);
    assert.match(websocket, /^HTTP\/1\.1 101 [\s\S]*\r\n\r\nping$/);
    for (const protocol of ['h2c', 'websocket, h2c', 'TLS/1.0', 'x'])
      assert.match(
        await exchange(proxy.address, proxy.port(80), upgrade(protocol), 300),
        /^HTTP\/1\.1 200 [\s\S]*none$/,
        protocol,
      );
    let asked: readonly string[] = [];
    server.node.prependListener('upgrade', ({ rawHeaders }) => {
      asked = rawHeaders.filter(
        (_: string, i: number) => i % 2 === 1 && /^upgrade$/i.test(rawHeaders[i - 1] ?? ''),
      );
    });
    await exchange(proxy.address, proxy.port(80), upgrade('h2c\r\nUpgrade: websocket'), 300);
    assert.deepEqual(asked, ['websocket']);
  });

  it('carries a WebSocket of an HTTP/2 client too, and no tunnel', async () => {
    const server = await serve(named('hello'));
    server.node.on('upgrade', (request, socket) => {
      const key = createHash('sha1')
        .update(`${request.headers['sec-websocket-key']}${WEBSOCKET_GUID}`)
        .digest('base64');
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${key}\r\n\r\n`,
      );
      socket.on('error', () => {}).pipe(socket);
    });
    const proxy = await proxyOf(shop({ servers: servers('shop', 1) }), { servers: [server] });
    const client = connect(`http://${proxy.address}:${proxy.port(80)}`);
    open.unshift({ close: async () => client.destroy() });
    await once(client, 'remoteSettings');
    const asked = { ':method': 'CONNECT', ':authority': 'shop.example.com' };
    const websocket = client.request(
      { ...asked, ':protocol': 'websocket', ':scheme': 'http', ':path': '/', 'sec-websocket-version': '13' },
      { endStream: false },
    );
    const [headers] = await once(websocket, 'response');
    assert.equal(headers[':status'], 200);
    websocket.write('ping');
    assert.equal(String((await once(websocket, 'data'))[0]), 'ping');
    const tunnel = client.request({ ...asked, ':authority': 'shop.example.com:22' }, { endStream: false });
    assert.equal((await once(tunnel, 'response'))[0][':status'], 405);
  });
});
