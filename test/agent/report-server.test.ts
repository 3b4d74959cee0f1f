/** Who is told what an agent has to report, and what becomes of those who mean harm. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import type { Asked } from '#anyhop/agent/drain-wish.js';
import { fleetOf } from '#anyhop/agent/fleet.js';
import { type AgentReport, fetchAgentReport } from '#anyhop/agent/report.js';
import { ReportServer } from '#anyhop/agent/report-server.js';
import { AnyhopError } from '#anyhop/core/errors.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { configOf, freePort, REPORT, TIMEOUT_MS } from './report-fixture.js';

const log = pino({ level: 'silent' });

describe('the report over HTTP', () => {
  let port: number;
  let server: ReportServer;
  const asked: Asked[] = [];
  let answer: () => AgentReport = () => REPORT;
  before(async () => {
    port = await freePort('127.0.0.1');
    const locals = ['127.0.0.1', '::1'].map((text) => parseAddress(text)!);
    const report = (who: Asked): AgentReport => {
      asked.push(who);
      return answer();
    };
    const fleet = { ...fleetOf(configOf(port)), backends: [parseAddress('127.0.0.9')!] };
    server = new ReportServer(fleet, port, locals, report, log);
    while (!(await isListening('127.0.0.1'))) await delay(5);
  });
  after(() => server?.close());

  const isListening = (host: string): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect(port, host, () => resolve(socket.destroy() !== undefined));
      socket.once('error', () => resolve(false));
    });

  /** Sends bytes as they are. @returns all that comes back until the other end closes, or undefined when it cut off */
  function raw(text: string, from?: string): Promise<string> {
    return new Promise((resolve) => {
      const parts: Buffer[] = [];
      const socket = connect({ host: '127.0.0.1', port, ...(from !== undefined && { localAddress: from }) });
      socket.on('data', (part) => parts.push(part)).on('error', () => {});
      socket.on('close', () => resolve(Buffer.concat(parts).toString()));
      socket.write(text);
    });
  }
  const isWell = async (): Promise<void> =>
    assert.deepEqual(await fetchAgentReport('127.0.0.1', port, TIMEOUT_MS), REPORT);

  test('is what the client reads', isWell);

  test('is for forwarders and backends alone: others are hung up on', async () => {
    assert.equal(await raw('GET /report HTTP/1.1\r\nHost: a\r\n\r\n', '127.0.0.2'), '');
    await assert.rejects(fetchAgentReport('::1', port, TIMEOUT_MS), /does not answer/);
    assert.match(await raw('GET /report HTTP/1.1\r\nHost: a\r\n\r\n'), /^HTTP\/1\.1 200 /);
  });

  test('knows which forwarder asked and what it said, and takes no such word from a backend', async () => {
    const said = async (from: string, header: string) => {
      asked.length = 0;
      await raw(`GET /report HTTP/1.1\r\nHost: a\r\n${header}\r\n`, from);
      return asked.map(({ address, forwarder }) => ({ address: address.text, forwarder }));
    };
    await fetchAgentReport('127.0.0.1', port, TIMEOUT_MS, { draining: true, everyMs: 5_000 });
    assert.deepEqual(asked.at(-1)!.forwarder, { address: '127.0.0.1', draining: true, everyMs: 5_000 });
    const word = 'anyhop-forwarder: draining=no; every=80\r\n';
    const forwarder = { address: '127.0.0.4', draining: false, everyMs: 80_000 };
    assert.deepEqual(await said('127.0.0.4', word), [{ address: '127.0.0.1', forwarder }]);
    const unknown = [{ address: '127.0.0.1', forwarder: undefined }];
    for (const header of ['', 'anyhop-forwarder: draining=no\r\n', `${word}${word}`])
      assert.deepEqual(await said('127.0.0.4', header), unknown, 'it gets its answer all the same');
    assert.deepEqual(await said('127.0.0.9', word), unknown, 'a backend');
    assert.deepEqual(await said('127.0.0.2', word), [], 'a stranger');
  });

  test('answers one question a connection, and what is no question with what is wrong', async () => {
    const statusOf = async (text: string): Promise<string> => (await raw(text)).split('\r\n', 1)[0];
    assert.match(await statusOf('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), / 404 /);
    assert.match(await statusOf('GET //[ HTTP/1.1\r\nHost: a\r\n\r\n'), / 404 /);
    assert.match(await statusOf('GET /report/../x HTTP/1.1\r\nHost: a\r\n\r\n'), / 404 /);
    assert.match(await statusOf('POST /report HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n123'), / 405 /);
    assert.match(await statusOf('HEAD /report HTTP/1.1\r\nHost: a\r\n\r\n'), / 405 /);
    assert.match(await statusOf('GET /report?now=1 HTTP/1.1\r\nHost: a\r\n\r\n'), / 200 /);
    assert.match(await statusOf('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n'), / 400 /);
    assert.match(
      await statusOf(`GET /report HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(5000)}\r\n\r\n`),
      / 431 /,
    );
    assert.equal(
      (await raw('GET /report HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(3))).split('HTTP/1.1 ').length,
      2,
    );
    let made = 0;
    answer = () => {
      made++;
      return REPORT;
    };
    await raw('GET /report HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(2000));
    assert.equal(made, 1, 'reports that nobody reads are not even made');
    answer = () => REPORT;
    await statusOf('CONNECT /report HTTP/1.1\r\nHost: a\r\n\r\n');
    await statusOf('GET /report HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n');
    await isWell();
  });

  test('says that it does not know rather than that there is nothing', async () => {
    answer = () => {
      throw new AnyhopError('ERR_BPF', 'asking the kernel failed');
    };
    await assert.rejects(fetchAgentReport('127.0.0.1', port, TIMEOUT_MS), /answers 503: .*asking the kernel/);
    answer = () => REPORT;
    await isWell();
  });

  test('is there for others while one peer holds as many connections as it can', async () => {
    const greedy = Array.from({ length: 200 }, () => connect(port, '127.0.0.1').on('error', () => {}));
    await Promise.all(greedy.map((socket) => once(socket, 'connect')));
    const started = performance.now();
    for (const other of ['127.0.0.4', '127.0.0.5', '127.0.0.6', '127.0.0.7']) {
      assert.match(await raw('GET /report HTTP/1.1\r\nHost: a\r\n\r\n', other), /^HTTP\/1\.1 200 /);
    }
    await isWell(); // and for itself, when it asks anew
    assert.ok(performance.now() - started < 5_000, 'long before the first connections end by themselves');
    assert.ok(greedy.filter(({ closed }) => !closed).length <= 8);
    for (const socket of greedy) socket.destroy();
  });

  test('outlives more connections than it takes, that say nothing, or a byte a second', {
    timeout: 60_000,
  }, async () => {
    const sockets = Array.from({ length: 200 }, () => connect(port, '127.0.0.1'));
    const closed = sockets.map(
      (socket) => new Promise((resolve) => socket.on('error', () => {}).once('close', resolve)),
    );
    const started = performance.now();
    const drip = setInterval(() => {
      for (const socket of sockets.slice(100)) if (socket.writable) socket.write('G');
    }, 500);
    await Promise.all(closed);
    clearInterval(drip);
    assert.ok(performance.now() - started < 20_000);
    await isWell();
  });

  test('keeps nobody who does not read what he asked for', { timeout: 60_000 }, async () => {
    const long = Array.from({ length: 12_000 }, (_, i) => [`service-${i}-${'x'.repeat(45)}`, i] as const);
    answer = () => ({ ...REPORT, vips: [{ ...REPORT.vips[0], services: Object.fromEntries(long) }] });
    const socket = connect(port, '127.0.0.1');
    socket.pause().write('GET /report HTTP/1.1\r\nHost: a\r\n\r\n');
    const closing = server.close();
    await closing; // does not wait for him
    socket.destroy();
    const locals = [parseAddress('127.0.0.1')!];
    server = new ReportServer(fleetOf(configOf(port)), port, locals, () => answer(), log);
    while (!(await isListening('127.0.0.1'))) await delay(5);
    assert.equal(
      Object.keys((await fetchAgentReport('127.0.0.1', port, TIMEOUT_MS)).vips[0].services).length,
      12_000,
    );
    answer = () => REPORT;
  });

  test('is a warning where the port is taken, and there as soon as it is free', {
    timeout: 30_000,
  }, async () => {
    const taken = await freePort('127.0.0.1');
    const other = createServer().listen(taken, '127.0.0.1');
    await once(other, 'listening');
    const lines: string[] = [];
    const written = pino({ level: 'warn' }, { write: (line: string) => lines.push(line) });
    const locals = ['127.0.0.1', '192.0.2.1'].map((text) => parseAddress(text)!);
    const late = new ReportServer(fleetOf(configOf(taken)), taken, locals, () => REPORT, written);
    while (lines.length < 2) await delay(5);
    assert.match(lines.join(''), /no reports on 127\.0\.0\.1 port \d+.*address already in use/);
    assert.match(lines.join(''), /no reports on 192\.0\.2\.1 port \d+.*address not available/);
    other.close();
    for (;;) {
      const report = await fetchAgentReport('127.0.0.1', taken, TIMEOUT_MS).catch(() => undefined);
      if (report !== undefined) break;
      await delay(100);
    }
    assert.equal(lines.length, 2, 'said once');
    await late.close();
  });
});
