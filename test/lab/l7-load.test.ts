/** The load counts what fails, and nothing else: servers that close, cut, refuse and delay, on loopback. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { constants, createSecureServer, type Http2SecureServer, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createAuthority } from '../../scripts/lab/certificates.js';
import { generateLoad, type LoadPlan, type LoadResult, type LoadTarget } from '../../scripts/lab/l7/load.js';
import { isInstalled } from '../isolation.js';

const HOST = 'shop.example.com';
const REQUESTS = 20;
const PROTOCOLS = ['http1', 'http2'] as const;

describe('the load', { skip: !isInstalled('openssl') && 'needs openssl' }, () => {
  let directory: string;
  let ca: string;
  let pem: Buffer;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'ah-load-'));
    const authority = await createAuthority(directory);
    ca = authority.file;
    await authority.serverCertificate(join(directory, 'shop.pem'), [HOST]);
    pem = readFileSync(join(directory, 'shop.pem'));
  });
  after(() => rmSync(directory, { recursive: true }));

  /** Some 20 requests of one client to a server that `serve` makes what it is. */
  async function load(
    serve: (server: Http2SecureServer) => void,
    plan: Partial<LoadPlan> = {},
    target: Partial<LoadTarget> = {},
  ): Promise<LoadResult> {
    const server = createSecureServer({ allowHTTP1: true, key: pem, cert: pem });
    const sockets = new Set<Socket>();
    server.on('connection', (socket: Socket) => sockets.add(socket));
    serve(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const stop = new AbortController();
    let seen = 0;
    server.on('request', () => {
      seen += 1;
      if (seen === REQUESTS) stop.abort();
    });
    try {
      return await generateLoad(
        {
          ca,
          protocol: 'http1',
          targets: [{ address: '127.0.0.1', port, host: HOST, path: '/', cookies: false, ...target }],
          clients: 1,
          requestsPerSecond: 100,
          timeoutMs: 10_000,
          ...plan,
        },
        { stop: stop.signal, print: () => {} },
      );
    } finally {
      for (const socket of sockets) socket.destroy();
      server.close();
    }
  }

  for (const protocol of PROTOCOLS) {
    test(`keeps its connection and counts answers by server, over ${protocol}`, async () => {
      const result = await load(
        (server) =>
          server.on('request', (request, response) => {
            assert.equal(request.httpVersion, protocol === 'http1' ? '1.1' : '2.0');
            response.setHeader('x-backend', 'shop-1');
            response.setHeader('x-proxy', 'proxy-1');
            response.end('shop-1\n');
          }),
        { protocol },
      );
      assert.deepEqual(result.proxies, { 'proxy-1': REQUESTS });
      assert.deepEqual([result.requests, result.failed, result.connections], [REQUESTS, 0, 1]);
      assert.deepEqual(result.servers, { 'shop-1': REQUESTS });
      assert.ok(result.latencyMs.p50 > 0 && result.latencyMs.p50 <= result.latencyMs.max);
    });

    test(`opens another connection after so many requests, over ${protocol}`, async () => {
      const result = await load((server) => server.on('request', (_, response) => void response.end()), {
        protocol,
        requestsPerConnection: 5,
      });
      assert.deepEqual([result.requests, result.failed, result.connections], [REQUESTS, 0, REQUESTS / 5]);
    });

    test(`counts a status that is not the expected one, and a server that should not answer, over ${protocol}`, async () => {
      let odd = false;
      const result = await load(
        (server) =>
          server.on('request', (_, response) => {
            odd = !odd;
            response.setHeader('x-backend', odd ? 'shop-1' : 'api-1');
            response.statusCode = odd ? 500 : 200;
            response.end();
          }),
        { protocol },
        { servers: ['shop-1'] },
      );
      assert.equal(result.failed, REQUESTS);
      assert.deepEqual(result.reasons, { 'status 500': REQUESTS / 2, 'answered by api-1': REQUESTS / 2 });
      assert.match(result.failures[0]!.target, /^https:\/\/shop\.example\.com\/ at 127\.0\.0\.1$/);
    });

    test(`counts an answer that is cut off, over ${protocol}`, async () => {
      const result = await load(
        (server) =>
          server.on('request', (_, response) => {
            response.writeHead(200, { 'content-length': 1_000 });
            response.write('x');
            setTimeout(() => {
              if (response.stream === undefined) response.socket.destroy();
              else response.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
            }, 5);
          }),
        { protocol },
      );
      assert.equal(result.failed, REQUESTS);
      for (const reason of Object.keys(result.reasons)) assert.match(reason, /^half an answer: /);
    });

    test(`counts an answer that does not come in time, over ${protocol}`, async () => {
      const result = await load(() => {}, { protocol, timeoutMs: 100 });
      assert.equal(result.failed, result.requests);
      assert.match(Object.keys(result.reasons).join(), /^on a new connection: timeout/);
    });
  }

  test('does not count a connection that is closed between two requests, unless one was sent before that was seen', async () => {
    const ended = new WeakSet<object>();
    let tooLate = 0;
    const result = await load(
      (server) =>
        server.on('request', (_, response) => {
          const { socket } = response;
          if (ended.has(socket)) tooLate += 1; // on a very busy machine
          response.end(() => socket.end()); // no word of it in the answer
          ended.add(socket);
        }),
      { requestsPerSecond: 20 },
    );
    assert.deepEqual([result.failed, result.connections], [tooLate, REQUESTS - tooLate]);
    assert.ok(tooLate < REQUESTS / 2, `${tooLate} requests came after the end`);
  });

  test('counts a request that was sent and met a connection being closed, also one that was kept', async () => {
    const perSocket = new WeakMap<object, number>();
    const result = await load((server) =>
      server.on('request', (_, response) => {
        const { socket } = response;
        const number = (perSocket.get(socket) ?? 0) + 1;
        perSocket.set(socket, number);
        response.setHeader('x-proxy', 'proxy-1');
        if (number === 1) response.end();
        else socket.destroy();
      }),
    );
    for (const { proxy } of result.failures) assert.equal(proxy, 'proxy-1');
    assert.deepEqual(result.reasons, { 'on a kept connection: ECONNRESET': REQUESTS / 2 });
    assert.equal(result.retried, 0);
  });

  test('counts a connection that cannot be made, and one that is closed before an answer', async () => {
    const closed = await load((server) =>
      server.on('request', (_, response) => void response.socket.destroy()),
    );
    assert.deepEqual(closed.reasons, { 'on a new connection: ECONNRESET': REQUESTS });
    for (const { proxy } of closed.failures) assert.equal(proxy, null);
    for (const protocol of PROTOCOLS) {
      const plan = { protocol, seconds: 0.2 };
      const refused = await load(() => {}, plan, { port: 1 });
      assert.ok(refused.requests > 1);
      assert.deepEqual(refused.reasons, { 'on a new connection: ECONNREFUSED': refused.requests });
      const stranger = await load(() => {}, plan, { host: 'bank.example.com' });
      assert.deepEqual(Object.keys(stranger.reasons), ['on a new connection: ERR_TLS_CERT_ALTNAME_INVALID']);
    }
  });

  test('repeats a request that HTTP/2 says nobody has processed, and goes elsewhere after GOAWAY', async () => {
    let streams = 0;
    const result = await load(
      (server) =>
        server.on('stream', (stream) => {
          streams += 1;
          if (streams % 2 === 1) stream.close(constants.NGHTTP2_REFUSED_STREAM);
          else {
            stream.respond({ ':status': 200 });
            stream.end();
            (stream.session as ServerHttp2Session).goaway();
          }
        }),
      { protocol: 'http2', requestsPerSecond: 50 },
    );
    assert.equal(result.failed, 0);
    assert.ok(result.retried >= REQUESTS / 2, `${result.retried} retried`);
    assert.ok(result.connections >= REQUESTS / 2, `${result.connections} connections`);
  });

  test('keeps cookies where it shall, and counts clients that are moved to another server', async () => {
    const seen: (string | undefined)[] = [];
    const serve = (server: Http2SecureServer): void => {
      server.on('request', (request, response) => {
        seen.push(request.headers.cookie);
        response.setHeader('set-cookie', ['SRV=one; path=/', 'gone=1; Max-Age=0']);
        response.setHeader('x-backend', seen.length <= REQUESTS / 2 ? 'shop-1' : 'shop-2');
        response.end();
      });
    };
    const kept = await load(serve, {}, { cookies: true });
    assert.deepEqual(seen, [undefined, ...Array.from({ length: REQUESTS - 1 }, () => 'SRV=one')]);
    assert.deepEqual(
      [kept.failed, kept.moves.map(({ from, to }) => `${from} ${to}`)],
      [0, ['shop-1 shop-2']],
    );
    seen.length = 0;
    const dropped = await load(serve);
    assert.deepEqual(
      seen.filter((cookie) => cookie !== undefined),
      [],
    );
    assert.deepEqual([dropped.failed, dropped.moves], [0, []]);
  });

  test('makes about as many requests a second as it shall, spread over its clients', async () => {
    const sockets = new Set<object>();
    const result = await load(
      (server) =>
        server.on('request', (request, response) => {
          sockets.add(request.socket);
          response.end();
        }),
      { clients: 4, requestsPerSecond: 40 },
    );
    assert.equal(sockets.size, 4);
    assert.equal(result.connections, 4);
    assert.ok(result.requests >= REQUESTS && result.requests <= REQUESTS + 4);
    assert.ok(result.seconds >= 0.45, `${result.requests} requests took ${result.seconds} s`);
  });
});
