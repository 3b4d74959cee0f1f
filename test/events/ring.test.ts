/** The newest events in memory: bounded in number, size and age, and honest about where they begin. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EVENT_MESSAGE_CHARS_MAX, EVENTS_ANSWERED_MAX } from '#anyhop/core/limits.js';
import { type EventLevel, makeEvent } from '#anyhop/events/event.js';
import { EventRing } from '#anyhop/events/ring.js';

const START_MS = Date.UTC(2024, 4, 1, 12);
const MINUTE_MS = 60_000;

function ringAt() {
  let nowMs = START_MS;
  const ring = new EventRing(() => new Date(nowMs));
  const at = (minutes: number): void => {
    nowMs = START_MS + minutes * MINUTE_MS;
  };
  const add = (level: EventLevel, event: string, message: string): void =>
    ring.add(makeEvent(new Date(nowMs), level, event, message));
  return { ring, at, add };
}

describe('the events in memory', () => {
  it('are those of the last hour, from the start on', () => {
    const { ring, at, add } = ringAt();
    add('warn', 'health', 'web-1 is down');
    at(59);
    add('info', 'health', 'web-1 is up');
    assert.deepEqual(ring.report(), {
      since: '2024-05-01T12:00:00.000Z',
      events: [
        { at: '2024-05-01T12:00:00.000Z', level: 'warn', event: 'health', message: 'web-1 is down' },
        { at: '2024-05-01T12:59:00.000Z', level: 'info', event: 'health', message: 'web-1 is up' },
      ],
      newest: 2,
      pid: process.pid,
      started: '2024-05-01T12:00:00.000Z',
    });
    at(61);
    const { since, events } = ring.report();
    assert.deepEqual(
      [since, events.map(({ message }) => message)],
      ['2024-05-01T12:01:00.000Z', ['web-1 is up']],
    );
  });

  it('are those since another time when that is asked for, of a day at most, and those after one that is known', () => {
    const { ring, at, add } = ringAt();
    add('info', 'x', 'first');
    at(90);
    add('info', 'x', 'second');
    const since = (minutes: number) => ring.report({ sinceMs: START_MS + minutes * MINUTE_MS });
    assert.deepEqual(
      [0, 1].map((minutes) => since(minutes).events.map(({ message }) => message)),
      [['first', 'second'], ['second']],
    );
    assert.equal(since(1).since, '2024-05-01T12:01:00.000Z');
    assert.deepEqual(
      ring.report({ sinceMs: START_MS, after: 1 }).events.map(({ message }) => message),
      ['second'],
    );
    assert.deepEqual(ring.report({ sinceMs: START_MS, after: 2 }).events, []);
    at(24 * 60 + 30);
    assert.equal(since(0).since, '2024-05-01T12:30:00.000Z');
  });

  it('begin with what processes before this one kept', () => {
    const earlier = makeEvent(new Date(START_MS - 5 * MINUTE_MS), 'warn', 'health', 'web-1 is down');
    const ring = new EventRing(() => new Date(START_MS), [earlier]);
    const { since, events, newest } = ring.report();
    assert.deepEqual([since, events, newest], [earlier.at, [earlier], 1]);
  });

  it('are a bounded number, the newest, each with a message of bounded length', () => {
    const { ring, at, add } = ringAt();
    const count = Math.floor(EVENTS_ANSWERED_MAX * 3.5);
    for (let i = 0; i < count; i++) {
      at((i * 35) / count);
      add('error', 'x', `${i} ${'x'.repeat(1_000)}`);
    }
    const { since, events, newest } = ring.report();
    assert.equal(newest, count);
    assert.equal(events.length, EVENTS_ANSWERED_MAX);
    assert.ok(events.at(-1)?.message.startsWith(`${count - 1} `));
    assert.ok(events[0]?.message.startsWith(`${count - EVENTS_ANSWERED_MAX} `));
    assert.equal(since, events[0]?.at);
    assert.ok(events.every(({ message }) => message.length <= EVENT_MESSAGE_CHARS_MAX + 4));
  });
});
