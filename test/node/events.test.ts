/** The last hour of a node's log: bounded in number, size and age, and honest about where it begins. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { EventRing, recorded } from '#anyhop/node/events.js';

const START_MS = Date.UTC(2024, 4, 1, 12);
const MINUTE_MS = 60_000;

function ringAt() {
  let nowMs = START_MS;
  const ring = new EventRing(() => new Date(nowMs));
  const at = (minutes: number): void => {
    nowMs = START_MS + minutes * MINUTE_MS;
  };
  return { ring, at };
}

describe('the events of a node', () => {
  it('are those of the last hour, from its start on', () => {
    const { ring, at } = ringAt();
    ring.add('warn', 'health', 'web-1 is down');
    at(59);
    ring.add('info', 'health', 'web-1 is up');
    assert.deepEqual(ring.report(), {
      since: '2024-05-01T12:00:00.000Z',
      events: [
        { at: '2024-05-01T12:00:00.000Z', level: 'warn', event: 'health', message: 'web-1 is down' },
        { at: '2024-05-01T12:59:00.000Z', level: 'info', event: 'health', message: 'web-1 is up' },
      ],
    });
    at(61);
    const { since, events } = ring.report();
    assert.deepEqual(
      [since, events.map(({ message }) => message)],
      ['2024-05-01T12:01:00.000Z', ['web-1 is up']],
    );
  });

  it('are no more than a thousand, the newest, each cut at 500 characters', () => {
    const { ring, at } = ringAt();
    for (let i = 0; i < 3_500; i++) {
      at(i / 100);
      ring.add('error', 'x', `${i} ${'x'.repeat(1_000)}`);
    }
    const { since, events } = ring.report();
    assert.equal(events.length, 1_000);
    assert.ok(events.at(-1)?.message.startsWith('3499 '));
    assert.ok(events[0]?.message.startsWith('2500 '));
    assert.equal(since, events[0]?.at);
    assert.ok(events.every(({ message }) => message.length <= 504));
  });

  it('are what the log is told, whatever its level, but for routine', () => {
    const lines: string[] = [];
    const { ring } = ringAt();
    const log = recorded(pino({ level: 'error' }, { write: (line: string) => void lines.push(line) }), ring);
    log.info({ event: 'published' }, 'generation 2 is in force');
    log.info({ event: 'pool' }, 'pool web: 2 backends');
    log.warn({ event: 'pool' }, 'pool web: 2 backends; all are down');
    log.debug({ event: 'check_failed' }, 'a detail');
    log.error({ event: 'detached' }, 'the program was taken off');
    assert.deepEqual(
      ring.report().events.map(({ level, event }) => `${level} ${event}`),
      ['warn pool', 'error detached'],
    );
    assert.equal(lines.length, 1);
  });
});
