/** The last lines of the demo of layer 7, and its exit code, tell the truth. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Counted, changesReport, killReport } from '../../scripts/demo-l7/report.js';
import type { Traffic } from '../../scripts/demo-l7/traffic.js';
import type { LoadFailure } from '../../scripts/lab/l7/load.js';

const TRAFFIC: Traffic = {
  requests: 40,
  failed: 0,
  connections: 7,
  failures: [],
  moves: [{ atMs: 1_500, client: 1, from: 'shop-2', to: 'shop-1' }],
  servers: { 'shop-1': 20, 'shop-2': 20 },
  proxies: { 'proxy-1': 30, 'proxy-2': 10 },
};

const GOOD: Counted = {
  traffic: TRAFFIC,
  router: new Map([
    ['edge-1', { toVip: 5, syn: 4, gre: 0, fromVip: 0 }],
    ['edge-2', { toVip: 5, syn: 3, gre: 0, fromVip: 0 }],
    ['proxy-1', { toVip: 0, syn: 0, gre: 5, fromVip: 5 }],
    ['proxy-2', { toVip: 0, syn: 0, gre: 5, fromVip: 5 }],
  ]),
  forwarders: ['edge-1', 'edge-2'],
  proxies: ['proxy-1', 'proxy-2'],
  servers: ['shop-1', 'shop-2'],
  brokenServer: 'shop-2',
  broken: { fromMs: 1_000, toMs: 2_000 },
  reloads: 10,
};

function failure(atMs: number, proxy: string | null): LoadFailure {
  return {
    atMs,
    client: 0,
    target: 'https://shop.example.com/ at 203.0.113.10',
    reason: 'ECONNRESET',
    proxy,
  };
}

describe('the report of the changes', () => {
  test('passes when nothing failed and all took part', () => {
    const { text, passed } = changesReport(GOOD);
    assert.equal(
      text.split('\n').at(-1),
      'demo-l7: 40 requests, 0 failed, 7 connections, 2 forwarders, 2 proxies, 2 servers, 10 reloads, 1 drain',
    );
    assert.match(text, /^proxy-1 +30 +5 +5$/m);
    assert.equal(passed, true);
  });

  test('does not pass when a request failed, and shows which', () => {
    const failures = [failure(1_000, 'proxy-1')];
    const { text, passed } = changesReport({ ...GOOD, traffic: { ...TRAFFIC, failed: 1, failures } });
    assert.match(
      text,
      /^failed: 1970-01-01T00:00:01\.000Z https:\/\/shop.*: ECONNRESET, connection to proxy-1$/m,
    );
    assert.match(text, /demo-l7: 40 requests, 1 failed, /);
    assert.equal(passed, false);
  });

  test('passes when one client of a thousand requests was sent to another server, and shows it', () => {
    const before = { broken: { fromMs: 1_600, toMs: 2_000 } };
    const { text, passed } = changesReport({ ...GOOD, ...before, traffic: { ...TRAFFIC, requests: 1_000 } });
    assert.match(text, /without a cause: 1\nclient 1: 1970-01-01T00:00:01\.500Z shop-2 -> shop-1$/m);
    assert.equal(passed, true);
    const fewer = { ...TRAFFIC, requests: 999 };
    assert.equal(changesReport({ ...GOOD, ...before, traffic: fewer }).passed, false);
  });

  for (const [what, change] of [
    ['no request was made', { traffic: { ...TRAFFIC, requests: 0 } }],
    ['a server answered nothing', { traffic: { ...TRAFFIC, servers: { 'shop-1': 40 } } }],
    ['a proxy answered nothing', { traffic: { ...TRAFFIC, proxies: { 'proxy-1': 40 } } }],
    ['a forwarder forwarded nothing', { forwarders: ['edge-1', 'edge-3'] }],
    ['an answer passed a forwarder', { forwarders: ['edge-1', 'proxy-1'] }],
    ['a client changed its server before that failed', { broken: { fromMs: 1_600, toMs: 2_000 } }],
    ['a client changed its server after that failed', { broken: { fromMs: 1_000, toMs: 1_400 } }],
    ['a client left a server that did not fail', { brokenServer: 'shop-1' }],
  ] as const)
    test(`does not pass when ${what}`, () => {
      assert.equal(changesReport({ ...GOOD, ...change }).passed, false);
    });
});

describe('the report of a kill', () => {
  const KILL = { atMs: 10_000, proxy: 'proxy-1' };
  const report = (...failures: LoadFailure[]) =>
    killReport({ ...TRAFFIC, failed: failures.length, failures }, KILL, 2_000);

  test('passes when its own open connections failed, and new ones for no longer than they may', () => {
    const { text, passed } = report(
      failure(10_100, 'proxy-1'),
      failure(10_900, 'proxy-1'),
      failure(11_900, null),
    );
    assert.equal(
      text,
      'demo-l7: kill -9 of HAProxy on proxy-1: of 40 requests, 2 failed on its open connections, 1 on new ones, the last after 1.9 s ' +
        '(at most 2.0 s), 0 elsewhere',
    );
    assert.equal(passed, true);
  });

  test('does not pass when new connections fail for longer, or those of another proxy fail', () => {
    assert.equal(report(failure(12_100, null)).passed, false);
    const { text, passed } = report(failure(10_100, 'proxy-2'));
    assert.match(text, /^failed: .*connection to proxy-2$/m);
    assert.equal(passed, false);
  });

  test('does not pass when there were more failures than it was told of', () => {
    const traffic = { ...TRAFFIC, failed: 2, failures: [failure(10_100, 'proxy-1')] };
    assert.equal(killReport(traffic, KILL, 2_000).passed, false);
  });

  test('does not pass when a connection failed long before the kill', () => {
    for (const proxy of [null, 'proxy-1']) {
      const { text, passed } = report(failure(7_000, proxy));
      assert.match(text, /, 1 elsewhere$/);
      assert.equal(passed, false);
    }
  });
});
