/** Servers that fail requests in a row, by HAProxy's counters. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { ServerStat } from '#anyhop/l7/haproxy/stats.js';
import { forgiven, look, type Seen } from '#anyhop/l7/passive.js';

/** What HAProxy counts of one request, as a real one did (2.6.12); `total` ends in `current` while it is under way. */
interface Counted {
  readonly total?: number;
  readonly current?: number;
  readonly retries?: number;
  readonly redispatches?: number;
  readonly unanswered?: number;
  readonly good?: number;
  readonly errors?: number;
}

const FAILURES = {
  'a 500 that another server answers': { total: 1, retries: 1, redispatches: 1 },
  'a refused connection': { total: 1, redispatches: 1 },
  'a reset, and another server answers': { total: 1, retries: 1, redispatches: 1, unanswered: 1 },
  'a 500 that the client gets': { total: 1, errors: 1 },
  'a reset, and the client gets 502': { total: 1, unanswered: 2 },
  'no answer in time': { total: 1, unanswered: 1 },
} satisfies Record<string, Counted>;
const GOOD: Counted = { total: 1, good: 1 };
/** It gave up before the server answered. */
const ABORTED: Counted = { total: 1 };
const LONG_BEGINS: Counted = { total: 1, current: 1, good: 1 };
const LONG_ENDS: Counted = { current: -1 };

function sum(all: readonly Counted[]): Counted {
  const add = (name: keyof Counted): number => all.reduce((most, each) => most + (each[name] ?? 0), 0);
  return {
    total: add('total'),
    current: add('current'),
    retries: add('retries'),
    redispatches: add('redispatches'),
    unanswered: add('unanswered'),
    good: add('good'),
    errors: add('errors'),
  };
}

function stat({ total, current, retries, redispatches, unanswered, good, errors }: Counted): ServerStat {
  return {
    sessions: { total, current },
    responses: { '1xx': 0, '2xx': good, '3xx': 0, '4xx': 0, '5xx': errors, other: 0 },
    retries,
    redispatches,
    responseErrors: unanswered,
  } as unknown as ServerStat;
}

/** Looks after each of these lists of requests. */
function after(...steps: readonly (readonly Counted[])[]): Seen {
  const all: Counted[] = [];
  let seen: Seen | undefined;
  for (const step of steps) {
    all.push(...step);
    seen = look(seen, stat(sum(all)));
  }
  return seen!;
}

const times = (count: number, one: Counted): Counted[] => Array.from({ length: count }, () => one);

describe('failures in a row', () => {
  for (const [what, counted] of Object.entries(FAILURES))
    it(`count ${what} once`, () => {
      assert.equal(after([GOOD], times(7, counted), times(2, counted)).streak, 9);
    });

  it('end with a good answer', () => {
    const failure = FAILURES['a 500 that the client gets'];
    assert.equal(after([GOOD], times(9, failure), [GOOD]).streak, 0);
    assert.equal(after([GOOD], [GOOD, ...times(9, failure)], times(3, failure)).streak, 3);
  });

  it('are no clients that gave up, and no long answers that end', () => {
    assert.equal(after([GOOD], times(20, ABORTED)).streak, 0);
    assert.equal(after(times(20, LONG_BEGINS), times(20, LONG_ENDS)).streak, 0);
    const failures = times(3, FAILURES['no answer in time']);
    assert.equal(after(times(20, LONG_BEGINS), [...times(20, LONG_ENDS), ...failures]).streak, 3);
  });

  it('count from the first look, and anew after a reload or when the server was taken out', () => {
    const failure = FAILURES['a 500 that the client gets'];
    assert.equal(after(times(90, failure)).streak, 0);
    const seen = after([GOOD], times(9, failure));
    assert.equal(look(seen, stat(failure)).streak, 0);
    assert.equal(look(forgiven(seen), stat(sum([GOOD, ...times(10, failure)]))).streak, 1);
  });

  it('are as many as there were when failures of all kinds come together, never more than twice as many', () => {
    const failure = fc.constantFrom<Counted>(...Object.values(FAILURES));
    const request = fc.oneof({ weight: 5, arbitrary: failure }, fc.constant(ABORTED));
    fc.assert(
      fc.property(fc.array(fc.array(request)), (steps) => {
        const count = steps.flat().filter((each) => each !== ABORTED).length;
        const { streak } = after([GOOD], ...steps);
        assert.ok(streak <= 2 * count, `${streak} of ${count}`);
        if (!steps.flat().includes(ABORTED)) assert.equal(streak, count);
      }),
    );
  });
});
