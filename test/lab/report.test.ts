/** The demo's last line and exit code tell the truth. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DemoCounts, demoReport } from '../../scripts/demo/report.js';
import type { HttpAnswer } from '../../scripts/lab/requests.js';

function answer(backend: string | null): HttpAnswer {
  const error = backend === null ? 'timeout' : null;
  return { host: '203.0.113.10', port: 80, sourcePort: 20_000, backend, bytes: 6, error };
}

function forwarder(name: string, forwarded: number): DemoCounts['forwarders'][number] {
  return {
    name,
    events: [
      { event: 'engine', engine: 'xdp', mode: 'native', reason: 'as configured' },
      { event: 'ready' },
      { event: 'counters', verdicts: { forwarded } },
    ],
  };
}

const GOOD: DemoCounts = {
  engine: 'xdp',
  own: [{ address: '10.0.1.1', echoes: 9, connections: 2, failures: [] }],
  answers: [answer('web-1'), answer('web-2')],
  router: new Map([
    ['edge-1', { toVip: 5, syn: 1, gre: 0, fromVip: 0 }],
    ['edge-2', { toVip: 5, syn: 1, gre: 0, fromVip: 0 }],
    ['web-1', { toVip: 0, syn: 0, gre: 5, fromVip: 5 }],
    ['web-2', { toVip: 0, syn: 0, gre: 5, fromVip: 5 }],
  ]),
  backends: ['web-1', 'web-2'],
  forwarders: [forwarder('edge-1', 5), forwarder('edge-2', 5)],
};

function lastLine(text: string): string {
  return text.split('\n').at(-1)!;
}

test('a run in which all requests were answered and all machines took part passes', () => {
  const { text, passed } = demoReport(GOOD);
  assert.equal(lastLine(text), 'demo: 2 requests, 0 failed, 2 backends, 2 forwarders');
  assert.equal(passed, true);
});

test('one failed request fails the demo, and the report says which and why', () => {
  const { text, passed } = demoReport({ ...GOOD, answers: [...GOOD.answers, answer(null)] });
  assert.equal(lastLine(text), 'demo: 3 requests, 1 failed, 2 backends, 2 forwarders');
  assert.match(text, /failed: from port 20000 to 203\.0\.113\.10: timeout/);
  assert.equal(passed, false);
});

test('a backend or a forwarder that took no part is not counted and fails the demo', () => {
  const idleBackend = demoReport({ ...GOOD, answers: [answer('web-1'), answer('web-1')] });
  assert.equal(lastLine(idleBackend.text), 'demo: 2 requests, 0 failed, 1 backends, 2 forwarders');
  assert.equal(idleBackend.passed, false);
  const idleForwarder = demoReport({
    ...GOOD,
    forwarders: [forwarder('edge-1', 10), forwarder('edge-2', 0)],
  });
  assert.equal(lastLine(idleForwarder.text), 'demo: 2 requests, 0 failed, 2 backends, 1 forwarders');
  assert.equal(idleForwarder.passed, false);
});

test('an answer that passed a forwarder fails the demo', () => {
  const router = new Map(GOOD.router).set('edge-1', { toVip: 5, syn: 1, gre: 0, fromVip: 1 });
  assert.equal(demoReport({ ...GOOD, router }).passed, false);
});

test('a forwarder that ended without its final counters is an error', () => {
  const forwarders = [forwarder('edge-1', 5), { name: 'edge-2', events: [{ event: 'ready' }] }];
  assert.throws(() => demoReport({ ...GOOD, forwarders }), /edge-2 ended without its final counters/);
});

test("TCP with a forwarder's own address that failed, or was not tried, fails the demo", () => {
  assert.match(
    demoReport(GOOD).text,
    /^TCP with the forwarders' own addresses meanwhile: 9 echoes over 2 connections, 0 failed$/m,
  );
  const [own] = GOOD.own;
  const broken = demoReport({ ...GOOD, own: [{ ...own!, failures: ['read ECONNRESET'] }] });
  assert.match(broken.text, /^failed: TCP with 10\.0\.1\.1: read ECONNRESET$/m);
  assert.equal(broken.passed, false);
  assert.equal(demoReport({ ...GOOD, own: [{ ...own!, echoes: 0 }] }).passed, false);
});

test('the report tells the engine, and another one than asked for fails the demo', () => {
  assert.match(demoReport(GOOD).text, /^edge-1: engine xdp, native \(as configured\)$/m);
  assert.equal(demoReport({ ...GOOD, engine: 'auto' }).passed, true);
  assert.equal(demoReport({ ...GOOD, engine: 'portable' }).passed, false);
});
