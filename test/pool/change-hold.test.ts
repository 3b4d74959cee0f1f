/** What planned changes wait for where backends drain and still have connections: a third change for one of them, a removal for its own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { BackendConfig } from '#anyhop/config/types.js';
import { advance, force, hold, nextAtMs, type PoolChanges, plan, startChanges } from '#anyhop/pool/change.js';
import { dueAtMs } from '#anyhop/pool/due.js';
import { type Hold, waitsFor } from '#anyhop/pool/open-changes.js';
import { DRAIN_MS, member, memberList, NAMES, SETTLE_MS } from './change-fixture.js';

const START_MS = 10_000;
const DEADLINE_MS = START_MS + 60_000;
const DRAINING = [member('a', { state: 'draining' }), member('b'), member('c')];
const active = (list: readonly BackendConfig[]): BackendConfig[] =>
  list.map((one) => ({ ...one, state: 'active' }));

/** A drain of `a` that has settled and is not done. */
function draining(): PoolChanges {
  const start = startChanges({ members: DRAINING }, SETTLE_MS, START_MS);
  return hold(start, [{ name: 'a', untilMs: DEADLINE_MS }], START_MS);
}

const names = (list: readonly BackendConfig[]): string[] =>
  list.map(({ name, state }) => (state === 'draining' ? `${name} draining` : name));

const heavier = (list: readonly BackendConfig[], weight = 2): BackendConfig[] =>
  list.map((one) => (one.name === 'c' ? { ...one, weight } : one));

test('beside a drain one other change comes at once; a third waits until one of them settles, or the drain is done', () => {
  const second = plan(draining(), { members: heavier(DRAINING) }, START_MS + 1);
  assert.deepEqual(names(second.members), names(DRAINING));
  assert.equal(second.queue.length, 0);
  const wanted = [...heavier(DRAINING), member('d')];
  const waiting = plan(second, { members: wanted }, START_MS + 2);
  assert.equal(waiting.members.length, 3);
  assert.deepEqual(waitsFor(waiting), ['a']);
  const dueMs = START_MS + 1 + SETTLE_MS;
  assert.deepEqual(dueAtMs(waiting, DRAIN_MS), [dueMs], 'at the latest');
  assert.equal(nextAtMs(waiting), dueMs);
  assert.deepEqual(names(advance(waiting, dueMs).members), names(wanted));
  assert.deepEqual(names(hold(waiting, [], START_MS + 3).members), names(wanted));
});

test('beside two drains that are not done a change comes at the first deadline, and not before', () => {
  const two = [DRAINING[0], member('b', { state: 'draining' }), member('c')];
  const begun = hold(
    plan(draining(), { members: two }, START_MS),
    ['a', 'b'].map((name, i) => ({ name, untilMs: DEADLINE_MS + i })),
    START_MS,
  );
  const waiting = plan(begun, { members: [...two, member('d')] }, START_MS + SETTLE_MS);
  assert.deepEqual(waitsFor(waiting), ['a', 'b']);
  assert.equal(advance(waiting, DEADLINE_MS - 1).queue.length, 1);
  assert.equal(advance(waiting, DEADLINE_MS).queue.length, 0);
});

test('taking the draining backend out waits too; forced, nothing waits', () => {
  const without = DRAINING.slice(1);
  assert.deepEqual(names(plan(draining(), { members: without }, START_MS).members), names(DRAINING));
  assert.deepEqual(names(force(draining(), { members: without }, START_MS).members), names(without));
});

test('what ends the drain comes at once, before all that waits for it', () => {
  assert.deepEqual(names(plan(draining(), { members: active(DRAINING) }, START_MS).members), ['a', 'b', 'c']);
  const waiting = plan(draining(), { members: [...DRAINING.slice(1), member('d')] }, START_MS);
  assert.deepEqual(waitsFor(waiting), ['a'], 'it takes it out');
  const ended = plan(waiting, { members: [...active(DRAINING), member('d')] }, START_MS);
  assert.deepEqual(names(ended.members), ['a', 'b', 'c', 'd']);
  assert.deepEqual(
    ended.planned.map(({ atMs }) => atMs),
    [START_MS, START_MS],
    'two changes, one after the other',
  );
});

test('what ends one drain waits for no removal, and leaves the steps that wait as they are, but for that backend', () => {
  const two = [DRAINING[0], member('b', { state: 'draining' }), member('c')];
  let changes = plan(draining(), { members: two }, START_MS);
  changes = plan(changes, { members: [two[0], two[2]] }, START_MS);
  changes = plan(changes, { members: [member('a'), member('c')] }, START_MS);
  const waiting = changes.queue.map(({ members }) => members);
  assert.deepEqual(waiting.map(names), [
    ['a', 'b draining', 'c'],
    ['a', 'c'],
  ]);
  changes = hold(
    changes,
    ['a', 'b'].map((name) => ({ name, untilMs: DEADLINE_MS })),
    START_MS,
  );
  assert.equal(changes.queue.length, 2, 'two drains are open');
  changes = hold(changes, [{ name: 'b', untilMs: DEADLINE_MS }], START_MS + 1);
  assert.deepEqual(names(changes.members), ['a', 'b draining', 'c']);
  assert.deepEqual(names(advance(changes, DEADLINE_MS).members), ['a', 'c']);
});

test('what ends a drain takes back the removal that was to follow it', () => {
  const removed = plan(draining(), { members: DRAINING.slice(1) }, START_MS);
  const ended = plan(removed, { members: active(DRAINING) }, START_MS);
  assert.deepEqual(names(ended.members), ['a', 'b', 'c']);
  assert.deepEqual(ended.queue, []);
});

test('a drain is not ended at once beside another change that settles', () => {
  const start = startChanges({ members: active(DRAINING) }, SETTLE_MS, START_MS);
  const heavier = [DRAINING[0], member('b', { weight: 2 }), member('c')];
  const forced = force(plan(start, { members: DRAINING }, START_MS), { members: heavier }, START_MS + 1);
  const ended = plan(forced, { members: active(heavier) }, START_MS + 2);
  assert.deepEqual(names(ended.members), names(DRAINING));
});

test('of two that drain since one change, the one is ended at once, whatever connections the other has', () => {
  const two = [DRAINING[0], member('b', { state: 'draining' }), member('c')];
  const held = hold(
    startChanges({ members: two }, SETTLE_MS, START_MS),
    ['a', 'b'].map((name) => ({ name, untilMs: DEADLINE_MS })),
    START_MS,
  );
  const wanted = [two[0], member('b'), member('c')];
  assert.deepEqual(names(plan(held, { members: wanted }, START_MS).members), names(wanted));
});

test('whatever is planned, held and awaited: nobody with connections is taken out, all comes in the end, none after it is due', () => {
  const step = fc.record({
    afterMs: fc.integer({ min: 0, max: 1500 }),
    members: fc.option(memberList),
    holds: fc.option(fc.subarray([...NAMES])),
  });
  fc.assert(
    fc.property(memberList, fc.array(step, { maxLength: 15 }), (first, steps) => {
      let changes = startChanges({ members: first }, SETTLE_MS, 0);
      let wanted = changes.members;
      for (const { afterMs, members, holds } of steps) {
        const nowMs = changes.nowMs + afterMs;
        const before = advance(changes, nowMs);
        changes = before;
        if (holds !== null) {
          const list = holds.map((name): Hold => ({ name, untilMs: nowMs + DRAIN_MS }));
          changes = hold(changes, list, nowMs);
        }
        if (members !== null) {
          const held = changes;
          changes = plan(changes, { members }, nowMs);
          wanted = (changes.queue.at(-1)?.members ?? changes.members) as typeof wanted;
          const drains = held.holds.filter(({ untilMs }) => untilMs > nowMs);
          for (const { name } of drains) {
            const left = changes.members.find((one) => one.name === name);
            assert.ok(left !== undefined, `${name} was taken out`);
          }
        }
        const due = dueAtMs(changes, DRAIN_MS);
        if (due.length > 0) {
          assert.ok(advance(changes, due[0] - 1).queue.length === changes.queue.length);
          assert.ok(advance(changes, due[0]).queue.length < changes.queue.length, 'it comes when it is due');
        }
      }
      changes = hold(changes, [], changes.nowMs);
      // Each step may have put two into the queue: the end of a drain, and the rest.
      for (let i = 0; i <= 2 * steps.length; i++) changes = advance(changes, changes.nowMs + SETTLE_MS);
      assert.deepEqual(changes.members, wanted);
      assert.equal(changes.queue.length, 0);
    }),
  );
});

test('an undrain that waits keeps its id and its place, whatever is asked for after it', () => {
  // Two backends drain, so that the end of one drain is no simple way back, and waits for the weight to settle.
  const two = [DRAINING[0], member('b', { state: 'draining' }), member('c')];
  const holds: Hold[] = ['a', 'b'].map((name) => ({ name, untilMs: DEADLINE_MS }));
  let changes = hold(startChanges({ members: two }, SETTLE_MS, START_MS), holds, START_MS);
  changes = force(changes, { members: heavier(two, 2) }, START_MS);
  const undrained = [member('a'), two[1], two[2]];
  changes = plan(changes, { members: heavier(undrained, 2) }, START_MS + 1);
  assert.equal(changes.queue.length, 1, 'the undrain waits');
  const [{ id }] = changes.queue;
  for (const weight of [3, 4, 4]) {
    changes = plan(changes, { members: heavier(undrained, weight) }, START_MS + 2);
    assert.equal(changes.queue.length, 2);
    assert.equal(changes.queue[0].id, id, `weight ${weight}`);
    assert.deepEqual(names(changes.queue[0].members), ['a', 'b draining', 'c']);
    assert.equal(changes.queue[1].members[2].weight, weight);
  }
  // The end of the other drain joins the one that waits.
  changes = plan(changes, { members: heavier(active(undrained), 4) }, START_MS + 3);
  assert.deepEqual([changes.queue.length, changes.queue[0].id], [2, id]);
  assert.deepEqual(names(changes.queue[0].members), ['a', 'b', 'c']);
});
