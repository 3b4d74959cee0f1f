/** What pool/change.ts and the tables keep together: flows find their backend through whatever happens to a pool. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { advance, force, mark, type PoolChanges, plan, startChanges } from '#anyhop/pool/change.js';
import { riskOf as risksOf, shareAtRisk } from '#anyhop/pool/risk.js';
import { priorState, rememberedStates, stateInForce } from '#anyhop/pool/states.js';
import { resolvePool } from '#anyhop/table/resolve.js';
import { alternateNames, ownerNames } from '../table/pools.js';
import {
  act,
  history,
  markAction,
  member,
  memberList,
  planAction,
  SETTLE_MS,
  type Step,
} from './change-fixture.js';

const SLOTS = 251;

function play(changes: PoolChanges, steps: readonly Step[], fromMs = 0): PoolChanges {
  let now = changes;
  let nowMs = fromMs;
  for (const { afterMs, action } of steps) {
    nowMs += afterMs;
    now = act(now, action, nowMs);
  }
  return now;
}

/** Long after everything has settled. */
function settled(changes: PoolChanges): PoolChanges {
  let now = changes;
  for (let i = 0; i <= changes.queue.length + 1; i++) now = advance(now, now.nowMs + SETTLE_MS);
  return now;
}

/** Every owner that `before` gave a slot is owner or alternate of it after; one that is dead has no flows where marks are believed. */
function assertKept(before: PoolChanges, after: PoolChanges): void {
  const first = resolvePool({ slots: SLOTS, state: stateInForce(before), remembered: [] });
  const former = ownerNames(first);
  const tables = resolvePool({ slots: SLOTS, state: stateInForce(after), remembered: [priorState(after)] });
  const [owners, alternates] = [ownerNames(tables), alternateNames(tables)];
  const forgotten = after.marks.filter(({ health }) => health === 'dead' && first.mode !== 'all_down');
  const dead = new Set(forgotten.map(({ name }) => name));
  for (let slot = 0; slot < SLOTS; slot++) {
    const name = former[slot];
    if (name === undefined || dead.has(name) || name === owners[slot]) continue;
    assert.ok(alternates[slot].includes(name), `slot ${slot} went from ${name} to ${owners[slot]}`);
  }
}

const anything = fc.oneof(planAction, markAction);

test('any single change from a settled state leaves the former owner as alternate of every slot it moves', () => {
  fc.assert(
    fc.property(memberList, history, anything, (members, steps, action) => {
      const before = settled(play(startChanges({ members }, SETTLE_MS, 0), steps));
      assertKept(before, act(before, action, before.nowMs + 1));
    }),
    { numRuns: 300 },
  );
});

test('after any changes within a settle time the owner before all of them is still owner or alternate', () => {
  const burst = fc.array(fc.record({ afterMs: fc.integer({ min: 0, max: 90 }), action: anything }), {
    minLength: 2,
    maxLength: 10,
  });
  fc.assert(
    fc.property(memberList, history, burst, (members, steps, changes) => {
      const before = settled(play(startChanges({ members }, SETTLE_MS, 0), steps));
      assertKept(before, play(before, changes, before.nowMs));
    }),
    { numRuns: 300 },
  );
});

test('a backend that was away for a moment keeps its flows through a planned change soon after', () => {
  fc.assert(
    fc.property(
      memberList,
      memberList,
      markAction,
      fc.tuple(fc.nat(400), fc.nat(400), fc.nat(2000)),
      (members, wanted, flap, [awayMs, backMs, lookMs]) => {
        const before = settled(startChanges({ members }, SETTLE_MS, 0));
        const { nowMs } = before;
        const away = act(before, flap, nowMs);
        const back = act(away, { ...flap, health: 'up' } as typeof flap, nowMs + awayMs);
        const planned = plan(back, { members: wanted }, nowMs + awayMs + backMs);
        const lookAtMs = nowMs + awayMs + backMs + Math.min(lookMs, SETTLE_MS - 1);
        assertKept(before, advance(planned, lookAtMs));
      },
    ),
    { numRuns: 300 },
  );
});

test('a backend that flaps for hours does not freeze the prior state: two planned changes keep all flows', () => {
  const four = ['a', 'b', 'c', 'd'].map((name) => member(name));
  let changes = startChanges({ members: four }, SETTLE_MS, 0);
  const flap = (fromMs: number, untilMs: number): void => {
    for (let at = fromMs; at < untilMs; at += 300) {
      changes = mark(changes, 'd', at % 600 === 0 ? 'down' : 'up', at);
    }
  };
  flap(0, 30_000);
  changes = plan(changes, { members: [...four, member('e')] }, 30_000);
  flap(30_000, 60_000);
  const before = changes;
  changes = plan(changes, { members: [...four, member('e'), member('f')] }, 60_000);
  assertKept(before, changes);
});

test('drain, then remove: the removal waits for the drain, and the flows of the other backends survive it', () => {
  const three = ['a', 'b', 'c'].map((name) => member(name));
  const drained = three.map((one) => (one.name === 'c' ? { ...one, state: 'draining' as const } : one));
  const start = startChanges({ members: three }, SETTLE_MS, 0);
  const draining = plan(start, { members: drained }, 100);
  assertKept(start, draining);
  const queued = plan(draining, { members: three.slice(0, 2) }, 200);
  assert.deepEqual(queued.members, draining.members);
  const removed = advance(queued, 1100);
  assert.deepEqual(
    removed.members.map(({ name }) => name),
    ['a', 'b'],
  );
  assertKept(queued, removed);
});

test('health marks never wait, and a removed backend is not marked', () => {
  fc.assert(
    fc.property(memberList, history, markAction, (members, steps, action) => {
      if (action.kind !== 'mark') return;
      const before = play(startChanges({ members }, SETTLE_MS, 0), steps);
      const after = mark(before, action.name, action.health, before.nowMs);
      const found = stateInForce(after).find(({ name }) => name === action.name);
      if (found !== undefined) assert.equal(found.health, action.health);
      assert.equal(
        after.marks.length,
        advance(before, before.nowMs).marks.length,
        'marks are those of members alone',
      );
    }),
  );
});

/**
 * The smallest case that breaks a flow: two backends, two changes within a settle time. The flow was born between the
 * two, on a backend that is neither the owner before both nor the one after them. With n backends it is 1 / n(n-1) of
 * the flows born between.
 */
test('flows born between a drain and a failure are at risk: 1/2, 1/6, 5 % and 0.04 % with 2, 3, 5 and 50 backends', () => {
  for (const [count, share] of [
    [2, 1 / 2],
    [3, 1 / 6],
    [5, 0.05],
    [50, 0.0004],
  ] as const) {
    const [first, ...others] = Array.from({ length: count }, (_, i) => member(`b${i}`));
    const start = startChanges({ members: [first, ...others] }, SETTLE_MS, 0);
    const drained = plan(start, { members: [{ ...first, state: 'draining' }, ...others] }, 0);
    const risks = others.map(({ name }) => riskOf(drained, mark(drained, name, 'down', 100), 65537));
    assert.ok(
      risks.every(([before]) => before === 0),
      'flows born before both are safe',
    );
    const between = risks.reduce((sum, [, since]) => sum + since, 0) / risks.length;
    assert.ok(Math.abs(between / share - 1) < 0.1, `${count} backends: ${between}, expected ${share}`);
  }
});

test('a drain of the only backend that drains, taken back at once, breaks no flow of any age, as long as one backend is up', () => {
  let taken = 0;
  fc.assert(
    fc.property(
      memberList,
      history,
      fc.nat(5),
      fc.integer({ min: 1, max: SETTLE_MS - 1 }),
      (members, steps, pick, afterMs) => {
        const before = settled(play(startChanges({ members }, SETTLE_MS, 0), steps));
        fc.pre(before.members.every(({ state }) => state === 'active'));
        // Where nothing is up all are tried, and whoever is dead has no flows to lose.
        fc.pre(stateInForce(before).some(({ health, weight }) => health === 'up' && weight > 0));
        const { name } = before.members[pick % before.members.length];
        const drained = before.members.map((one) =>
          one.name === name ? { ...one, state: 'draining' as const } : one,
        );
        const draining = plan(before, { members: drained }, before.nowMs);
        const back = plan(draining, { members: before.members }, before.nowMs + afterMs);
        assert.deepEqual(back.members, before.members);
        taken++;
        for (const share of riskOf(draining, back)) assert.equal(share, 0);
        assert.ok(riskOf(back, advance(back, before.nowMs + SETTLE_MS)).every((share) => share === 0));
      },
    ),
    { numRuns: 300 },
  );
  assert.ok(taken > 0);
});

/** The slot's first alternate is the draining backend then, for its connections come first in the order of candidates. */
test('beside a draining backend, flows born during a health flap are kept at its end by the second alternate', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((name) => member(name));
  const drained = startChanges({ members: [{ ...a, state: 'draining' }, b, c] }, SETTLE_MS, 0);
  const away = mark(drained, 'b', 'down', 100);
  const back = mark(away, 'b', 'up', 200);
  assert.deepEqual(riskOf(away, back, 65537), [0, 0]);

  const born = ownerNames(resolvePool({ slots: SLOTS, state: stateInForce(away), remembered: [] }));
  const state = stateInForce(back);
  const tables = resolvePool({ slots: SLOTS, state, remembered: [priorState(back)] });
  const [owners, alternates] = [ownerNames(tables), alternateNames(tables)];
  for (let slot = 0; slot < SLOTS; slot++) {
    assert.ok([owners[slot], ...alternates[slot]].includes(born[slot]), `slot ${slot}`);
  }
});

/** Shares of the flows alive in `before`, by age, that `after` breaks. */
function riskOf(before: PoolChanges, after: PoolChanges, slots = SLOTS): number[] {
  const born = rememberedStates(before).map(({ state }) => state);
  return shareAtRisk(born, { slots, state: stateInForce(after), remembered: [priorState(after)] });
}

test('what a forced change breaks is told beforehand, by age of the flows', () => {
  const members = ['a', 'b', 'c', 'd', 'e'].map((name) => member(name));
  const start = startChanges({ members }, SETTLE_MS, 0);
  const heavier = plan(
    start,
    { members: members.map((one) => ({ ...one, weight: one.name === 'a' ? 4 : 1 })) },
    0,
  );
  const wanted = { members: members.map((one) => ({ ...one, weight: one.name === 'b' ? 4 : 1 })) };
  const statesAt = (changes: PoolChanges) => ({
    slots: SLOTS,
    state: stateInForce(changes),
    remembered: [priorState(changes)],
  });
  const [before, since] = risksOf(heavier, statesAt(force(heavier, wanted, 500)));
  assert.deepEqual(before, { bornUntilMs: 0, share: 0 });
  assert.ok(since.bornUntilMs === undefined && since.share > 0.1, JSON.stringify(since));
  assert.deepEqual(risksOf(start, statesAt(force(start, wanted, 500))), [
    { bornUntilMs: undefined, share: 0 },
  ]);
  const due = advance(heavier, SETTLE_MS);
  assert.deepEqual(riskOf(due, advance(plan(heavier, wanted, 500), SETTLE_MS)), [0]);
});
