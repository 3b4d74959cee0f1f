/** The budgets of answers: nobody gets too many, who sends little is served first, and no clock keeps anybody silent. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { L } from '#anyhop/core/layout.gen.js';
import { budgetAdmits, ECHO_BUDGET, makeLimiter, TOO_BIG_BUDGET } from '#anyhop/forward/budget.js';
import { frame, icmpEcho, icmpv6Echo, ipv4, ipv6, payload } from '../packets/build.js';
import { Runner, VIP4, VIP6 } from './fixture.js';

/** Ticks come round after so many in what a cell remembers: 3.6 hours. */
const TICKS_REMEMBERED = 0x1000 * L.BUDGET_EPOCH_TICKS;
/** Any 32 bits from a small number. */
const hashOf = (client: number): number =>
  Math.imul(client + 1, 0x9e3779b1) ^ Math.imul(client + 7, 0x85ebca6b);

describe('a budget of answers', () => {
  it('gives a client at most its number a tick, and all of it', () => {
    for (const forClient of [L.BUDGET_TOO_BIG, L.BUDGET_ECHO]) {
      const words = makeLimiter();
      for (let tick = 0; tick < 200; tick++) {
        let admitted = 0;
        for (let i = 0; i < 50; i++)
          admitted += budgetAdmits(words, TOO_BIG_BUDGET, hashOf(1), tick, forClient) ? 1 : 0;
        assert.equal(admitted, forClient);
      }
    }
  });

  it('gives all clients together its number a tick, and to one that has sent n times what is little the n-th part', () => {
    const words = makeLimiter();
    const ask = (client: number, tick: number): boolean =>
      budgetAdmits(words, TOO_BIG_BUDGET, hashOf(client), tick, 1);
    for (let i = 1; i < L.BUDGET_RARE * 4; i++) ask(0, 1);
    let admitted = 0;
    for (let client = 1; client <= L.BUDGET_ANSWERS / 4 - 1; client++) admitted += ask(client, 2) ? 1 : 0;
    assert.equal(admitted, L.BUDGET_ANSWERS / 4 - 1);
    // It is 4 times what is little with this packet, and one more answer would be beyond a quarter of the budget.
    assert.ok(ask(0, 2));
    assert.ok(!budgetAdmits(words, TOO_BIG_BUDGET, hashOf(0), 2, 2));
    for (let client = 10_000; client < 20_000; client++) admitted += ask(client, 2) ? 1 : 0;
    assert.equal(admitted, L.BUDGET_ANSWERS - 1);
  });

  it('is full for who has sent little while 20,000 others ask 11 times a second each', () => {
    const words = makeLimiter();
    const [others, atOnce] = [20_000, 22_000];
    let [sent, asked, answered, toOthers] = [0, 0, 0, 0];
    for (let tick = 0; tick < 200; tick++) {
      for (let i = 0; i < atOnce; i++) {
        const client = sent++ % others;
        // Twice in three ticks, at any moment of it; from the fourth second on, when the others are known.
        if (tick >= 40 && tick % 3 !== 0 && i === (tick * 7919) % atOnce) {
          asked++;
          if (budgetAdmits(words, TOO_BIG_BUDGET, hashOf(-5), tick, 1)) answered++;
        }
        if (budgetAdmits(words, TOO_BIG_BUDGET, hashOf(client), tick, 1)) toOthers++;
      }
    }
    assert.ok(asked > 100);
    assert.equal(answered, asked);
    assert.ok(toOthers / 200 < L.BUDGET_ANSWERS, `${toOthers} answers to the others`);
  });

  it('answers the first that asks at a tick at which nobody has been answered, whatever the clock has done before', () => {
    fc.assert(
      fc.property(fc.array(fc.integer(), { minLength: 2, maxLength: 50 }), (times) => {
        const words = makeLimiter();
        const before = new Set<number>();
        for (const tick of times) {
          const remembered = tick & (TICKS_REMEMBERED - 1);
          if (before.has(remembered)) continue;
          before.add(remembered);
          assert.ok(budgetAdmits(words, TOO_BIG_BUDGET, hashOf(1), tick, 1), `tick ${tick}`);
          assert.ok(!budgetAdmits(words, TOO_BIG_BUDGET, hashOf(1), tick, 1), `tick ${tick} again`);
        }
      }),
    );
  });

  it('of one kind is not used up by answers of the other', () => {
    const words = makeLimiter();
    assert.ok(budgetAdmits(words, TOO_BIG_BUDGET, 5, 1, 1));
    assert.ok(!budgetAdmits(words, TOO_BIG_BUDGET, 5, 1, 1));
    assert.ok(budgetAdmits(words, ECHO_BUDGET, 5, 1, 1));
  });
});

describe('echo answers', () => {
  it('go to one address, or one /64, ten times a tick at most, and go on with the next tick', () => {
    const runner = new Runner();
    for (const ask of [
      (i: number) =>
        frame({}, ipv4({ src: '198.51.100.7', dst: VIP4 }), icmpEcho({ sequence: i }), payload(56)),
      (i: number) =>
        frame({}, ipv6({ src: `2001:db8:c::${i + 1}`, dst: VIP6 }), icmpv6Echo({ sequence: i }), payload(56)),
    ]) {
      for (const tick of [1, 2, 77]) {
        runner.pipeline.tick = tick;
        const verdicts = Array.from({ length: 100 }, (_, i) => runner.run(ask(i)).verdict);
        assert.deepEqual(new Set(verdicts.slice(0, 10)), new Set(['echo_answered']));
        assert.deepEqual(new Set(verdicts.slice(10)), new Set(['drop_echo_limited']));
      }
    }
  });
});
