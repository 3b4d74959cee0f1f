/** A node that missed changes remembers what was in force meanwhile, as one does that has seen them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { BackendConfig } from '#anyhop/config/types.js';
import { STATES_REMEMBERED_MAX } from '#anyhop/core/limits.js';
import { keyedAlternates } from '#anyhop/pool/keyed.js';
import { type Membership, NO_POOLS, passTime, take } from '#anyhop/pool/membership.js';
import { type MissedPools, recall } from '#anyhop/pool/missed.js';
import { isSameMembers } from '#anyhop/pool/remembered.js';
import { statesOf } from '#anyhop/pool/states.js';
import { POOL } from '#anyhop/sim/fleet.js';
import { resolvePool } from '#anyhop/table/resolve.js';
import { member, memberList, SETTLE_MS } from './change-fixture.js';

const [KEY, OTHER] = ['00000000000000aa', '00000000000000bb'];

interface Change {
  readonly atMs: number;
  readonly members: readonly BackendConfig[];
  readonly keyId: string;
}

const SLOTS = 61;
const file = ({ members }: Change) => ({
  ...POOL,
  tableSize: SLOTS,
  settleMs: SETTLE_MS,
  deadAfterMs: SETTLE_MS,
  backends: [...members],
});

function taken(before: Membership, change: Change): Membership {
  return take(before, [file(change)], { force: true, nowMs: change.atMs, keyId: change.keyId });
}

/** What a node knows that has missed all but the first and the last. */
function returned(history: readonly Change[], nowMs: number): Membership {
  const last = { ...history.at(-1)!, atMs: nowMs };
  const missed = history.slice(1, -1).map(
    (change, i): MissedPools => ({
      pools: [file(change)],
      keyId: change.keyId,
      untilMs: history[i + 2]!.atMs,
    }),
  );
  return recall(taken(taken(NO_POOLS, history[0]!), last), missed.reverse(), nowMs);
}

const changesOf = (pools: Membership) => pools.get(POOL.name)!.changes;
const alternatesOf = (pools: Membership) => {
  const { file, changes } = pools.get(POOL.name)!;
  const tables = resolvePool(statesOf(file, changes));
  return [...keyedAlternates(tables)].map((index) => tables.members[index]?.name);
};

test('remembers every state of the settle time that a node remembers that has seen them', () => {
  const history = fc
    .array(fc.tuple(fc.integer({ min: 1, max: SETTLE_MS }), memberList), {
      minLength: 2,
      maxLength: STATES_REMEMBERED_MAX,
    })
    .map((list) => {
      const times = list.map(([afterMs]) => afterMs);
      return list.map(
        ([, members], i): Change => ({
          atMs: times.slice(0, i + 1).reduce((a, b) => a + b),
          members,
          keyId: KEY,
        }),
      );
    });
  fc.assert(
    fc.property(history, fc.integer({ min: 1, max: 2 * SETTLE_MS }), (list, laterMs) => {
      const nowMs = list.at(-1)!.atMs + laterMs;
      const seen = changesOf(recall(list.reduce(taken, NO_POOLS), [], nowMs));
      const came = changesOf(returned(list, nowMs));
      assert.ok(isSameMembers(came.members, seen.members));
      for (const state of seen.remembered.filter(({ untilMs }) => nowMs < untilMs + SETTLE_MS)) {
        const same = came.remembered.find(({ members }) => isSameMembers(members, state.members));
        assert.ok(same !== undefined && same.untilMs >= state.untilMs, JSON.stringify(state));
      }
      for (const { untilMs } of came.remembered) assert.ok(untilMs <= nowMs);
    }),
    { numRuns: 200 },
  );
});

test('names the backends of states in between in its keys, and forgets them when the others do', () => {
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => member(name));
  const history = [
    [a, b, c],
    [a, b, c, d],
    [a, b, c],
  ].map((members, i): Change => ({ atMs: 100 * (i + 1), members: members as BackendConfig[], keyId: KEY }));
  const seen = history.reduce(taken, NO_POOLS);
  const nowMs = 400;
  assert.deepEqual(alternatesOf(returned(history, nowMs)), alternatesOf(seen));
  assert.ok(alternatesOf(seen).includes('d'));
  const late = 300 + SETTLE_MS;
  assert.ok(!alternatesOf(returned(history, late)).includes('d'));
});

test('knows the former flow hash key when it begins while that changes, until the others forget it', () => {
  const [a, b] = ['a', 'b'].map((name) => member(name)) as [BackendConfig, BackendConfig];
  const history: Change[] = [
    { atMs: 100, members: [a], keyId: KEY },
    { atMs: 200, members: [a, b], keyId: KEY },
    { atMs: 300, members: [a, b], keyId: OTHER },
  ];
  const missed = history
    .slice(0, -1)
    .map(
      (change, i): MissedPools => ({
        pools: [file(change)],
        keyId: change.keyId,
        untilMs: history[i + 1]!.atMs,
      }),
    )
    .reverse();
  const begun = (nowMs: number): Membership =>
    recall(taken(NO_POOLS, { ...history[2]!, atMs: nowMs }), missed, nowMs);
  const seen = changesOf(history.reduce(taken, NO_POOLS)).formerKey!;
  const { id, untilMs, states } = changesOf(begun(500)).formerKey!;
  assert.deepEqual([id, untilMs], [seen.id, seen.untilMs]);
  const lists = (of: typeof states) => of.map(({ members }) => members.map(({ name }) => name).join(''));
  assert.deepEqual(lists(states), lists(seen.states));
  const overMs = 300 + SETTLE_MS;
  assert.equal(changesOf(passTime(begun(500), overMs)).formerKey, undefined);
  assert.equal(changesOf(begun(overMs)).formerKey, undefined);
});

test('keeps states of the former flow hash key apart, and those of a third one out', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((name) => member(name)) as [
    BackendConfig,
    BackendConfig,
    BackendConfig,
  ];
  const history: Change[] = [
    { atMs: 100, members: [a], keyId: KEY },
    { atMs: 200, members: [a, b], keyId: KEY },
    { atMs: 300, members: [a, b], keyId: OTHER },
    { atMs: 400, members: [a, b, c], keyId: OTHER },
  ];
  const { remembered, formerKey } = changesOf(returned(history, 500));
  const names = (states: readonly { readonly members: readonly BackendConfig[] }[] = []) =>
    states.map(({ members }) => members.map(({ name }) => name).join(''));
  assert.deepEqual(names(formerKey?.states), ['a', 'ab']);
  assert.deepEqual(names(remembered), ['a', 'ab']);
  const third = history.map((one, i) => (i === 1 ? { ...one, keyId: '00000000000000cc' } : one));
  assert.deepEqual(names(changesOf(returned(third, 500)).formerKey?.states), ['a']);
});
