/** What an agent knows of its host's wish to be drained, and of the forwarders that follow it: bounded, and never taken from before the wish. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { pino } from 'pino';
import { DrainWishes } from '#anyhop/agent/drain-wish.js';
import { mark, unmark } from '#anyhop/agent/draining-mark.js';
import { haveAllFollowed } from '#anyhop/agent/followed.js';
import { ForwardersHeard } from '#anyhop/agent/forwarders-heard.js';
import { type Question, readQuestion, writeQuestion } from '#anyhop/agent/question.js';
import type { AgentReport } from '#anyhop/agent/report.js';
import { FORWARDER_ASKS_EVERY_MS_MAX, FORWARDERS_HEARD_MAX } from '#anyhop/core/limits.js';
import { createLog } from '#anyhop/core/log.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { REPORT } from './report-fixture.js';

const ADDRESS = parseAddress('10.1.0.12')!;
const EVERY_MS = 5_000;
const says = (draining: boolean, everyMs = EVERY_MS): Question => ({ draining, everyMs });
const isSeconds = fc.integer({ min: 1, max: FORWARDER_ASKS_EVERY_MS_MAX / 1_000 });

describe('what a forwarder says as it asks', () => {
  test('is read as it was written, and within its limits', () => {
    fc.assert(
      fc.property(fc.boolean(), isSeconds, (draining, seconds) => {
        const question = says(draining, seconds * 1_000);
        assert.deepEqual(readQuestion(writeQuestion(question)), question);
      }),
    );
    assert.equal(writeQuestion(says(true, 1e12)), 'draining=yes; every=3600');
    assert.equal(writeQuestion(says(false, 1)), 'draining=no; every=1');
  });

  test('is nothing when it has another form, is out of range, or came twice', () => {
    for (const header of [
      undefined,
      '',
      'draining=yes',
      'draining=yes; every=0',
      'draining=yes; every=3601',
      'draining=yes; every=99999999999999999999',
      'draining=yes; every=5.5',
      'draining=yes; every=-5',
      'draining=maybe; every=5',
      'draining=yes; every=5\n',
      ' draining=yes; every=5',
      'draining=yes; every=5, draining=no; every=5',
      ['draining=yes; every=5', 'draining=yes; every=5'],
    ])
      assert.equal(readQuestion(header), undefined, String(header));
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const read = readQuestion(text);
        if (read !== undefined) assert.equal(writeQuestion(read), text);
      }),
    );
  });
});

describe('the forwarders that an agent hears', () => {
  test('are no more than there is room for, and those that spoke last are kept', () => {
    const heard = new ForwardersHeard();
    for (let i = 0; i < 3 * FORWARDERS_HEARD_MAX; i++) {
      heard.hear('10.0.0.1', says(true), i);
      heard.hear(`10.0.${1 + (i >> 8)}.${i & 255}`, says(false), i);
    }
    const list = heard.list(3 * FORWARDERS_HEARD_MAX);
    assert.equal(list.length, FORWARDERS_HEARD_MAX);
    assert.deepEqual(
      list.filter(({ draining }) => draining).map(({ address }) => address),
      ['10.0.0.1'],
      'who asks again and again is not the one that makes room',
    );
  });

  test('are forgotten once they have missed three of their own intervals', () => {
    const heard = new ForwardersHeard();
    heard.hear('10.0.0.2', says(true, 80_000), 0);
    heard.hear('10.0.0.1', says(true, 5_000), 0);
    assert.deepEqual(heard.list(15_000), [
      { address: '10.0.0.1', draining: true, agoMs: 15_000, everyMs: 5_000 },
      { address: '10.0.0.2', draining: true, agoMs: 15_000, everyMs: 80_000 },
    ]);
    assert.deepEqual(
      heard.list(15_001).map(({ address }) => address),
      ['10.0.0.2'],
    );
    assert.deepEqual(heard.list(240_001), []);
  });
});

describe("a host's wish to be drained", () => {
  let directory: string;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'anyhop-wish-'));
  });
  after(() => rmSync(directory, { recursive: true }));

  test('is followed by those alone that have said so since it was there', () => {
    let nowMs = 0;
    const wishes = new DrainWishes(createLog('silent'), () => nowMs);
    const ask = (address: string, draining: boolean) =>
      wishes.report(directory, { address: ADDRESS, forwarder: { address, ...says(draining) } });
    const followed = () => {
      const { draining, forwarders } = wishes.report(directory, { address: ADDRESS });
      return [draining, ...forwarders.map((one) => one.draining)];
    };
    ask('10.0.0.1', false);
    ask('10.0.0.2', true); // for another reason, such as an operator's drain
    assert.deepEqual(followed(), [false, false, true]);
    nowMs += 1_000;
    mark(directory, ADDRESS, 'x');
    assert.deepEqual(followed(), [true, false, false], 'an older word is no answer');
    nowMs += 1_000;
    for (const address of ['10.0.0.1', '10.0.0.2']) ask(address, true);
    assert.deepEqual(followed(), [true, true, true]);
    const other = wishes.report(directory, { address: parseAddress('10.1.0.13')! });
    assert.deepEqual(other, { draining: false, forwarders: [] }, 'an address speaks for itself alone');
    nowMs += 1_000;
    unmark(directory, ADDRESS);
    assert.deepEqual(followed(), [false, true, true]);
    nowMs += 1_000;
    mark(directory, ADDRESS, 'x');
    assert.deepEqual(followed(), [true, false, false]);
    unmark(directory, ADDRESS);
  });

  test('is none where it cannot be judged, which is said once', () => {
    const lines: string[] = [];
    const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line).event) });
    const wishes = new DrainWishes(log);
    const draining = () => wishes.report(directory, { address: ADDRESS }).draining;
    mark(directory, ADDRESS, 'x');
    assert.equal(draining(), true);
    chmodSync(directory, 0o777);
    assert.deepEqual([draining(), draining()], [false, false]);
    chmodSync(directory, 0o700);
    assert.deepEqual([draining(), draining()], [true, true]);
    unmark(directory, ADDRESS);
    assert.equal(draining(), false);
    assert.deepEqual(lines, [
      'drain_asked',
      'draining_mark_unusable',
      'drain_no_longer_asked',
      'drain_asked',
      'drain_no_longer_asked',
    ]);
  });

  test('is followed by all once each that is heard says so, and the agent has run long enough to hear them', () => {
    const startedAt = '2026-01-02T03:04:05.000Z';
    const report = (draining: boolean, ...follow: readonly boolean[]): AgentReport => ({
      ...REPORT,
      startedAt,
      draining,
      forwarders: follow.map((one, i) => ({
        address: `10.0.0.${i}`,
        draining: one,
        agoMs: 1,
        everyMs: EVERY_MS,
      })),
    });
    const [early, late] = [14_999, 15_000].map((ms) => Date.parse(startedAt) + ms);
    assert.equal(haveAllFollowed(report(true, true, true), late), true);
    assert.equal(haveAllFollowed(report(true, true, true), early), false);
    assert.equal(haveAllFollowed(report(true, true, false), late), false);
    assert.equal(haveAllFollowed(report(true), late), false, 'no forwarder is not all');
    assert.equal(haveAllFollowed(report(false, true, true), late), false);
  });
});
