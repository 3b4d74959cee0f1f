/** `make demo-ha` tells the truth: when the router's table had an event, what was lost, the last line and the exit code. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changesOf, type Expected, type NamedRow, reachedMs } from '../../scripts/demo-ha/fib-time.js';
import { judge, type Verdict, type Witnessed } from '../../scripts/demo-ha/judge.js';
import { reportText, shortcomings, summary } from '../../scripts/demo-ha/report.js';
import type { ConnectionRecord, Sample } from '../../scripts/survive/journal.js';

const row = (atMs: number, destination: string, hops: string): NamedRow => ({
  atMs,
  destination,
  hops: hops.split(' ').filter(Boolean),
});
const expected = (kind: Expected['kind'], hop?: string): Expected => ({
  kind,
  destinations: ['v4', 'v6'],
  ...(hop !== undefined && { hop }),
});
const START = [row(0, 'v4', 'edge-1 edge-2'), row(0, 'v6', 'edge-1 edge-2')];

test('a change is there when the last destination has it', () => {
  const rows = [...START, row(1_010, 'v4', 'edge-1'), row(1_025, 'v6', 'edge-1')];
  assert.equal(reachedMs(rows, expected('without', 'edge-2'), 1_000, 2_000), 25);
});

test('a next hop that shall be the only one is not there while there is another', () => {
  const rows = [...START, row(1_010, 'v4', 'edge-2'), row(1_025, 'v6', 'edge-2')];
  assert.equal(reachedMs(rows, expected('only', 'edge-2'), 1_000, 1_020), undefined);
  assert.equal(reachedMs(rows, expected('only', 'edge-2'), 1_000, 2_000), 25);
});

test('what was so before takes no time', () => {
  assert.equal(reachedMs(START, expected('with', 'edge-1'), 1_000, 2_000), 0);
});

test('a change is not there while one destination lacks it, or when it does not last', () => {
  const one = [...START, row(1_010, 'v4', 'edge-1')];
  assert.equal(reachedMs(one, expected('without', 'edge-2'), 1_000, 2_000), undefined);
  const both = [...one, row(1_025, 'v6', 'edge-1'), row(1_100, 'v6', 'edge-1 edge-2')];
  assert.equal(reachedMs(both, expected('without', 'edge-2'), 1_000, 2_000), undefined);
  const again = [...both, row(1_200, 'v6', 'edge-1')];
  assert.equal(reachedMs(again, expected('without', 'edge-2'), 1_000, 2_000), 200);
});

test('what comes after the end does not count', () => {
  const rows = [...START, row(1_010, 'v4', 'edge-1'), row(1_025, 'v6', 'edge-1'), row(2_500, 'v6', 'edge-2')];
  assert.equal(reachedMs(rows, expected('without', 'edge-2'), 1_000, 2_000), 25);
  assert.equal(reachedMs(rows, expected('without', 'edge-2'), 1_000, 3_000), undefined);
});

test('only rows that get other next hops between two moments are changes', () => {
  const rows = [
    ...START,
    row(1_500, 'v4', 'edge-1 edge-2'),
    row(1_600, 'v4', 'edge-1'),
    row(1_700, 'other', 'edge-1'),
    row(1_800, 'v6', ''),
    row(2_500, 'v4', ''),
  ];
  assert.equal(changesOf(rows, ['v4', 'v6'], 1_000, 2_000), 2);
  assert.equal(changesOf(rows, ['v4', 'v6'], 1_000, 1_600), 0);
});

function connection(
  kind: ConnectionRecord['kind'],
  fields: Partial<ConnectionRecord> = {},
): ConnectionRecord {
  return {
    event: 'connection',
    kind,
    family: 4,
    port: 20_000,
    server: 'web-1/aa',
    openedAtMs: 0,
    endedAtMs: 9_000,
    answers: 10,
    broken: null,
    brokenSinceMs: null,
    ...fields,
  };
}

const sample = (atMs: number, slowestMs: number): Sample => ({
  event: 'sample',
  atMs,
  open: 2,
  answers: 4,
  shorts: 1,
  broken: 0,
  slowestMs,
});

function run(rows: readonly NamedRow[], connections: readonly ConnectionRecord[]): Witnessed {
  return {
    startMs: 0,
    played: [
      { title: 'it leaves', expected: expected('without', 'edge-2'), atMs: 1_000, doneMs: 2_000 },
      { title: 'health', expected: expected('stays'), atMs: 3_000, doneMs: 4_000 },
    ],
    rows: [...START, ...rows],
    connections,
    forwarded: new Map([['edge-1', 5]]),
    samples: [sample(900, 500), sample(1_500, 30), sample(2_500, 70), sample(3_500, 20)],
  };
}

const GONE = [row(1_010, 'v4', 'edge-1'), row(1_025, 'v6', 'edge-1')];
const WELL = [connection('held'), connection('short')];

test('a run in which nothing broke, and the router did as it should, is a success and says so', () => {
  const verdict = judge(run(GONE, WELL));
  assert.deepEqual(shortcomings(verdict, { held: 1 }), []);
  assert.deepEqual(
    verdict.events.map(({ fib, fibMs, slowestMs }) => [fib, fibMs, slowestMs]),
    [
      ['without edge-2 after 25 ms', 25, 70],
      ['stays', undefined, 20],
    ],
  );
  assert.equal(
    reportText(verdict, { held: 1 }).split('\n').at(-1),
    'demo-ha: 2 events, 2 connections, 0 broken, 20 answers, the slowest took 70 ms',
  );
});

test('what broke counts for the event before it, long connections and requests apart, and makes a run fail', () => {
  const broken = { broken: 'ECONNRESET', endedAtMs: 9_000 };
  const verdict = judge(
    run(GONE, [
      ...WELL,
      connection('held', { ...broken, brokenSinceMs: 1_000 }),
      connection('short', { ...broken, brokenSinceMs: 3_100 }),
      connection('short', { ...broken, brokenSinceMs: 2_999, server: null }),
    ]),
  );
  assert.deepEqual(
    verdict.events.map(({ requestsLost, connectionsLost }) => [requestsLost, connectionsLost]),
    [
      [1, 1],
      [1, 0],
    ],
  );
  assert.deepEqual(shortcomings(verdict, { held: 2 }), ['3 connections broke']);
  assert.match(summary(verdict), /^demo-ha: 2 events, 5 connections, 3 broken,/);
  assert.match(reportText(verdict, { held: 2 }), /^broken: accepted by nobody, ECONNRESET \(it leaves\)$/m);
});

test('a router that keeps a forwarder that left, or moves when it should not, makes a run fail', () => {
  const keeps = judge(run([GONE[0]!], WELL));
  assert.deepEqual(shortcomings(keeps, { held: 1 }), [`it leaves: the router's table is not without edge-2`]);
  const moves = judge(run([...GONE, row(3_100, 'v4', ''), row(3_200, 'v4', 'edge-1')], WELL));
  assert.deepEqual(shortcomings(moves, { held: 1 }), [`health: the router's table changed 2 times`]);
});

test('a run without connections or events is no success', () => {
  const nothing: Verdict = judge({ ...run([], []), played: [], forwarded: new Map([['edge-1', 0]]) });
  assert.deepEqual(shortcomings(nothing, { held: 500 }), [
    'nothing happened',
    '0 connections were open throughout, and not 500',
    'there were no new connections',
    'edge-1 forwarded nothing',
  ]);
});
