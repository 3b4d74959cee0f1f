/** Every kind of check against real servers, good ones and bad ones: the mark and the reason that a person reads. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { HealthCheck, HttpCheck, TlsCheck, UdpCheck } from '#anyhop/config/types.js';
import { createLog } from '#anyhop/core/log.js';
import { HealthChecks } from '#anyhop/health/health-checks.js';
import { Probes } from '#anyhop/health/probes.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { isInstalled } from '../isolation.js';
import {
  answering,
  closedPort,
  makeCertificate,
  type TestServer,
  tcpServer,
  tlsServer,
  udpServer,
} from './servers.js';

const TIMEOUT_MS = 300;
const PROBES = new Probes({ interface: 'lo', source4: undefined, source6: undefined, isLocal: () => false });
const GOOD = 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nall right';

/** Checks once. @returns `up`, or why not */
async function verdictOf(check: HealthCheck): Promise<string> {
  const checks = new HealthChecks({ log: createLog('silent'), probe: PROBES.make });
  const timing = { intervalMs: 60_000, timeoutMs: TIMEOUT_MS, rise: 1, fall: 1, jitter: 0 };
  await checks.setTargets([
    { name: 'a/b', address: parseAddress('127.0.0.1')!, checks: [{ ...timing, ...check }] },
  ]);
  const { isUp, reason } = checks.current().get('a/b')!;
  checks.close();
  return isUp ? 'up' : reason;
}

async function against(server: Promise<TestServer>, check: (port: number) => HealthCheck): Promise<string> {
  const { port, close } = await server;
  try {
    return (await verdictOf(check(port))).replaceAll(String(port), 'PORT');
  } finally {
    close();
  }
}

describe('a tcp check', () => {
  const tcp = (port: number): HealthCheck => ({ kind: 'tcp', port });

  it('is good when a connection is made, even with a server that never says a word', async () => {
    assert.equal(
      await against(
        tcpServer(() => {}),
        tcp,
      ),
      'up',
    );
  });

  it('fails where nobody listens', async () => {
    const port = await closedPort();
    assert.equal(await verdictOf(tcp(port)), `connection refused (127.0.0.1:${port})`);
  });
});

describe('an http check', () => {
  const http =
    (change: Partial<HttpCheck> = {}) =>
    (port: number): HttpCheck => ({
      kind: 'http',
      port,
      path: '/healthz',
      host: undefined,
      status: { first: 200, last: 399 },
      body: undefined,
      tls: undefined,
      ...change,
    });
  const answer = (text: string, change?: Partial<HttpCheck>) =>
    against(tcpServer(answering(text)), http(change));

  it('sends a GET of the path, with the Host that is wanted', async () => {
    const heads: string[] = [];
    const server = () =>
      tcpServer((socket) => {
        socket.once('data', (data) => {
          heads.push(data.toString('latin1'));
          socket.end(GOOD);
        });
      });
    await against(server(), http());
    await against(server(), http({ host: 'www.example.com' }));
    assert.match(heads[0], /^GET \/healthz HTTP\/1\.1\r\n(.*\r\n)*Host: 127\.0\.0\.1:\d+\r\n/i);
    assert.match(heads[1], /\r\nHost: www\.example\.com\r\n/i);
    for (const head of heads) assert.match(head, /\r\nConnection: close\r\n/);
  });

  it('judges the status', async () => {
    assert.equal(await answer(GOOD), 'up');
    assert.equal(await answer('HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n'), 'up');
    assert.equal(
      await answer('HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n'),
      'HTTP status 503; expected 200-399',
    );
    assert.equal(await answer(GOOD, { status: { first: 204, last: 204 } }), 'HTTP status 200; expected 204');
  });

  it('finds what it wants in the body, wherever the pieces were cut', async () => {
    assert.equal(await answer(GOOD, { body: 'right' }), 'up');
    assert.equal(await answer(GOOD, { body: 'wrong' }), 'the body does not hold "wrong"');
    const inPieces = tcpServer((socket) => {
      socket.once('data', async () => {
        for (const piece of ['HTTP/1.1 200 OK\r\n\r\nall ri', 'gh', 't']) {
          socket.write(piece);
          await delay(20);
        }
        socket.end();
      });
    });
    assert.equal(await against(inPieces, http({ body: 'all right' })), 'up');
  });

  it('looks at the first 64 KiB of a body and no further', async () => {
    const endless = (text: string) =>
      answering(`HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(65_536 - text.length)}${text}`, () => {});
    assert.equal(await against(tcpServer(endless('end')), http({ body: 'end' })), 'up');
    const late = answering(`HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(65_536)}end`, () => {});
    assert.equal(await against(tcpServer(late), http({ body: 'end' })), 'the body does not hold "end"');
  });

  it('fails on a server that takes the connection and says nothing', async () => {
    assert.equal(
      await against(
        tcpServer(() => {}),
        http(),
      ),
      'no response within 300ms',
    );
  });

  it('fails on a server that answers byte after byte, too slowly', async () => {
    const slow = tcpServer(async (socket) => {
      for (const byte of GOOD) {
        if (socket.destroyed) return;
        socket.write(byte);
        await delay(50);
      }
    });
    assert.equal(await against(slow, http()), 'no response within 300ms');
  });

  it('fails on a server that resets the connection', async () => {
    const reset = tcpServer((socket) => socket.once('data', () => socket.resetAndDestroy()));
    assert.equal(await against(reset, http()), 'connection reset by peer');
  });

  it('fails on half an answer: head or body', async () => {
    assert.equal(await answer(''), 'the connection ended without an answer');
    assert.equal(await answer('HTTP/1.1 200 OK\r\nContent-Le'), 'the connection ended within the headers');
    assert.equal(await answer(GOOD.slice(0, -4), { body: 'right' }), 'the connection ended within the body');
    const hanging = tcpServer(answering(GOOD.slice(0, -4), () => {}));
    assert.equal(await against(hanging, http({ body: 'right' })), 'no whole body within 300ms');
  });

  it('fails on what is no HTTP', async () => {
    const open = (text: string) => against(tcpServer(answering(text, () => {})), http());
    assert.equal(await open('SSH-2.0-OpenSSH_9.2\r\n'), 'the answer is not HTTP: "SSH-2.0-OpenSSH_9.2"');
    assert.equal(await answer('\x1b[2J'), 'the answer is not HTTP: "\\u001b[2J"');
  });

  it('costs little when every byte of the body is a chunk of its own', async () => {
    const chunks = '1\r\nx\r\n'.repeat(65_536);
    const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
    const before = process.cpuUsage();
    assert.equal(await answer(`${head}${chunks}0\r\n\r\n`, { body: 'y' }), 'the body does not hold "y"');
    const { user, system } = process.cpuUsage(before);
    // It takes some 20 ms, and took 18 s when every chunk was a reason to search the whole body again.
    assert.ok(user + system < 2_000_000, `${(user + system) / 1000} ms`);
  });

  it('takes no backend down for an answer that every client understands', async () => {
    const body = 'all right';
    for (const head of [
      'HTTP/1.1 200 OK\nServer: bare LF\nContent-Length: 9\n\n',
      'HTTP/1.0 200\r\n\r\n',
      'HTTP/1.1 200 OK\r\nX-Folded: one\r\n two\r\n\tthree\r\nContent-Length:\r\n 9\r\n\r\n',
      `HTTP/1.1 200 OK\r\nSet-Cookie: ${'x'.repeat(60_000)}\r\nContent-Length: 9\r\n\r\n`,
      'HTTP/1.1 200 OK\r\nContent-Length: 9\r\nContent-Length: 9\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 9, 9\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 9\r\nContent-Length: 3\r\n\r\n',
      'HTTP/1.1 200 OK\r\nBad Name\r\n: no name\r\nX: \x00\xff\r\n\r\n',
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n',
    ]) {
      assert.equal(await answer(`${head}${body}`, { body: 'right' }), 'up', head.slice(0, 200));
      assert.equal(await answer(`${head}${body}`), 'up', head.slice(0, 200));
    }
    // Where the status is all that counts, nothing else has to be read.
    const endless = `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(1_000_000)}`;
    assert.equal(await answer(endless), 'up');
    assert.equal(await answer(endless, { body: 'right' }), 'the headers are longer than 128 KiB');
  });
});

describe('an https check', { skip: !isInstalled('openssl') && 'needs openssl' }, () => {
  const NAME = 'www.example.com';
  const certificate = makeCertificate(`DNS:${NAME},IP:127.0.0.1`);
  const https =
    (change: Partial<TlsCheck> = {}) =>
    (port: number): HttpCheck => ({
      kind: 'https',
      port,
      path: '/',
      host: undefined,
      status: { first: 200, last: 399 },
      body: 'right',
      tls: { verify: true, serverName: NAME, ca: certificate.cert, ...change },
    });
  const judge = (change?: Partial<TlsCheck>, own = certificate) =>
    against(tlsServer(own, answering(GOOD)), https(change));

  it('is good with a certificate that is trusted and for the name, or for the address when there is no name', async () => {
    assert.equal(await judge(), 'up');
    assert.equal(await judge({ serverName: undefined }), 'up');
  });

  it('fails on a certificate that nobody trusts, or for another name, unless it is not to be verified', async () => {
    assert.equal(await judge({ ca: undefined }), 'self-signed certificate');
    assert.match(await judge({ serverName: 'www.example.org' }), /does not match certificate's altnames/);
    const other = makeCertificate('DNS:www.example.net');
    assert.match(
      await judge({ ca: other.cert, serverName: undefined }, other),
      /IP: 127\.0\.0\.1 is not in the cert/,
    );
    assert.equal(await judge({ ca: undefined, serverName: 'www.example.org', verify: false }), 'up');
  });

  it('fails on a certificate that is over', async () => {
    const old = makeCertificate(`DNS:${NAME}`, -1);
    assert.equal(await judge({ ca: old.cert }, old), 'certificate has expired');
  });

  it('asks for the name, and for none when it knows an address alone', async () => {
    const asked: (string | undefined)[] = [];
    const server = () =>
      tlsServer(
        {
          ...certificate,
          SNICallback: (name, done) => {
            asked.push(name);
            done(null);
          },
        },
        answering(GOOD),
      );
    assert.equal(await against(server(), https()), 'up');
    assert.equal(await against(server(), https({ serverName: undefined })), 'up');
    assert.deepEqual(asked, [NAME]);
  });

  it('fails on a server that speaks no TLS, or hangs within the handshake', async () => {
    assert.match(await against(tcpServer(answering(GOOD)), https()), /^TLS: wrong version number$/);
    assert.equal(
      await against(
        tcpServer(() => {}),
        https(),
      ),
      'no TLS handshake within 300ms',
    );
  });
});

describe('a udp check', () => {
  const udp =
    (change: Partial<UdpCheck> = {}) =>
    (port: number): UdpCheck => ({ kind: 'udp', port, payload: 'ping\xff', answer: 'pong\xfe', ...change });

  it('sends the payload byte for byte, and wants the answer byte for byte', async () => {
    const payloads: string[] = [];
    const server = () =>
      udpServer((message) => {
        payloads.push(message.toString('latin1'));
        return Buffer.from('<pong\xfe>', 'latin1');
      });
    assert.equal(await against(server(), udp()), 'up');
    assert.deepEqual(payloads, ['ping\xff']);
    assert.equal(await against(server(), udp({ answer: undefined })), 'up');
    assert.equal(await against(server(), udp({ answer: 'pang' })), 'the answer does not hold "pang"');
  });

  it('fails on silence, and at once on a port that is closed', async () => {
    assert.equal(
      await against(
        udpServer(() => undefined),
        udp(),
      ),
      'no answer within 300ms',
    );
    const { port, close } = await udpServer(() => undefined);
    close();
    assert.equal(await verdictOf(udp()(port)), `127.0.0.1 says that port ${port} is unreachable`);
  });
});
