/** The law of several checks: all must pass. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { checkNames } from '#anyhop/config/check-names.js';
import type { HealthConfig } from '#anyhop/config/types.js';
import { type CheckResult, combine } from '#anyhop/health/combine.js';

const timing = { intervalMs: 1000, timeoutMs: 500, rise: 1, fall: 1, jitter: 0 };
const CHECKS = [1, 2, 3, 4].map((port): HealthConfig => ({ ...timing, kind: 'tcp', port }));

const result: fc.Arbitrary<CheckResult> = fc.oneof(
  fc.constant({ isUp: true, reason: 'the check is good' }),
  fc.record({ isUp: fc.constant(false), reason: fc.constantFrom('refused', 'no answer', 'HTTP status 503') }),
);
const results = fc.array(fc.option(result, { nil: undefined }), { minLength: 1, maxLength: 4 });
const checksOf = ({ length }: readonly unknown[]) => CHECKS.slice(0, length);

describe('the checks of a backend', () => {
  it('say nothing until each has a result, then that it is up exactly when all say so', () => {
    fc.assert(
      fc.property(results, (each) => {
        const combined = combine(each, checksOf(each));
        if (each.includes(undefined)) assert.equal(combined, undefined);
        else
          assert.equal(
            combined?.isUp,
            each.every((one) => one?.isUp),
          );
      }),
    );
  });

  it('give the reason of the first one in the order of the file that is down, and its name where there are several', () => {
    fc.assert(
      fc.property(results, (each) => {
        const combined = combine(each, checksOf(each));
        fc.pre(combined?.isUp === false);
        const { failing, reason } = combined!;
        assert.ok(each.slice(0, failing).every((one) => one?.isUp));
        const { isUp, reason: own } = each[failing]!;
        assert.equal(isUp, false);
        assert.equal(reason, each.length === 1 ? own : `${checkNames(checksOf(each))[failing]}: ${own}`);
      }),
    );
  });

  it('that pass say so of all of them, or of the only one', () => {
    const good = { isUp: true, reason: 'the check is good' };
    assert.deepEqual(combine([good], checksOf([0])), { ...good, failing: -1 });
    assert.deepEqual(combine([good, good], checksOf([0, 0])), {
      isUp: true,
      reason: 'all checks are good',
      failing: -1,
    });
  });
});
