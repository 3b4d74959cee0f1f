/** What overlapping changes break in pools of 5, 10 and 50 equal backends: docs/architecture/decisions.md has these figures. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolvePool } from '#anyhop/table/resolve.js';
import type { Member, PoolState } from '#anyhop/table/state.js';
import { members } from './pools.js';

const SLOTS = 65537;

type Step = (state: PoolState) => PoolState;

const edit = (name: string, fields: Partial<Member>): Step => {
  return (state) => state.map((member) => (member.name === name ? { ...member, ...fields } : member));
};
const drain = (i: number): Step => edit(`b${i}`, { state: 'draining' });
const undrain = (i: number): Step => edit(`b${i}`, { state: 'active' });
const down = (i: number): Step => edit(`b${i}`, { health: 'down' });
const up = (i: number): Step => edit(`b${i}`, { health: 'up' });
const add = (name: string): Step => {
  return (state) => [...state, { name, weight: 1, state: 'active', health: 'up' }];
};
const remove = (i: number): Step => {
  return (state) => state.filter(({ name }) => name !== `b${i}`);
};
/** A settle time goes by: of what was before it, the states before drains that go on are remembered alone. */
const settle = 'settle';

function beforeDrains(states: readonly PoolState[], present: PoolState): PoolState[] {
  const draining = (state: PoolState) => state.filter((member) => member.state === 'draining').length;
  return states.filter((state, i) => draining(state) < draining(states[i - 1] ?? present));
}

/**
 * For each state that was in force, the share of the connections that began in it which are not found any more; those of a dead
 * backend do not count. The largest share.
 */
function lost(count: number, steps: readonly (Step | typeof settle)[], dead: readonly string[] = []): number {
  let state: PoolState = members(count);
  let remembered: PoolState[] = [];
  const born: PoolState[] = [];
  for (const step of steps) {
    if (step === settle) {
      remembered = beforeDrains(remembered, state);
      continue;
    }
    born.push(state);
    remembered = [state, ...remembered];
    state = step(state);
  }
  const { members: machines, owners, alternates } = resolvePool({ slots: SLOTS, state, remembered });
  const numbers = new Map(machines.map(({ name }, i) => [name, i]));
  const shares = born.map((each) => {
    const before = resolvePool({ slots: SLOTS, state: each, remembered: [] });
    const places = before.names.map((name) => (dead.includes(name) ? -1 : numbers.get(name)));
    let [alive, broken] = [0, 0];
    for (let slot = 0; slot < SLOTS; slot++) {
      const place = places[before.owners[slot]];
      if (place === -1) continue;
      alive++;
      if (![owners[slot], alternates[slot], alternates[SLOTS + slot]].includes(place!)) broken++;
    }
    return broken / alive;
  });
  return Math.max(...shares);
}

test('two changes that overlap break no connection of a backend that lives', () => {
  for (const [what, steps, dead = []] of [
    ['drain, crash', [drain(0), down(1)], ['b1']],
    ['old drain, crash', [drain(0), settle, down(1)], ['b1']],
    ['drain, false down', [drain(0), down(1)]],
    ['drain, false down of the same', [drain(0), down(0)]],
    ['old drain, false down', [drain(0), settle, down(1)]],
    ['drain, flap', [drain(0), down(1), up(1)]],
    ['old drain, flap', [drain(0), settle, down(1), up(1)]],
    ['drain, drain', [drain(0), drain(1)]],
    ['add, add', [add('x'), add('y')]],
    ['remove, add', [remove(0), add('x')]],
    ['old drain, add', [drain(0), settle, add('x')]],
    ['drain, undrain', [drain(0), undrain(0)]],
    ['old drain, undrain', [drain(0), settle, undrain(0)]],
    ['drain, undrain, drain of another', [drain(0), undrain(0), drain(1)]],
  ] as const) {
    for (const count of [5, 10, 50]) assert.equal(lost(count, steps, dead), 0, `${what}, ${count} backends`);
  }
});

test('a third change breaks a few connections, but none where it is the crash of a backend', () => {
  for (const [what, steps, shares, dead = []] of [
    ['two drains, crash', [drain(0), drain(1), down(2)], [0, 0, 0], ['b2']],
    ['three drains', [drain(0), drain(1), drain(2)], [0.017, 0.0014, 0.00002]],
    ['old drain, add, add', [drain(0), settle, add('x'), add('y')], [0.015, 0.002, 0.0001]],
    ['two drains, false down', [drain(0), drain(1), down(2)], [0.017, 0.0014, 0.00002]],
  ] as const) {
    for (const [i, count] of [5, 10, 50].entries()) {
      const share = lost(count, steps, dead);
      assert.ok(share <= shares[i] * 1.5, `${what}, ${count} backends: ${share}`);
      if (shares[i] > 0.001) assert.ok(share >= shares[i] / 1.5, `${what}, ${count} backends: ${share}`);
    }
  }
});
