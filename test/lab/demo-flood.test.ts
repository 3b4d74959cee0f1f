/** What the demo of floods makes of what it saw: which flood a failure belongs to, and what is no success. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClientRecord } from '../../scripts/demo-flood/journal.js';
import { judge } from '../../scripts/demo-flood/judge.js';
import type { Witnessed } from '../../scripts/demo-flood/part.js';
import { reportText, summary } from '../../scripts/demo-flood/report.js';

const START_MS = 1_000_000;

/** A connection that began so many milliseconds after the start. */
function connection(openedMs: number, more: Partial<ClientRecord> = {}): ClientRecord {
  return {
    event: 'connection',
    kind: 'short',
    family: 4,
    port: 10_000,
    server: 'web-1',
    openedAtMs: START_MS + openedMs,
    connectedMs: 2,
    endedAtMs: START_MS + openedMs + 10,
    answers: 1,
    broken: null,
    brokenSinceMs: null,
    ...more,
  };
}

const held = connection(-1_000, { kind: 'held', endedAtMs: START_MS + 20_000 });
const lost = { server: null, connectedMs: null, answers: 0, broken: 'no connection for 5 s' };

/** A flood of 100,000 packets from 2 to 7 s, and one from 10 to 15 s, of a fleet that drops each tenth. */
function seen(more: Partial<Witnessed>): Witnessed {
  const flood = (title: string, atMs: number) => ({
    title,
    atMs: START_MS + atMs,
    doneMs: START_MS + atMs + 5_000,
    made: { packets: 100_000, seconds: 5, rate: 20_000 },
    endsAtEdge: true,
  });
  return {
    defended: true,
    startMs: START_MS,
    held: 1,
    played: [flood('spoofed SYNs', 2_000), flood('UDP', 10_000)],
    connections: [held, connection(3_000), connection(11_000)],
    samples: [],
    looks: [0, 1, 6, 9, 14].map((second) => ({
      atMs: START_MS + second * 1_000,
      verdicts: { forwarded: second * 1_000, drop_no_service: second * 10_000, pass_not_vip: second },
      halfOpen: second,
      kernelCookies: 0,
    })),
    ...more,
  };
}

test('a run without failures is a success, with figures for each flood', () => {
  const verdict = judge(seen({}));
  assert.deepEqual(verdict.shortcomings, []);
  const [syns, udp] = verdict.floods;
  assert.deepEqual(
    [syns!.begun, syns!.failed, syns!.absorbed, syns!.passed, syns!.halfOpen, syns!.handshakeMs],
    [1, 0, 50_000, 5_000, 6, { half: 2, most: 2 }],
  );
  assert.deepEqual([udp!.begun, udp!.absorbed, udp!.atSeconds], [1, 50_000, 10]);
  assert.equal(summary(verdict), 'demo-flood: 3 real connections, 0 failed, 0.1 million packets absorbed');
  assert.match(reportText(verdict), /^UDP +20k +50k +5k +1 +0 +2 ms +2 ms +14$/m);
});

test('a failure belongs to the flood in which it began, is told with its reason, and is no success', () => {
  const failed = connection(9_000, {
    ...lost,
    brokenSinceMs: START_MS + 9_000,
    endedAtMs: START_MS + 14_000,
  });
  const verdict = judge(seen({ connections: [held, connection(3_000), connection(11_000), failed] }));
  assert.deepEqual(
    verdict.floods.map((each) => each.failed),
    [1, 0],
  );
  assert.deepEqual(verdict.shortcomings, ['1 connections failed']);
  assert.match(reportText(verdict), /^failed: 1 x new one: no connection for 5 s$/m);
});

test('a long connection that ended before the last flood did is no success', () => {
  const verdict = judge(
    seen({ connections: [{ ...held, endedAtMs: START_MS + 12_000 }, connection(3_000)] }),
  );
  assert.deepEqual(verdict.shortcomings, ['only 0 of 1 connections were open throughout']);
});

test('a flood that the forwarders let through, or that was none, is no success of the defence', () => {
  const { played, looks } = seen({});
  const passing = looks.map((look) => ({
    ...look,
    verdicts: { forwarded: look.verdicts['drop_no_service']! },
  }));
  assert.deepEqual(judge(seen({ looks: passing })).shortcomings, [
    'spoofed SYNs: 50000 packets were sent on to backends, of a flood of 100000',
    'UDP: 50000 packets were sent on to backends, of a flood of 100000',
  ]);
  assert.deepEqual(judge(seen({ looks: passing, defended: false })).shortcomings, []);
  const weak = played.map((each) => ({ ...each, made: { packets: 30_000, seconds: 5, rate: 6_000 } }));
  assert.deepEqual(judge(seen({ played: weak })).shortcomings, [
    'spoofed SYNs: only 6000 packets a second',
    'UDP: only 6000 packets a second',
  ]);
});
