/** The laws of what is announced, over random events of a node, its kernel and its links. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type Event, Model, VIPS } from './model.js';

const RULES = { vips: VIPS, orphanMs: 8000, riseMs: 700, withdrawWhen: 'never' as const };

const pool = fc.constantFrom('a' as const, 'b' as const);
const event: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ what: fc.constant('wait' as const), steps: fc.integer({ min: 1, max: 50 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      what: fc.constant('start' as const),
      engine: fc.constantFrom('xdp' as const, 'xdp' as const, 'portable' as const),
    }),
  },
  { weight: 4, arbitrary: fc.constant({ what: 'serve' as const }) },
  {
    weight: 3,
    arbitrary: fc.record({
      what: fc.constantFrom(
        'kill' as const,
        'hang' as const,
        'wake' as const,
        'detach' as const,
        'strange' as const,
        'restart' as const,
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constantFrom('withdraw' as const, 'resume' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      what: fc.constant('stop' as const),
      delayMs: fc.constantFrom(0, 0, 500, 3000),
      forwardsOn: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('link' as const), isUp: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({ what: fc.constant('hop' as const), pool, mac: fc.integer({ min: 0, max: 2 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ what: fc.constant('health' as const), pool, up: fc.integer({ min: 0, max: 1 }) }),
  },
);

/** Long enough that all comes to pass; most begin with a node that is announced. */
const events = fc
  .tuple(fc.boolean(), fc.array(event, { minLength: 10, maxLength: 60, size: 'max' }))
  .map(([isPlain, rest]): Event[] =>
    isPlain
      ? rest
      : [{ what: 'start', engine: 'xdp' }, { what: 'serve' }, { what: 'wait', steps: 12 }, ...rest],
  );

function played(list: readonly Event[], more = 0): Model {
  const model = new Model(RULES, more);
  for (const each of list) model.apply(each);
  return model;
}

describe('what is announced', () => {
  test('is never announced for longer than the bounds by a node that drops it, and stays while the kernel forwards', () => {
    fc.assert(
      fc.property(events, (list) => {
        assert.deepEqual(played(list).troubles, []);
      }),
      { numRuns: 3000 },
    );
  });

  test('is announced within the rise time and a second once the node serves, whatever came before', () => {
    const calm = (hopB: number): readonly Event[] => [
      { what: 'link', isUp: true },
      { what: 'hop', pool: 'a', mac: 1 },
      { what: 'hop', pool: 'b', mac: hopB },
      { what: 'resume' },
      { what: 'kill' },
      { what: 'start', engine: 'xdp' },
      { what: 'serve' },
      { what: 'wait', steps: 17 },
    ];
    fc.assert(
      fc.property(events, fc.integer({ min: 0, max: 1 }), (list, hopB) => {
        const model = played([...list, ...calm(hopB)]);
        // The second VIP has no other pool.
        const expected = ['announced', hopB === 0 ? 'withdrawn' : 'announced', 'announced'];
        assert.deepEqual(
          [...model.marks.values()].map(({ state }) => state),
          expected,
        );
      }),
      { numRuns: 1000 },
    );
  });

  test('does not depend on the health of pools by default', () => {
    fc.assert(
      fc.property(events, (list) => {
        const states = (model: Model): unknown => [...model.marks.values()].map(({ state }) => state);
        // With one more backend up in each pool all the time, none is ever down as a whole.
        assert.deepEqual(states(played(list)), states(played(list, 1)));
      }),
      { numRuns: 1000 },
    );
  });
});
