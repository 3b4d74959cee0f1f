import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eligibility } from '#anyhop/table/eligible.js';
import { type Evenness, evenness } from '#anyhop/table/evenness.js';
import { buildStack } from '#anyhop/table/layers.js';
import { resolvePool } from '#anyhop/table/resolve.js';
import type { Member, PoolState } from '#anyhop/table/state.js';
import { members } from './pools.js';

const M = 65537;

function evennessOf(state: PoolState): Evenness {
  return evenness(resolvePool({ slots: M, state, remembered: [] }), eligibility(state).members)!;
}

test('settled pools of 2 to 1000 equal backends differ by one slot at most', () => {
  for (const count of [2, 3, 5, 10, 33, 100, 333, 1000]) {
    const even = evennessOf(members(count));
    assert.ok(even.max - even.min <= 1, `${count} backends: ${even.min} to ${even.max}`);
    assert.ok(even.maxOverMean <= 1.01, `${count} backends: ${even.maxOverMean}`);
  }
});

// The bounds are the worst of ten draws; the names here are one draw, fixed, so the results are exact from run to run.
test('with backends down the busiest stays near the mean', () => {
  for (const [count, down, most] of [
    [1000, 1, 1.05],
    [1000, 50, 1.145],
    [1000, 200, 1.172],
    [100, 1, 1.029],
    [100, 5, 1.048],
    [100, 20, 1.049],
  ]) {
    const pool = members(count);
    const stack = buildStack(pool, M);
    const state = pool.map((member, i): Member => (i < down ? { ...member, health: 'down' } : member));
    const even = evenness(
      resolvePool({ slots: M, state, stack, remembered: [] }),
      eligibility(state).members,
    )!;
    assert.equal(even.backends, count - down);
    assert.ok(even.maxOverMean <= most, `${down} of ${count} down: ${even.maxOverMean}`);
  }
});

test('figures are those of a table that can be counted by hand', () => {
  const tables = { names: ['a', 'b', 'c', 'gone'], owners: Uint16Array.of(0, 0, 0, 1, 1, 0, 0, 0, 1, 1) };
  const eligible = [
    { name: 'a', weight: 3 },
    { name: 'b', weight: 1 },
    { name: 'c', weight: 1 },
  ];
  const even = evenness(tables, eligible)!;
  assert.deepEqual([even.backends, even.min, even.max, even.mean], [3, 0, 6, 10 / 3]);
  assert.ok(
    Math.abs(even.cv - Math.sqrt(((8 / 3) ** 2 + (2 / 3) ** 2 + (10 / 3) ** 2) / 3) / (10 / 3)) < 1e-12,
  );
  assert.ok(Math.abs(even.maxOverMean - 1.8) < 1e-12);
  assert.deepEqual([even.busiest, even.maxOverShare, even.idle], ['b', 2, ['c']]);
  assert.equal(evenness(tables, []), undefined);
});

test('with weights every backend gets its share, to one slot', () => {
  const state = members(50, (i) => ({ weight: 1 + (i % 5) }));
  assert.ok(evennessOf(state).maxOverShare < 1.003);
  assert.ok(evennessOf(state).maxOverMean > 1.5);
});
