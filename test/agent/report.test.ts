/** What is made of a report that comes from another machine. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type AgentReport, fetchAgentReport, parseAgentReport } from '#anyhop/agent/report.js';
import { AnyhopError } from '#anyhop/core/errors.js';
import { freePort, REPORT, TIMEOUT_MS } from './report-fixture.js';

describe('a report from another machine', () => {
  test('is taken when it is whole, and whatever else comes is refused', () => {
    assert.deepEqual(parseAgentReport(JSON.stringify(REPORT)), REPORT);
    assert.deepEqual(parseAgentReport(JSON.stringify({ ...REPORT, more: 1 })), REPORT);
    const driven = { ...REPORT, driver: { sendFailed: 3, missed: null } };
    assert.deepEqual(parseAgentReport(JSON.stringify(driven)), driven);
    const lacking = { ...REPORT, missingVips: ['203.0.113.10', 'fd00::10'] };
    assert.deepEqual(parseAgentReport(JSON.stringify(lacking)), lacking);
    for (const cookies of [
      { ok: true, keys: ['0123456789abcdef'] },
      { ok: false, why: 'net.ipv4.tcp_timestamps is 0' },
    ])
      assert.deepEqual(parseAgentReport(JSON.stringify({ ...REPORT, cookies })), { ...REPORT, cookies });
    const obeyed = { ...REPORT, cookies: { ok: false, why: 'no\x1b[2J' } };
    assert.deepEqual(parseAgentReport(JSON.stringify(obeyed))?.cookies, { ok: false, why: 'no\\u001b[2J' });
    const { draining: _, forwarders: __, ...older } = REPORT;
    assert.deepEqual(parseAgentReport(JSON.stringify(older)), { ...older, draining: false, forwarders: [] });
    const [vip] = REPORT.vips;
    const [forwarder] = REPORT.forwarders;
    for (const wrong of [
      null,
      [],
      {},
      { ...REPORT, version: 1 },
      { ...REPORT, startedAt: 'soon' },
      { ...REPORT, vips: {} },
      { ...REPORT, vips: [null] },
      { ...REPORT, vips: [{ ...vip, protocol: 'udp' }] },
      { ...REPORT, vips: [{ ...vip, established: '12' }] },
      { ...REPORT, vips: [{ ...vip, established: -1 }] },
      { ...REPORT, vips: [{ ...vip, established: 1.5 }] },
      { ...REPORT, vips: [{ ...vip, services: [1] }] },
      { ...REPORT, vips: [{ ...vip, services: { web: null } }] },
      { ...REPORT, verdicts: { delivered: 1e99 } },
      // Texts that a terminal would obey, and any that no agent gives.
      { ...REPORT, version: '1.0\x1b[2J' },
      { ...REPORT, version: 'x'.repeat(65) },
      { ...REPORT, startedAt: 'Wed, 01 May 2024 12:00:00 GMT (\x1b[2J)' },
      { ...REPORT, vips: [{ ...vip, vip: '203.0.113.10\x1b[2J' }] },
      { ...REPORT, vips: [{ ...vip, services: { 'web\x9b2J': 1 } }] },
      { ...REPORT, verdicts: { 'delivered\n': 1 } },
      { ...REPORT, verdicts: Object.fromEntries(Array.from({ length: 1025 }, (_, i) => [`v${i}`, 1])) },
      { ...REPORT, driver: { sendFailed: -1, missed: 0 } },
      { ...REPORT, verdicts: undefined },
      { ...REPORT, missingVips: '203.0.113.10' },
      { ...REPORT, missingVips: ['203.0.113.10\x1b[2J'] },
      { ...REPORT, missingVips: ['203.0.113.010'] },
      { ...REPORT, missingVips: Array.from({ length: 4097 }, () => '203.0.113.10') },
      { ...REPORT, cookies: true },
      { ...REPORT, cookies: { ok: 1, keys: ['0123456789abcdef'] } },
      { ...REPORT, cookies: { ok: true } },
      { ...REPORT, cookies: { ok: true, keys: [] } },
      { ...REPORT, cookies: { ok: true, keys: ['0123456789abcdeF'] } },
      { ...REPORT, cookies: { ok: true, keys: Array.from({ length: 5 }, () => '0123456789abcdef') } },
      { ...REPORT, cookies: { ok: false } },
      { ...REPORT, cookies: { ok: false, why: 'x'.repeat(301) } },
      { ...REPORT, draining: 'true' },
      { ...REPORT, draining: null },
      { ...REPORT, draining: 1 },
      { ...REPORT, forwarders: {} },
      { ...REPORT, forwarders: [null] },
      { ...REPORT, forwarders: [{ ...forwarder, address: '10.0.0.1\x1b[2J' }] },
      { ...REPORT, forwarders: [{ ...forwarder, address: '010.0.0.1' }] },
      { ...REPORT, forwarders: [{ ...forwarder, draining: 'yes' }] },
      { ...REPORT, forwarders: [{ ...forwarder, agoMs: -1 }] },
      { ...REPORT, forwarders: [{ ...forwarder, everyMs: 1e99 }] },
      { ...REPORT, forwarders: Array.from({ length: 513 }, () => forwarder) },
    ])
      assert.equal(parseAgentReport(JSON.stringify(wrong)), undefined, JSON.stringify(wrong));
  });

  test('is never something else, whatever text comes', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.json(),
      fc.record({ at: fc.nat(), put: fc.string({ maxLength: 3 }) }).map(({ at, put }) => {
        const whole = JSON.stringify(REPORT);
        const place = at % whole.length;
        return whole.slice(0, place) + put + whole.slice(place + 1);
      }),
    );
    fc.assert(
      fc.property(text, (each) => {
        const report = parseAgentReport(each);
        if (report === undefined) return;
        assert.ok(
          report.vips.every(({ established }) => Number.isSafeInteger(established) && established >= 0),
        );
      }),
      { numRuns: 2000 },
    );
  });

  /** Asks a server that answers as it likes. */
  async function fetchFrom(
    handle: Parameters<typeof createServer>[1],
    timeoutMs: number,
  ): Promise<AgentReport> {
    const server = createServer(handle).listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      return await fetchAgentReport('127.0.0.1', (server.address() as AddressInfo).port, timeoutMs);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }

  test('is waited for only so long, and read only so far', async () => {
    const isLate = /does not answer: not within 300ms/;
    await assert.rejects(
      fetchFrom(() => {}, 300),
      isLate,
    );
    const drip: Parameters<typeof createServer>[1] = (_, response) => {
      const timer = setInterval(() => response.write(' '), 50);
      response.once('close', () => clearInterval(timer));
    };
    await assert.rejects(fetchFrom(drip, 300), isLate);
    const flood: Parameters<typeof createServer>[1] = (_, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(' '.repeat(65536)));
      };
      response.on('drain', more);
      more();
    };
    await assert.rejects(fetchFrom(flood, TIMEOUT_MS), /more than \d+ bytes/);
    const crumbs: Parameters<typeof createServer>[1] = (_, response) => {
      response.flushHeaders();
      response.socket!.write('1\r\n \r\n'.repeat(100_000));
    };
    await assert.rejects(fetchFrom(crumbs, TIMEOUT_MS), /more than 4096 pieces/);
    await assert.rejects(
      fetchFrom((_, response) => response.socket?.destroy(), TIMEOUT_MS),
      /does not answer/,
    );
    await assert.rejects(
      fetchFrom((_, response) => void response.writeHead(302, { location: '/report' }).end(), TIMEOUT_MS),
      /answers 302/,
    );
    await assert.rejects(
      fetchFrom((_, response) => void response.end('{}'), TIMEOUT_MS),
      /no report/,
    );
    const hostile = `gone\x1b[2J\n${'x'.repeat(1000)}`;
    await assert.rejects(
      fetchFrom((_, response) => void response.writeHead(500).end(hostile), TIMEOUT_MS),
      (error: Error) => /answers 500: gone\\u001b\[2J\\nx{100,200}\.\.\.$/.test(error.message),
    );
    const closed = await freePort('127.0.0.1');
    await assert.rejects(
      fetchAgentReport('127.0.0.1', closed, TIMEOUT_MS),
      (error) =>
        error instanceof AnyhopError &&
        error.code === 'ERR_REPORT' &&
        /does not answer: connection refused$/.test(error.message),
    );
  });
});
