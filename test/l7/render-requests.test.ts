/** What a request meets on its way through a rendered HAProxy: what servers are told, what clients cannot say, and what is logged. */
import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { after, before, beforeEach, describe, it } from 'node:test';
import { curl, headerOf } from '../../scripts/lab/l7/curl.js';
import { withoutHaproxy } from './haproxy-fixture.js';
import { loadL7, SERVER_NET, THUMBPRINT } from './render-fixture.js';
import { exchange, startProxy, startServer, type TestProxy, type TestServer } from './render-live.js';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** What means something in HAProxy's configuration or in a log format. */
const VALUE = `a  "b" 'c' \\ $HOME $\{HOME} %[src] %% %{+Q}o # }`;

const CONFIG = {
  acme: { thumbprint: THUMBPRINT },
  frontends: {
    web: {
      services: ['http', 'http6'],
      routes: [
        { path: '/none', redirect: 'https://shop.example.com', status: 302 },
        { host: 'shop.example.com', to: 'shop' },
        { host: 'down.example.com', to: 'down' },
      ],
      headers: {
        set: { 'x-edge': VALUE, x_under: '1' },
        remove: ['x-secret'],
        request: { set: { 'x-in': 'in' } },
        response: { set: { 'x-out': 'out' } },
      },
    },
  },
  upstreams: {
    shop: {
      health: { kind: 'none' },
      servers: [{ name: 'shop-1', address: `${SERVER_NET}.1`, port: 8080 }],
    },
    down: {
      health: { kind: 'none' },
      retries: 0,
      servers: [{ name: 'down-1', address: `${SERVER_NET}.2`, port: 8080 }],
    },
  },
};

describe('a request through a rendered HAProxy', { skip: withoutHaproxy }, () => {
  let server: TestServer;
  let proxy: TestProxy;
  before(async () => {
    server = await startServer((_, response) => {
      response.setHeader('x-secret', 'from the server');
      response.end('hello');
    });
    const closed = await startServer(() => {});
    await closed.close();
    proxy = await startProxy(loadL7(CONFIG), { servers: [server, closed] });
  });
  after(async () => {
    await proxy?.stop();
    await server?.close();
  });

  let before_ = 0;
  beforeEach(() => {
    before_ = server.requests.length;
  });
  const last = (): IncomingMessage => {
    assert.equal(server.requests.length, before_ + 1, 'one request reached the server');
    return server.requests.at(-1)!;
  };
  const ask = (path: string, headers: readonly string[] = [], address = proxy.address) =>
    curl({ url: `http://shop.example.com:${proxy.port(80)}${path}`, address, headers });
  const send = (text: string) => exchange(proxy.address, proxy.port(80), Buffer.from(text, 'latin1'));

  it('tells the server who the client is, and nothing that the client said about that', async () => {
    const lies = [
      'X-Forwarded-For: 1.2.3.4',
      'X-Forwarded-For: 5.6.7.8',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: evil.example',
      'x-forwarded: for=1.2.3.4',
      'Forwarded: for=1.2.3.4',
      'X-Real-IP: 1.2.3.4',
      'True-Client-IP: 1.2.3.4',
      'X-Request-Id: mine',
      'X-Original-URL: /admin',
      'Proxy: http://evil.example',
      'Connection: close, X-Forwarded-For',
      'Upgrade: h2c',
      'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
      'X_Forwarded_For: 1.2.3.4',
      'X.Real.IP: 1.2.3.4',
    ];
    assert.equal((await ask('/', lies)).status, 200);
    const { headers } = last();
    assert.match(String(headers['x-request-id']), UUID);
    delete headers['x-request-id'];
    delete headers['user-agent'];
    const client = headers['x-forwarded-for']!;
    assert.deepEqual(headers, {
      host: `shop.example.com:${proxy.port(80)}`,
      accept: '*/*',
      'x-forwarded-for': client,
      'x-forwarded-proto': 'http',
      forwarded: `for=${client};proto=http`,
      'x-edge': VALUE,
      'x-in': 'in',
      x_under: '1',
      // Node's server adds nothing to what it was sent; HAProxy keeps its own connections open.
      ...(headers.connection === undefined ? {} : { connection: 'close' }),
    });
    assert.match(String(client), /^127\./);
  });

  it('writes an IPv6 client in brackets where the grammar wants it', async () => {
    assert.equal((await ask('/', [], '::1')).status, 200);
    const { headers } = last();
    assert.equal(headers['x-forwarded-for'], '::1');
    assert.equal(headers['forwarded'], 'for="[::1]";proto=http');
  });

  it('sets and removes headers of requests and of answers, of those without a server too', async () => {
    const answer = await ask('/');
    assert.equal(headerOf(answer, 'x-edge'), VALUE);
    assert.equal(headerOf(answer, 'x-out'), 'out');
    assert.equal(headerOf(answer, 'x-in'), undefined);
    assert.equal(headerOf(answer, 'x-secret'), undefined);
    last();
    before_ = server.requests.length;
    await ask('/', ['x-secret: 1']);
    assert.equal(last().headers['x-secret'], undefined);
    const missing = await curl({
      url: `http://other.example.com:${proxy.port(80)}/`,
      address: proxy.address,
    });
    assert.equal(missing.status, 404);
    assert.equal(headerOf(missing, 'x-edge'), VALUE);
    const unavailable = await curl({
      url: `http://down.example.com:${proxy.port(80)}/`,
      address: proxy.address,
    });
    assert.equal(unavailable.status, 503);
    assert.equal(headerOf(unavailable, 'x-out'), 'out');
  });

  it('answers ACME challenges for tokens in their alphabet, and nothing else under their path', async () => {
    const answer = await ask('/.well-known/acme-challenge/Abc-_123');
    assert.equal(answer.body, `Abc-_123.${THUMBPRINT}`);
    assert.equal(headerOf(answer, 'content-type'), 'application/octet-stream');
    assert.equal(server.requests.length, before_);
    for (const token of ['', 'a/b', 'a.b', '%41', 'a$', 'a'.repeat(129)]) {
      const other = await ask(`/.well-known/acme-challenge/${token}`);
      assert.equal(other.body, 'hello', `${token} goes to the server`);
    }
  });

  it('refuses what servers could read as two requests, or as a tunnel', async () => {
    const head = 'Host: shop.example.com\r\n';
    for (const request of [
      `POST / HTTP/1.1\r\n${head}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`,
      `POST / HTTP/1.0\r\n${head}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      `POST / HTTP/1.1\r\n${head}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
      `POST / HTTP/1.1\r\n${head}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`,
      `GET / HTTP/1.1\r\n${head}X-A: a\0b\r\n\r\n`,
      `GET / HTTP/1.1\r\n${head}Host: other.example.com\r\n\r\n`,
    ])
      assert.match(await send(request), /^HTTP\/1\.[01] 400 /, request);
    assert.match(await send('CONNECT a:22 HTTP/1.1\r\nHost: a:22\r\n\r\n'), /^HTTP\/1\.1 405 /);
    assert.equal(server.requests.length, before_);
  });

  it('redirects to what the config says, and answers 404 where there is no route', async () => {
    const redirect = await curl({
      url: `http://any.example.com:${proxy.port(80)}/none/x?y=1`,
      address: proxy.address,
    });
    assert.equal(redirect.status, 302);
    assert.equal(headerOf(redirect, 'location'), 'https://shop.example.com/none/x?y=1');
  });

  it('logs every request as one line of JSON, whatever the client sends', async () => {
    const lines = proxy.log.length;
    const named = 'Host: shop.example.com\r\nConnection: close\r\n\r\n';
    await send(`GET /"quoted"?secret=1 HTTP/1.1\r\n${named}`);
    await send(`GET /\\back'slash HTTP/1.1\r\nHost: shop.example.com"\\\r\nConnection: close\r\n\r\n`);
    const hostile = [
      'GET /%00%ff HTTP/1.1\r\nHost: \xff\xfe\xe9\x80"\r\n\r\n',
      `GET /${'"'.repeat(9000)} HTTP/1.1\r\nHost: ${'"'.repeat(3000)}\r\n\r\n`,
      `${'A'.repeat(3000)} / HTTP/1.1\r\nHost: a\r\n\r\n`,
      "!#$%&'*+-.^_`|~ / HTTP/1.1\r\nHost: a\r\n\r\n",
      '"\\ / HTTP/1.1\r\nHost: a\r\n\r\n',
      'GET /\x01\x1b[2J HTTP/1.1\r\nHost: a\r\n\r\n',
      'GET / HTTP/9.9"\r\nHost: a\r\n\r\n',
      'GET / HTTP/1.1\r\nHost: a\tb\r\n\r\n',
      '\x16\x03\x01\x02\x00\x01\r\n\r\n',
      'hello\r\n\r\n',
    ];
    await Promise.all(hostile.map(send));
    const entries = (await proxy.entriesWith('', lines + 2 + hostile.length)).slice(lines);
    for (const line of proxy.log.slice(lines))
      assert.ok(line.length < 16_384 && /^\{[ -~]*\}$/.test(line), line);
    const [quoted] = await proxy.entriesWith('quoted', 1);
    assert.equal(quoted!['path'], '/"quoted"', 'without the query');
    const [slash] = await proxy.entriesWith('slash', 1);
    assert.equal(slash!['path'], "/\\back'slash");
    assert.equal(slash!['host'], 'shop.example.com"\\');
    for (const { time, client, status, frontend } of entries) {
      assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      assert.ok(Math.abs(Date.parse(String(time)) - Date.now()) < 60_000, `${time}`);
      assert.equal(frontend, 'web');
      assert.match(String(client), /^127\./);
      assert.ok(Number.isInteger(status));
    }
  });

  it('logs what became of a request, with the number that the server got', async () => {
    await ask('/v1/x?token=secret', ['x-y: z']);
    const { headers } = last();
    const entry = (await proxy.entriesWith('\\/v1\\/x', 1))[0]!;
    for (const field of ['client_port', 'total_ms', 'response_bytes', 'request_bytes'])
      assert.ok(Number(entry[field]) >= 0, field);
    assert.equal(entry['id'], headers['x-request-id']);
    const fields = ['client', 'frontend', 'backend', 'server', 'method', 'host', 'path', 'version', 'status'];
    assert.deepEqual(Object.fromEntries(fields.map((field) => [field, entry[field]])), {
      client: headers['x-forwarded-for'],
      frontend: 'web',
      backend: 'u_shop',
      server: 'shop-1',
      method: 'GET',
      host: `shop.example.com:${proxy.port(80)}`,
      path: '/v1/x',
      version: 'HTTP/1',
      status: 200,
    });
  });
});
