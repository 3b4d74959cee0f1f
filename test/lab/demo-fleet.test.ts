/** `make demo-fleet` tells the truth: what the nodes' tables are after an event, what was lost, the last line and the exit code. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differenceOf, judge, type Witnessed } from '../../scripts/demo-fleet/judge.js';
import type { PlayedEvent } from '../../scripts/demo-fleet/play.js';
import { reportText, shortcomings, summary } from '../../scripts/demo-fleet/report.js';
import type { ConnectionRecord, Sample } from '../../scripts/survive/journal.js';

const digests = (...all: string[]) => new Map(all.map((digest, i) => [`edge-${i + 1}`, digest]));

test('tables that are the same everywhere, and others than before where slots were to move, are as they should be', () => {
  assert.equal(differenceOf(digests('b', 'b'), digests('a', 'a'), true), undefined);
  assert.equal(differenceOf(digests('a', 'a'), digests('a', 'a'), false), undefined);
});

test('nodes with other tables than the rest are named', () => {
  assert.match(differenceOf(digests('b', 'c'), digests('a', 'a'), true)!, /edge-1 b, edge-2 c/);
});

test('slots that moved where none was to, or did not where some were to, are a fault', () => {
  assert.match(differenceOf(digests('b', 'b'), digests('a', 'b'), false)!, /have moved on edge-1$/);
  assert.match(differenceOf(digests('b', 'b'), digests('a', 'b'), true)!, /no slot has moved/);
});

const event = (title: string, atMs: number, revision?: number): PlayedEvent => ({
  ...{ title, atMs, doneMs: atMs + 500, text: 'done', moves: true, equal: true, fault: undefined },
  ...(revision !== undefined && { revision }),
});
const connection = (broken: string | null, brokenSinceMs: number | null): ConnectionRecord => ({
  ...{ event: 'connection', kind: 'short', family: 4, port: 20_000, server: 'web-1/1', openedAtMs: 1_500 },
  ...{ endedAtMs: 3_500, answers: 4, broken, brokenSinceMs },
});
const sample = (atMs: number, open: number, slowestMs: number): Sample => ({
  ...{ event: 'sample', atMs, open, answers: 9, shorts: 9, broken: 0, slowestMs },
});
const SEEN: Witnessed = {
  startMs: 1_000,
  played: [event('web-3 joins', 2_000, 2), event('etcd is killed', 4_000)],
  connections: [connection(null, null), connection(null, null)],
  samples: [sample(1_500, 300, 3), sample(2_500, 500, 40), sample(4_500, 510, 7)],
  forwarded: new Map([['edge-1', 10]]),
  falseDowns: 0,
};
const EXPECTED = { events: 2, open: 500 };

test('a run in which nothing broke is a success, and its last line counts changes and comparisons', () => {
  const verdict = judge(SEEN);
  assert.deepEqual(shortcomings(verdict, EXPECTED), []);
  assert.equal(summary(verdict), 'demo-fleet: 1 changes, 0 broken, digests equal 2 times');
  assert.equal(reportText(verdict, EXPECTED).split('\n').at(-1), summary(verdict));
  assert.deepEqual(
    verdict.events.map(({ slowestMs }) => slowestMs),
    [40, 7],
  );
});

test('checks that had no answer in time are told, since each is a change that nobody planned', () => {
  assert.doesNotMatch(reportText(judge(SEEN), EXPECTED), /too busy/);
  const text = reportText(judge({ ...SEEN, falseDowns: 7 }), EXPECTED);
  assert.match(text, /^7 times a node took a backend for down, and none was: this machine was too busy/m);
});

test('a broken connection counts for the event before it began to be broken', () => {
  const verdict = judge({ ...SEEN, connections: [connection('ECONNRESET', 3_000)] });
  assert.deepEqual(
    verdict.events.map(({ broken }) => broken),
    [1, 0],
  );
  assert.match(shortcomings(verdict, EXPECTED).join(), /1 connections broke/);
});

test('what did not happen, idle nodes, few connections and tables that differ are no success', () => {
  const differing = { ...event('web-3 joins', 2_000, 2), equal: false, fault: 'not the same' };
  const verdict = judge({
    ...SEEN,
    played: [differing],
    samples: [sample(1_500, 300, 3)],
    forwarded: new Map([['edge-1', 0]]),
  });
  assert.deepEqual(shortcomings(verdict, EXPECTED), [
    '1 events happened, and not 2',
    '300 connections were open at a time, and not 500',
    'edge-1 forwarded nothing',
    'web-3 joins: not the same',
  ]);
});
