/** What clients get when servers fail: never a half answer as a whole one, and never a request twice that may have had an effect. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { startCall } from '../../../scripts/lab/l7/call.js';
import type { OddServer } from '../../../scripts/lab/l7/odd.js';
import { encodeFrame, OPCODE } from '../../../scripts/lab/l7/websocket.js';
import { eventually, ProxyHost, SERVER_PORT, serverAddress, VIP4, withoutProxyHost } from '../run-fixture.js';
import { logEntries } from './access-log.js';
import { Client } from './client.js';
import { CLOSING_SERVER } from './closing-server.js';
import { converse } from './converse.js';
import { pseudo } from './hostile-http2.js';
import { http2Exchange } from './http2.js';
import { type Relay, startRelay } from './relay.js';
import { connectTls } from './tls.js';

const TIMEOUT_MS = 1_000;
/** An error of HTTP/2: the client may send the request again (RFC 9113, section 8.7). */
const REFUSED_STREAM = 7;
const QUEUE_MS = 5_000;
const REQUEST_HEADER_MS = 10_000;
/** Servers by upstream. */
const ALONE = [1];
const QUEUE = [2];
const TRIO = [3, 4, 5];
const JUDGED = [6, 7];
const CLOSING = 8;

describe('with servers that fail', { skip: withoutProxyHost, timeout: 180_000, concurrency: true }, () => {
  let host: ProxyHost;
  let relay: Relay;
  let servers: OddServer[];

  before(async () => {
    host = await ProxyHost.create();
    servers = await host.startServers(7);
    const server = (number: number) => ({
      name: `s${number}`,
      address: serverAddress(number),
      port: SERVER_PORT,
    });
    const pick = (numbers: readonly number[]) => ({
      health: { kind: 'none' },
      timeout: '1s',
      servers: numbers.map(server),
    });
    const upstreams = {
      alone: { ...pick(ALONE), retries: 0 },
      queue: { ...pick(QUEUE), timeout: '20s', max_connections: 1 },
      trio: { ...pick(TRIO), balance: 'round_robin' },
      judged: {
        ...pick(JUDGED),
        health: { kind: 'tcp', interval: '300ms', timeout: '300ms', rise: 2, fall: 3 },
        passive: { errors: 10 },
        slow_start: '0s',
      },
      closing: { ...pick([CLOSING]), retries: 10 },
      nobody: { ...pick(ALONE), retries: 0, servers: [{ ...server(1), port: 1 }] },
    };
    const routes = Object.keys(upstreams).map((name) => ({ host: `${name}.example.com`, to: name }));
    const web = { services: ['https'], certificates: host.certificates, routes };
    host.configure({ frontends: { web, plain: { services: ['http'], routes } }, upstreams });
    await host.start();
    relay = await startRelay(host.resources, host.namespace);
  });
  after(() => host?.close());

  const plain = () => relay.connect({ address: VIP4, port: 80 });
  const get = (upstream: string, path: string, more: object = {}) =>
    host.get('', { url: `https://${upstream}.example.com${path}`, timeoutMs: 20_000, ...more });
  /** Requests that reached the servers of an upstream, by this end of their paths. */
  const reached = (numbers: readonly number[], mark: string) =>
    numbers.flatMap((number) => servers[number - 1]!.requests()).filter(({ path }) => path.endsWith(mark));
  /** Takes a place at a server for as long as it is open. */
  const holdWebSocket = async (name: string) => {
    const socket = await plain();
    const upgrade = ['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13'];
    const lines = [
      'GET / HTTP/1.1',
      `Host: ${name}`,
      ...upgrade,
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ];
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    const [bytes] = await once(socket, 'data');
    assert.match(String(bytes), /^HTTP\/1\.1 101 /);
    return socket;
  };

  it('tells clients by the status how the server failed', async () => {
    for (const [path, status] of [
      ['/hang', 504],
      ['/reset', 502],
      ['/error', 500],
      ['/error?status=503', 503],
      ['/huge-header', 502],
      ['/invalid?kind=status', 502],
      ['/invalid?kind=colon', 502],
      ['/invalid?kind=name', 502],
      ['/invalid?kind=lengths', 502],
    ] as const)
      assert.equal((await get('alone', path)).status, status, path);
    assert.equal((await get('nobody', '/')).status, 503);
  });

  it('waits for a slow answer as long as it goes on, and gives up at the timeout when it does not', async () => {
    const slow = await get('alone', '/drip?bytes=20&interval=100');
    assert.deepEqual([slow.status, slow.body], [200, '.'.repeat(20)]);
    const start = performance.now();
    assert.equal((await get('alone', '/hang')).status, 504);
    const ms = performance.now() - start;
    assert.ok(ms >= TIMEOUT_MS, `${ms} ms`);
  });

  it('never shows half an answer as a whole one', async () => {
    for (const http of ['1.1', '2'] as const)
      for (const path of ['/half', '/invalid?kind=chunk', '/invalid?kind=nul']) {
        const { exitCode, status, body } = await get('alone', path, { http });
        assert.ok(exitCode !== 0 || status === 502, `${path} over HTTP/${http}: ${status} ${body}`);
        assert.ok(body.length < 1000, path);
      }
  });

  it('asks others before a client sees an error of a request that may be repeated', async () => {
    for (const [path, status] of [
      ['/error?', 500],
      ['/reset?', 502],
    ] as const) {
      const answer = await get('trio', `${path}repeated`);
      assert.equal(answer.status, status, path);
      const tries = () => reached(TRIO, `${path}repeated`);
      await eventually('three tries', () => tries().length >= 3);
      assert.equal(tries().length, 3, 'the first and two retries');
      assert.ok(new Set(tries().map(({ server }) => server)).size > 1);
    }
  });

  it('never sends a request again that may have had an effect, on a new connection or a kept one', async () => {
    const marks: string[] = [];
    const [fresh, kept] = [new Client(plain), new Client(plain, true)];
    for (const [client, connection] of [
      [fresh, 'fresh'],
      [kept, 'kept'],
    ] as const)
      for (const path of ['/error?', '/reset?', '/hang?', '/half?', '/huge-header?', '/invalid?kind=status&'])
        for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
          const mark = `${connection}-${method}-${marks.length}`;
          marks.push(mark);
          const answer = await client.ask({
            host: 'trio.example.com',
            path: `${path}${mark}`,
            method,
            body: 'x',
          });
          assert.ok(answer.status >= 500 || answer.failure !== undefined, `${path}${mark}: ${answer.status}`);
        }
    kept.close();
    for (let i = 0; i < TRIO.length; i++) await get('trio', '/afterwards');
    await eventually('the servers tell of all', () => reached(TRIO, '/afterwards').length === TRIO.length);
    assert.deepEqual(
      Object.fromEntries(marks.map((mark) => [mark, reached(TRIO, mark).length])),
      Object.fromEntries(marks.map((mark) => [mark, 1])),
    );
  });

  it('sends a request over HTTP/2 once, though HAProxy 2.6 then tells the client that nobody has processed it', async () => {
    const target = {
      address: VIP4,
      port: 443,
      ca: host.authority.file,
      serverName: 'trio.example.com',
      alpn: ['h2'],
    };
    const request = (method: string, path: string) => ({
      fields: pseudo(target.serverName, { ':method': method, ':path': path }),
    });
    const outcome = await http2Exchange(
      await connectTls(relay, target),
      request('POST', '/reset?http2'),
      request('GET', '/after-http2'),
    );
    assert.equal(outcome.statuses[3], 200);
    const paths = ['/reset?http2', '/after-http2'];
    await eventually('the servers tell of both', () => paths.every((path) => reached(TRIO, path).length > 0));
    for (const path of paths) assert.equal(reached(TRIO, path).length, 1, path);
    const { version = '' } = (await host.status()).haproxy;
    if (Number.parseInt(version, 10) >= 3) assert.equal(outcome.statuses[1], 502);
    else assert.deepEqual(outcome.resets, { 1: REFUSED_STREAM });
  });

  it('takes out a server that fails requests although its checks pass, and no client sees it', async () => {
    const [bad] = JUDGED.map((number) => servers[number - 1]!);
    const load = await host.load({
      targets: [{ address: VIP4, host: 'judged.example.com', path: '/', cookies: false }],
      requestsPerSecond: 60,
    });
    const health = async () => (await host.server('s6', 'judged')).health;
    await eventually('all servers are up', async () => (await health()) === 'up');
    bad!.setMode('error');
    await eventually('the bad one is down', async () => (await health()) === 'down');
    bad!.setMode(null);
    await eventually('the bad one is up again', async () => (await health()) === 'up');
    bad!.setMode('reset');
    await eventually('the bad one is down', async () => (await health()) === 'down');
    bad!.setMode(null);
    const { failed, reasons, requests } = await load.stop();
    assert.deepEqual([failed, reasons], [0, {}]);
    assert.ok(requests > 100, `${requests}`);
  });

  it('loses no request that may be repeated to servers that close connections as they like, and repeats no other', async () => {
    const plan = { address: serverAddress(CLOSING), port: SERVER_PORT, waitsMsMax: 3 };
    const closing = await startCall(host.resources, host.namespace, CLOSING_SERVER, plan);
    await closing.process.waitForEvent('listening', 15_000);
    const clients = Array.from({ length: 4 }, () => new Client(plain, true));
    const one = async (client: Client, number: number, method: string) => {
      const answer = await client.ask({
        host: 'closing.example.com',
        path: `/${method}/${number}`,
        method,
        body: method === 'GET' ? '' : 'x',
      });
      return { ...answer, method };
    };
    const answers = await Promise.all(
      clients.map(async (client, c) => {
        const all = [];
        for (let i = 0; i < 60; i++) all.push(await one(client, c * 1000 + i, i % 3 === 0 ? 'POST' : 'GET'));
        client.close();
        return all;
      }),
    );
    const asked = await closing.stop();
    for (const { method, status, failure } of answers.flat())
      if (method === 'GET') assert.deepEqual([status, failure], [200, undefined]);
      else assert.ok(status === 200 || status === 502 || failure !== undefined, `${status}`);
    const posts = asked.filter((line) => line.startsWith('POST'));
    assert.equal(new Set(posts).size, posts.length, 'no POST came twice');
    const fine = answers.flat().filter(({ status, method }) => status === 200 && method === 'POST');
    assert.ok(fine.length > 40, `${fine.length} of 80 POSTs`);
  });

  it('lets requests beyond max_connections wait for their turn, 5 s at most', async () => {
    const held = await holdWebSocket('queue.example.com');
    const start = performance.now();
    const waiting = await Promise.all([get('queue', '/waits'), get('queue', '/waits')]);
    const ms = performance.now() - start;
    assert.deepEqual(
      waiting.map(({ status }) => status),
      [503, 503],
    );
    assert.ok(ms >= QUEUE_MS, `${ms} ms`);
    assert.equal(reached(QUEUE, '/waits').length, 0);
    const lucky = get('queue', '/lucky');
    await eventually('it waits', async () => (await host.upstream('queue')).queued === 1);
    held.end(encodeFrame({ opcode: OPCODE.close, payload: Buffer.alloc(0) }, true));
    assert.equal((await lucky).status, 200);
    const { queue_ms: queueMs } = await eventually('the access log has it', () =>
      logEntries(host).find(({ path }) => path === '/lucky'),
    );
    assert.ok(queueMs > 0, `${queueMs} ms in the queue`);
  });

  it('gives up on a client that does not end its header within 10 s', async () => {
    const socket = await plain();
    const start = performance.now();
    const { answers, wasClosed } = await converse(
      socket,
      'GET / HTTP/1.1\r\nHost: alone.example.com\r\nX-Slow:',
      25_000,
    );
    const ms = performance.now() - start;
    assert.deepEqual([answers.map(({ status }) => status), wasClosed], [[408], true]);
    assert.ok(ms >= REQUEST_HEADER_MS - 100, `${ms} ms`);
  });
});
