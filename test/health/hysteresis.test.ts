/** Marks under any sequence of results: against a model that looks back over all of them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { judge, type Standing, UNKNOWN } from '#anyhop/health/hysteresis.js';

const thresholds = fc.record({ rise: fc.integer({ min: 1, max: 5 }), fall: fc.integer({ min: 1, max: 5 }) });
/** Runs of one result are likely, as in life. */
const results = fc
  .array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 7 })), { maxLength: 40 })
  .map((runs) => runs.flatMap(([isGood, length]) => new Array<boolean>(length).fill(isGood)));

describe('a mark', () => {
  it('is that of the first result, and then changes exactly when enough in a row speak against it', () => {
    fc.assert(
      fc.property(thresholds, results, (limits, all) => {
        let mark: Standing = UNKNOWN;
        let isUp: boolean | undefined;
        for (const [index, isGood] of all.entries()) {
          mark = judge(mark, isGood, limits);
          const seen = all.slice(0, index + 1);
          const run = seen.length - 1 - seen.lastIndexOf(!isGood);
          const changes =
            isUp === undefined || (isGood !== isUp && run >= (isGood ? limits.rise : limits.fall));
          if (changes) isUp = isGood;
          assert.equal(mark.isUp, isUp, `after ${seen.join()}`);
          assert.ok(mark.against < Math.max(limits.rise, limits.fall));
        }
      }),
    );
  });

  it('is the same object while results only confirm it', () => {
    const limits = { rise: 2, fall: 3 };
    const up = judge(UNKNOWN, true, limits);
    assert.equal(judge(up, true, limits), up);
    const shaken = judge(up, false, limits);
    assert.deepEqual(shaken, { isUp: true, against: 1 });
    assert.equal(judge(shaken, true, limits), up);
  });
});
