/** Rates: over the time since the look before the last. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Counters } from '#anyhop/forward/counters.js';
import { Rates } from '#anyhop/node/rates.js';

describe('rates', () => {
  it('are over one to two seconds, and begin at nothing for what came since', (t) => {
    const counters = new Counters();
    let nowMs = 5_000;
    const rates = new Rates(
      () => counters,
      () => nowMs,
    );
    t.after(() => rates.close());
    assert.equal(rates.now().rate('verdicts', 0), 0, 'no time has passed');
    counters.verdicts[0] = 100;
    nowMs += 1000;
    assert.equal(rates.now().rate('verdicts', 0), 100);
    rates.tick();
    nowMs += 500;
    counters.verdicts[0] = 250;
    assert.equal(rates.now().rate('verdicts', 0), 250 / 1.5, 'still since the first look');
    nowMs += 500;
    rates.tick();
    counters.grow(1, 1);
    counters.backends[0] = 30;
    nowMs += 500;
    assert.equal(rates.now().rate('verdicts', 0), 150 / 1.5, 'since the look at 6000');
    assert.equal(rates.now().rate('backends', 0), 20);
    assert.equal(rates.now().rate('services', 77), 0);
    counters.verdicts[0] = 9e15;
    assert.equal(rates.now().sample.verdicts[0], 9e15);
  });
});
