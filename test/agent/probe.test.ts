/** Questions about probes: who may ask, what of, how many at once, and what becomes of answers that are none. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { pino } from 'pino';
import { fleetOf } from '#anyhop/agent/fleet.js';
import {
  askAboutProbe,
  type ProbeQuestion,
  ProbeRefused,
  parseProbeReport,
  readProbeQuestion,
  writeProbeQuestion,
} from '#anyhop/agent/probe.js';
import { ProbeWatch } from '#anyhop/agent/probe-watch.js';
import { ReportServer } from '#anyhop/agent/report-server.js';
import { PROBE_WAIT_MS_MAX, PROBE_WAIT_MS_MIN, PROBES_AT_ONCE } from '#anyhop/core/limits.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { parseEndpoint } from '#anyhop/packet/compose.js';
import { configOf, freePort, REPORT } from './report-fixture.js';

const log = pino({ level: 'silent' });
const QUESTION: ProbeQuestion = {
  protocol: 'tcp',
  client: parseEndpoint('10.0.0.1:61000')!,
  vip: parseEndpoint('203.0.113.10:80')!,
  waitMs: PROBE_WAIT_MS_MAX,
};
const ANSWER = {
  version: '1.2.3',
  seen: [{ direction: 'in', kind: 'SYN', interface: 'eth0' }],
  fate: [{ kind: 'SYN', verdict: 'delivered' }],
  verdicts: { delivered: 1 },
  vipIsLocal: true,
};

describe('questions about probes', () => {
  let port: number;
  let server: ReportServer;
  const counts: Record<string, number> = { delivered: 7, drop_stranger: 3 };
  before(async () => {
    port = await freePort('127.0.0.1');
    const config = configOf(port);
    const fleet = { ...fleetOf(config), backends: [parseAddress('127.0.0.9')!] };
    const capture = { begin: async () => undefined }; // as while something else is captured
    const watch = new ProbeWatch({
      services: config.services,
      verdicts: () => ({ ...counts }),
      capture,
      log,
    });
    server = new ReportServer(fleet, port, [parseAddress('127.0.0.1')!], () => REPORT, log, watch);
    while (!(await isListening())) await delay(5);
  });
  after(() => server?.close());

  const isListening = (): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(socket.destroy() !== undefined));
      socket.once('error', () => resolve(false));
    });
  const never = new Promise<void>(() => {});
  const ask = (question = QUESTION, watching = () => {}, done: Promise<unknown> = Promise.resolve()) =>
    askAboutProbe('127.0.0.1', port, question, watching, done);
  const raw = (text: string, from: string): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect({ host: '127.0.0.1', port, localAddress: from });
      const parts: Buffer[] = [];
      socket.on('data', (part) => parts.push(part)).on('error', () => {});
      socket.on('close', () => resolve(Buffer.concat(parts).toString()));
      socket.write(text);
    });
  const get = (query: string, from = '127.0.0.1'): Promise<string> =>
    raw(`GET /probe${query} HTTP/1.1\r\nHost: a\r\n\r\n`, from);

  test('are answered with what was counted meanwhile, as soon as the forwarder has what it waits for', async () => {
    const report = await ask(QUESTION, () => {
      counts['drop_stranger']! += 2;
    });
    assert.deepEqual(report.verdicts, { drop_stranger: 2 });
    assert.equal(report.vipIsLocal, false);
  });

  test('are for forwarders alone, and about services of the config', async () => {
    const query = `?${writeProbeQuestion(QUESTION)}`;
    assert.equal(await get(query, '127.0.0.2'), '', 'a stranger');
    assert.match(await get(query, '127.0.0.9'), / 403 .*only forwarders/s);
    assert.match(await get(query.replace('%3A80&', '%3A22&')), / 404 .*no such service/s);
    assert.match(await get(query.replace('tcp', 'udp')), / 404 /);
    for (const bad of ['', '?', '?protocol=tcp', query.replace(`wait=${PROBE_WAIT_MS_MAX}`, 'wait=999999')])
      assert.match(await get(bad), / 400 /, bad);
    assert.match(
      await raw('POST /probe HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n', '127.0.0.1'),
      / 405 /,
    );
  });

  test('are refused beyond a few at once, and those of a forwarder that goes make room', async () => {
    const open = Array.from({ length: PROBES_AT_ONCE }, () => {
      const socket = connect(port, '127.0.0.1').on('error', () => {});
      const query = writeProbeQuestion(QUESTION);
      socket.write(`GET /probe?${query} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n`);
      return socket;
    });
    await Promise.all(open.map((socket) => once(socket, 'data')));
    await assert.rejects(ask(), ({ why }: ProbeRefused) => why === 'busy');
    for (const socket of open) socket.destroy();
    for (let tries = 0; ; tries++) {
      try {
        await ask();
        break;
      } catch (error) {
        assert.ok(error instanceof ProbeRefused && error.why === 'busy' && tries < 500);
        await delay(20);
      }
    }
  });

  test('end by themselves when the forwarder says nothing more', { timeout: 30_000 }, async () => {
    const started = performance.now();
    await ask({ ...QUESTION, waitMs: PROBE_WAIT_MS_MIN }, () => {}, never);
    assert.ok(performance.now() - started >= PROBE_WAIT_MS_MIN - 5);
  });

  test('come back as they were written, and nothing else is one', () => {
    const address = fc.constantFrom(
      '10.0.0.1:61000',
      '[fd00::1]:61000',
      '203.0.113.10:80',
      '[2001:db8::10]:1',
    );
    const waits = fc.integer({ min: PROBE_WAIT_MS_MIN, max: PROBE_WAIT_MS_MAX });
    fc.assert(
      fc.property(fc.constantFrom('tcp', 'udp'), address, address, waits, (protocol, client, vip, waitMs) => {
        const question = {
          protocol: protocol as 'tcp',
          client: parseEndpoint(client)!,
          vip: parseEndpoint(vip)!,
          waitMs,
        };
        const isOne = question.client.address.family === question.vip.address.family;
        assert.deepEqual(readProbeQuestion(writeProbeQuestion(question)), isOne ? question : undefined);
      }),
    );
    fc.assert(fc.property(fc.string(), (text) => assert.equal(readProbeQuestion(text), undefined)));
  });
});

test('answers are believed when they have the shape, and without what is not known', () => {
  assert.deepEqual(parseProbeReport(JSON.stringify({ ...ANSWER, more: 1 })), ANSWER);
  const { fate: _, ...former } = ANSWER;
  assert.equal(parseProbeReport(JSON.stringify(former))!.fate, null, 'of an agent that cannot tell');
  const none: object[] = [
    { version: '\u001b[2J' },
    { seen: [{ direction: 'up', kind: 'SYN' }] },
    { seen: [{ direction: 'in', kind: 'SYN', interface: 'a\u001bb' }] },
    { seen: Array(65).fill(ANSWER.seen[0]) },
    { verdicts: { 'Drop It': 1 } },
    { verdicts: { delivered: -1 } },
    { verdicts: [] },
    { vipIsLocal: 'yes' },
    { unseen: 7 },
    { fate: [{ kind: 'SYN', verdict: 'No Verdict' }] },
    { fate: [{ kind: 'FIN', verdict: 'delivered' }] },
    { fate: Array(65).fill(ANSWER.fate[0]) },
  ];
  for (const change of none)
    assert.equal(
      parseProbeReport(JSON.stringify({ ...ANSWER, ...change })),
      undefined,
      JSON.stringify(change),
    );
  fc.assert(fc.property(fc.json(), (text) => assert.equal(parseProbeReport(text), undefined)));
});

test('an agent that sends nonsense, too much or nothing is no agent that watches', {
  timeout: 30_000,
}, async () => {
  const answers = [
    'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nnonsense',
    `HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n${'x'.repeat(200_000)}`,
    'HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n{"error":"there is only /report"}',
    'SSH-2.0-OpenSSH_9.2\r\n',
  ];
  for (const answer of answers) {
    const server = createServer((socket) => socket.on('error', () => {}).end(answer)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    await assert.rejects(
      askAboutProbe('127.0.0.1', port, { ...QUESTION, waitMs: 100 }, () => {}, Promise.resolve()),
      (error) => error instanceof ProbeRefused,
    );
    server.close();
  }
});
