/** What is longer than one answer: WebSockets, calls as gRPC makes them, uploads, and answers that come bit by bit. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { callIn, startCall } from '../../../scripts/lab/l7/call.js';
import { GRPC } from '../../../scripts/lab/l7/grpc.js';
import { type OddServer, type OddServerPlan, startOddServer } from '../../../scripts/lab/l7/odd.js';
import { encodeFrame, type Frame, FrameReader, OPCODE } from '../../../scripts/lab/l7/websocket.js';
import { ECHO, HOLD } from '../../../scripts/lab/l7/websocket-client.js';
import { eventually, ProxyHost, SERVER_PORT, serverAddress, VIP4, withoutProxyHost } from '../run-fixture.js';
import { type Relay, startRelay } from './relay.js';
import { connectTls } from './tls.js';

const UPLOAD_BYTES = 20 * 1024 * 1024;
const INTERNAL = 'servers.internal';
const DRAIN_DEADLINE_MS = 5_000;
const TIMEOUT_MS = 20_000;

describe('what takes its time', { skip: withoutProxyHost, timeout: 180_000 }, () => {
  let host: ProxyHost;
  let relay: Relay;
  const servers = new Map<string, OddServer>();

  before(async () => {
    host = await ProxyHost.create();
    const file = (name: string) => join(host.resources.directory, name);
    await host.authority.serverCertificate(file('server.pem'), [INTERNAL]);
    await host.authority.clientCertificate(file('proxy.pem'), 'proxy');
    const tls = { protocol: 'tls', certificate: file('server.pem') } as const;
    const plans: Record<string, Pick<OddServerPlan, 'protocol' | 'certificate' | 'clientCa'>> = {
      plain: { protocol: 'http1' },
      h2c: { protocol: 'h2c' },
      tls1: tls,
      tls2: tls,
      mutual: { ...tls, clientCa: host.authority.file },
    };
    const names = Object.keys(plans);
    const where = (name: string) => ({
      name,
      address: serverAddress(names.indexOf(name) + 1),
      port: SERVER_PORT,
    });
    for (const name of names)
      servers.set(
        name,
        await startOddServer(host.resources, { ...plans[name]!, ...where(name) }, host.namespace),
      );
    const trusted = { server_name: INTERNAL, ca_file: host.authority.file };
    const health = { kind: 'tcp', interval: '1s', timeout: '1s' };
    const more: Record<string, object> = {
      h2c: { protocol: 'http2' },
      tls1: { tls: trusted },
      tls2: { protocol: 'http2', tls: trusted },
      mutual: { protocol: 'http2', tls: { ...trusted, certificate: file('proxy.pem') } },
    };
    const routes = names.map((name) => ({ host: `${name}.example.com`, to: name }));
    const upstreams = Object.fromEntries(
      names.map((name) => [name, { health, ...more[name], servers: [where(name)] }]),
    );
    configure = (idle) =>
      host.configure({
        frontends: {
          web: { services: ['https'], certificates: host.certificates, routes, idle_timeout: idle },
        },
        upstreams,
      });
    configure('60s');
    await host.start();
    relay = await startRelay(host.resources, host.namespace);
  });
  let configure: (idleTimeout: string) => void;
  after(() => host?.close());

  const target = (name: string, alpn?: readonly string[]) => ({
    address: VIP4,
    port: 443,
    tls: { ca: host.authority.file, serverName: `${name}.example.com`, ...(alpn && { alpn }) },
    host: `${name}.example.com`,
    timeoutMs: TIMEOUT_MS,
  });
  const session = async (name: string): Promise<ClientHttp2Session> => {
    const { address, port, tls } = target(name);
    const socket = await connectTls(relay, { address, port, ...tls, alpn: ['h2'] });
    return connectHttp2(`https://${tls.serverName}`, { createConnection: () => socket });
  };

  it('a WebSocket echoes over HTTP/1.1, to servers with and without TLS', async () => {
    for (const name of ['plain', 'tls1']) {
      const messages = ['', 'hello', 'x'.repeat(60_000)];
      const plan = { ...target(name), path: '/socket', messages };
      assert.deepEqual(await callIn(host.resources, host.namespace, ECHO, plan), {
        server: name,
        answers: messages,
      });
    }
  });

  it('a WebSocket echoes over HTTP/2 (RFC 8441)', async () => {
    const client = await session('plain');
    try {
      const [settings] = await once(client, 'remoteSettings');
      assert.equal(settings.enableConnectProtocol, true);
      const stream = client.request(
        { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/socket', 'sec-websocket-version': '13' },
        { endStream: false },
      );
      const [headers] = await once(stream, 'response');
      assert.equal(headers[':status'], 200);
      const reader = new FrameReader();
      const frames: Frame[] = [];
      stream.on('data', (bytes) => frames.push(...reader.read(bytes)));
      for (const message of ['hello', 'x'.repeat(60_000)]) {
        stream.write(encodeFrame({ opcode: OPCODE.text, payload: Buffer.from(message) }, true));
        const { payload } = await eventually('an echo', () => frames.shift());
        assert.equal(payload.toString(), message);
      }
    } finally {
      client.destroy();
    }
  });

  it('a WebSocket stays through a reload, until the deadline of the drain', async () => {
    const plan = { ...target('plain'), path: '/socket', connections: 5, intervalMs: 50 };
    const holding = await startCall(host.resources, host.namespace, HOLD, plan);
    await holding.process.waitForEvent('holding', TIMEOUT_MS);
    configure('50s');
    assert.equal((await host.l7('reload')).stdout, 'in force by a reload\n');
    const reloadedMs = performance.now();
    const failed = () => holding.process.events.filter(({ event }) => event === 'failed').length;
    await eventually('the deadline ends them', () => failed() === 5);
    const ms = performance.now() - reloadedMs;
    assert.ok(ms > DRAIN_DEADLINE_MS - 2_000, `after ${ms} ms`);
    const opened = () => holding.process.events.filter(({ event }) => event === 'open').length;
    await eventually('they are open again', () => opened() === 10);
    const { failures, echoes } = await holding.stop();
    assert.equal(failures.length, 5);
    assert.ok(echoes > 100, `${echoes}`);
  });

  it('a call gets its message and its status in the trailers, over HTTP/2 to every kind of server', async () => {
    for (const name of ['h2c', 'tls2', 'mutual']) {
      const plan = { ...target(name, ['h2']), path: '/grpc?status=5' };
      const answer = await callIn(host.resources, host.namespace, GRPC, plan);
      assert.deepEqual(answer, { httpStatus: 200, server: name, grpcStatus: '5', message: 'done' });
      const seen = await eventually(`${name} tells of it`, () => servers.get(name)!.requests().at(-1));
      assert.deepEqual([seen.httpVersion, seen.method, seen.bodyBytes], ['2.0', 'POST', 5]);
      assert.deepEqual(
        seen.headers.find(([header]) => header === 'te'),
        ['te', 'trailers'],
      );
      if (name !== 'h2c') assert.deepEqual([seen.tls?.serverName, seen.tls?.alpn], [INTERNAL, 'h2']);
      if (name === 'mutual') assert.equal(seen.tls?.client, 'CN=proxy');
    }
  });

  it('an upload of 20 MB arrives whole, with a length and in chunks, over every protocol', async () => {
    const file = join(host.resources.directory, 'upload');
    writeFileSync(file, randomBytes(UPLOAD_BYTES));
    for (const [i, [name, http, headers]] of (
      [
        ['plain', '1.1', []],
        ['plain', '1.1', ['Transfer-Encoding: chunked']],
        ['plain', '2', []],
        ['h2c', '2', []],
        ['mutual', '1.1', []],
      ] as const
    ).entries()) {
      const options = ['--data-binary', `@${file}`, '--output', '/dev/null'];
      const url = `https://${name}.example.com/upload/${i}`;
      const answer = await host.get('', {
        url,
        http,
        headers: [...headers, 'Expect:'],
        options,
        timeoutMs: 60_000,
      });
      assert.deepEqual([answer.exitCode, answer.status], [0, 200], url);
      const seen = await eventually('the server tells of it', () =>
        servers
          .get(name)!
          .requests()
          .find(({ path }) => path === `/upload/${i}`),
      );
      assert.equal(seen.bodyBytes, UPLOAD_BYTES, url);
    }
  });

  it('an answer that comes bit by bit goes on bit by bit', async () => {
    const spreadMs = async (name: string, http2: boolean): Promise<number> => {
      const path = '/drip?bytes=5&interval=300';
      const times: number[] = [];
      const note = (): void => void times.push(performance.now());
      if (http2) {
        const client = await session(name);
        const stream = client.request({ ':path': path });
        stream.on('data', note);
        await once(stream, 'end');
        client.destroy();
      } else {
        const { address, port, tls } = target(name);
        const socket = await connectTls(relay, { address, port, ...tls });
        socket.on('data', note);
        socket.write(`GET ${path} HTTP/1.1\r\nHost: ${tls.serverName}\r\nConnection: close\r\n\r\n`);
        await once(socket, 'end');
      }
      return times.at(-1)! - times[0]!;
    };
    const kinds = ['plain', 'h2c', 'tls1'].flatMap((name) =>
      [false, true].map((http2) => [name, http2] as const),
    );
    for (const [i, ms] of (await Promise.all(kinds.map((kind) => spreadMs(...kind)))).entries())
      assert.ok(ms > 800, `${kinds[i]}: all within ${ms} ms`);
  });
});
