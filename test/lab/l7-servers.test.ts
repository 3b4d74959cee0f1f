/** The servers and clients that tests of layer 7 use do what they say, with each other, on loopback. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Authority, createAuthority } from '../../scripts/lab/certificates.js';
import { callIn, startCall } from '../../scripts/lab/l7/call.js';
import { type CurlRequest, curl, headerOf } from '../../scripts/lab/l7/curl.js';
import { callGrpc, GRPC } from '../../scripts/lab/l7/grpc.js';
import { type OddServer, type SeenRequest, startOddServer } from '../../scripts/lab/l7/odd.js';
import { EXCHANGE, exchange, parseAnswers } from '../../scripts/lab/l7/raw.js';
import { ECHO, echo, HOLD } from '../../scripts/lab/l7/websocket-client.js';
import { Resources } from '../../scripts/lab/resources.js';
import { isInstalled } from '../isolation.js';

const ADDRESS = '127.0.0.1';
const HOST = 'shop.example.com';
const TIMEOUT_MS = 60_000;
const missing = ['curl', 'openssl'].filter((tool) => !isInstalled(tool));

describe('the servers of the tests', { skip: missing.length > 0 && `needs ${missing.join(', ')}` }, () => {
  let resources: Resources;
  let authority: Authority;
  let plain: OddServer;
  let h2c: OddServer;
  let tls: OddServer;
  let strict: OddServer;

  before(
    async () => {
      resources = new Resources();
      authority = await createAuthority(resources.directory);
      const certificate = join(resources.directory, 'shop.pem');
      await authority.serverCertificate(certificate, [HOST]);
      const common = { address: ADDRESS, port: 0 };
      const secure = { ...common, protocol: 'tls', certificate } as const;
      plain = await startOddServer(resources, { ...common, name: 'plain', protocol: 'http1' });
      h2c = await startOddServer(resources, { ...common, name: 'h2c', protocol: 'h2c' });
      tls = await startOddServer(resources, { ...secure, name: 'tls' });
      strict = await startOddServer(resources, { ...secure, name: 'strict', clientCa: authority.file });
    },
    { timeout: TIMEOUT_MS },
  );
  after(() => resources?.close(), { timeout: TIMEOUT_MS });

  const get = (path: string, more: Partial<CurlRequest> = {}) =>
    curl({ url: `http://${ADDRESS}:${plain.port}${path}`, ...more });
  const get2 = (path: string, more: Partial<CurlRequest> = {}) =>
    curl({ url: `http://${ADDRESS}:${h2c.port}${path}`, http: '2c', ...more });
  const getTls = (server: OddServer, path: string, more: Partial<CurlRequest> = {}) =>
    curl({ url: `https://${HOST}:${server.port}${path}`, address: ADDRESS, ca: authority.file, ...more });
  const raw = (text: string, silenceMs = 1_000) =>
    exchange({ address: ADDRESS, port: plain.port, parts: [{ text }], silenceMs });

  test('tell what they received, byte by byte', async () => {
    const headers = ['X-One: 1', 'x-ONE: 2'];
    const answer = await get('/v1/x?y=%2e', { method: 'POST', body: 'a body', headers });
    const seen: SeenRequest = JSON.parse(answer.body);
    assert.deepEqual([answer.status, headerOf(answer, 'x-backend')], [200, 'plain']);
    assert.deepEqual([seen.method, seen.path, seen.body], ['POST', '/v1/x?y=%2e', 'a body']);
    const ones = seen.headers.filter(([name]) => name.toLowerCase() === 'x-one');
    assert.deepEqual(ones, [
      ['X-One', '1'],
      ['x-ONE', '2'],
    ]);
    assert.match(seen.raw!, /^POST \/v1\/x\?y=%2e HTTP\/1\.1\r\nHost: .*\r\n\r\na body$/s);
    assert.deepEqual(plain.requests().at(-1), { event: 'request', ...seen });
  });

  test('tell requests of one connection from those of another, and what came for each', async () => {
    const request = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`;
    const { address, port } = { address: ADDRESS, port: plain.port };
    const parts = [{ text: request('/first') }, { text: request('/second'), afterMs: 200 }];
    const { text } = await exchange({ address, port, parts, silenceMs: 1_000 });
    const [first, second] = parseAnswers(text).map(({ body }): SeenRequest => JSON.parse(body));
    assert.deepEqual([first!.raw, second!.raw], [request('/first'), request('/second')]);
    assert.equal(first!.connection, second!.connection);
    const other: SeenRequest = JSON.parse((await get('/third')).body);
    assert.notEqual(other.connection, first!.connection);
  });

  test('refuse what is not HTTP, unless they are lenient, and tell it', async () => {
    const text =
      'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n';
    const answer = await raw(text);
    assert.deepEqual([parseAnswers(answer.text)[0]!.status, answer.end], [400, 'closed']);
    const refused = plain.process.events.findLast(({ event }) => event === 'refused');
    assert.equal(refused!['raw'], text);
    const lenient = await startOddServer(resources, {
      ...{ name: 'lenient', address: ADDRESS, port: 0, protocol: 'http1', lenient: true },
    });
    const parts = [{ text }];
    const forgiven = await exchange({ address: ADDRESS, port: lenient.port, parts, silenceMs: 1_000 });
    assert.equal(parseAnswers(forgiven.text)[0]!.status, 200);
  });

  for (const [protocol, ask] of [
    ['HTTP/1.1', get],
    ['HTTP/2', get2],
  ] as const)
    test(`misbehave over ${protocol} as their paths say`, { timeout: TIMEOUT_MS }, async () => {
      assert.equal((await ask('/hang', { timeoutMs: 300 })).exitCode, 28);
      assert.ok([56, 92].includes((await ask('/reset')).exitCode), 'reset');
      assert.equal((await ask('/error?status=503')).status, 503);
      const slow = await ask('/drip?bytes=5&interval=40');
      assert.deepEqual([slow.status, slow.body], [200, '.....']);
      assert.equal((await ask('/drip?bytes=1000', { timeoutMs: 300 })).exitCode, 28);
      const half = await ask('/half');
      assert.deepEqual([half.status, half.body.length], [200, 100]);
      assert.ok([18, 92].includes(half.exitCode), 'half');
      const grpc = await ask('/grpc?status=5');
      assert.deepEqual([grpc.exitCode, grpc.status], [0, 200]);
      assert.equal(headerOf(grpc, 'content-type'), 'application/grpc');
    });

  test('send a header of 128 KiB, and lines that are no answer', async () => {
    const { text } = await raw('GET /huge-header HTTP/1.1\r\nhost: a\r\n\r\n');
    assert.ok(parseAnswers(text)[0]!.headers.some(([, value]) => value.length === 128 * 1024));
    for (const kind of ['status', 'version', 'colon', 'name', 'nul', 'lengths', 'chunk']) {
      const answer = await raw(`GET /invalid?kind=${kind} HTTP/1.1\r\nhost: a\r\n\r\n`);
      assert.match(answer.text, /^HTT/);
      assert.equal(answer.end, 'closed', kind);
    }
  });

  test('send trailers over HTTP/2, as gRPC does', async () => {
    const common = { address: ADDRESS, host: HOST, path: '/grpc?status=7', timeoutMs: 10_000 };
    const answered = { httpStatus: 200, grpcStatus: '7', message: 'done' };
    assert.deepEqual(await callGrpc({ ...common, port: h2c.port }), { ...answered, server: 'h2c' });
    const secure = { port: tls.port, tls: { ca: authority.file, serverName: HOST } };
    const overTls = await callIn(resources, undefined, GRPC, { ...common, ...secure });
    assert.deepEqual(overTls, { ...answered, server: 'tls' });
  });

  test('misbehave whatever the path while their mode says so', async () => {
    try {
      plain.setMode('error');
      assert.equal((await get('/v1')).status, 500);
      plain.setMode('reset');
      const { exitCode } = await get('/v1');
      assert.ok([7, 56].includes(exitCode), `connecting or receiving: ${exitCode}`);
    } finally {
      plain.setMode(null);
    }
    assert.equal((await get('/v1')).status, 200);
  });

  test('speak TLS with HTTP/1.1 and 2, and tell the name that was asked for', async () => {
    for (const [http, alpn, version] of [
      ['1.1', 'http/1.1', '1.1'],
      ['2', 'h2', '2.0'],
    ] as const) {
      const seen: SeenRequest = JSON.parse((await getTls(tls, '/', { http })).body);
      assert.deepEqual([seen.httpVersion, seen.tls!.alpn, seen.tls!.serverName], [version, alpn, HOST]);
      assert.deepEqual([seen.tls!.version, seen.tls!.client], ['TLSv1.3', null]);
    }
  });

  test('let in nobody without a certificate of their authority where they ask for one', async () => {
    const clientCertificate = join(resources.directory, 'buyer.pem');
    await authority.clientCertificate(clientCertificate, 'buyer');
    const answer = await getTls(strict, '/', { clientCertificate });
    assert.equal((JSON.parse(answer.body) as SeenRequest).tls!.client, 'CN=buyer');
    const stranger = await createAuthority(resources.directory, 'stranger');
    await stranger.clientCertificate(clientCertificate, 'buyer');
    for (const more of [{}, { clientCertificate }]) {
      const { exitCode, status } = await getTls(strict, '/', more);
      assert.deepEqual([exitCode === 0, status], [false, 0]);
    }
  });

  test('echo WebSocket messages, short and long, with and without TLS', async () => {
    const messages = ['', 'short', 'x'.repeat(125), 'x'.repeat(126), 'ü'.repeat(20_000)];
    const common = { host: HOST, path: '/chat', messages, timeoutMs: 10_000 };
    const overTcp = await echo({ ...common, address: ADDRESS, port: plain.port });
    assert.deepEqual(overTcp, { server: 'plain', answers: messages });
    const secure = { ca: authority.file, serverName: HOST };
    const where = { address: ADDRESS, port: tls.port, tls: secure };
    assert.deepEqual(await callIn(resources, undefined, ECHO, { ...common, ...where }), {
      server: 'tls',
      answers: messages,
    });
    assert.equal(plain.requests().at(-1)!.path, '/chat');
  });

  test('hold WebSocket connections, and one that ends counts as a failure', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const server = await startOddServer(resources, {
      name: 'held',
      address: ADDRESS,
      port: 0,
      protocol: 'http1',
    });
    const where = { address: ADDRESS, port: server.port, host: HOST, path: '/', timeoutMs: 10_000 };
    const plan = { ...where, connections: 3, intervalMs: 5 };
    const quiet = await startCall(resources, undefined, HOLD, plan);
    await quiet.process.waitForEvent('holding', 10_000);
    const held = await quiet.stop();
    assert.deepEqual([held.connections, held.failures], [3, []]);
    assert.ok(held.echoes >= 3, `${held.echoes} echoes`);

    const cut = await startCall(resources, undefined, HOLD, { ...plan, connections: 1 });
    await cut.process.waitForEvent('holding', 10_000);
    await server.process.stop('SIGKILL');
    await cut.process.waitForEvent('failed', 10_000);
    assert.notDeepEqual((await cut.stop()).failures, []);
  });

  test('a raw client tells how a connection ends', async () => {
    const text = 'GET /hang HTTP/1.1\r\nhost: a\r\n\r\n';
    assert.deepEqual(await raw(text, 200), { text: '', end: 'silence', error: null });
    assert.equal((await raw('GET /reset HTTP/1.1\r\nhost: a\r\n\r\n')).end, 'reset');
    const where = { address: ADDRESS, port: 1, parts: [], silenceMs: 100 };
    assert.equal((await callIn(resources, undefined, EXCHANGE, where)).end, 'refused');
    const secure = { ca: authority.file, serverName: HOST };
    const parts = [{ text: `GET / HTTP/1.1\r\nhost: ${HOST}\r\nconnection: close\r\n\r\n` }];
    const answer = await exchange({ address: ADDRESS, port: tls.port, tls: secure, parts, silenceMs: 5_000 });
    assert.deepEqual([parseAnswers(answer.text)[0]!.status, answer.end], [200, 'closed']);
  });
});

test('answers are parsed one after the other, as far as they are whole', () => {
  const text =
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\nhi' +
    'HTTP/1.1 404 No\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n';
  const answers = parseAnswers(text);
  assert.deepEqual(
    answers.map(({ status, body }) => [status, body]),
    [
      [100, ''],
      [200, 'hi'],
      [404, 'abcd'],
    ],
  );
  assert.deepEqual(answers[1]!.headers, [
    ['content-length', '2'],
    ['x-a', 'b'],
  ]);
  assert.deepEqual(parseAnswers('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhi'), []);
});
