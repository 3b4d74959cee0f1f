/** Another flow hash key for a pool: every flow finds its backend, by whichever key and in whatever state it was born. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { holderKeys, joinKeys, keyIds, slotKeys } from '#anyhop/packet/second-chance-key.js';
import { advance, changeKey, type PoolChanges, plan, startChanges } from '#anyhop/pool/change.js';
import { rekeyWaitsUntilMs } from '#anyhop/pool/rekey.js';
import { type StateMember, statesOf } from '#anyhop/pool/states.js';
import { ignoresMarks } from '#anyhop/table/eligible.js';
import { NONE } from '#anyhop/table/layers.js';
import { type PoolTables, resolvePool } from '#anyhop/table/resolve.js';
import {
  type Action,
  act,
  history,
  mark,
  markAction,
  member,
  memberList,
  planAction,
  SETTLE_MS,
} from './change-fixture.js';

const POOL = { name: 'web', tableSize: 61, panicThreshold: 0 };
const [OLD, NEW, THIRD] = ['00000000000000aa', '00000000000000bb', '00000000000000cc'];

/** A flow has one slot by each key, which have nothing to do with each other. */
const slotBy = (key: string, flow: number): number => (key === OLD ? flow : (flow * 25 + 7) % POOL.tableSize);

let last: PoolTables<StateMember> | undefined;

function tablesOf(changes: PoolChanges): PoolTables<StateMember> {
  last = resolvePool({ ...statesOf(POOL, changes), before: last }); // stacks are not made again
  return last;
}

type Receivers = readonly (readonly number[] | undefined)[];

const known = new WeakMap<PoolChanges, Receivers>();

/** Who gets a packet of each flow now: the owner, and those that its GRE key names. */
function receivers(changes: PoolChanges): Receivers {
  const before = known.get(changes);
  if (before !== undefined) return before;
  const { members, owners, alternates, holders } = tablesOf(changes);
  const [keys, former] = [slotKeys(members, owners, alternates), holders && holderKeys(members, holders)];
  const found = Array.from({ length: POOL.tableSize }, (_, flow) => {
    const slot = slotBy(changes.keyId!, flow);
    if (owners[slot] === NONE) return undefined;
    const own = members[owners[slot]].id;
    const { id } = changes.formerKey ?? {};
    const key = former && id ? joinKeys(own, former[slotBy(id, flow)], keys[slot]) : keys[slot];
    return [own, ...keyIds(key)];
  });
  known.set(changes, found);
  return found;
}

/** Shares of flows, of those born now in `before`, that `after` does not find. */
function assertFound(before: PoolChanges, after: PoolChanges, why: string): void {
  const tables = tablesOf(before);
  const dead = new Set(after.marks.flatMap(({ name, health }) => (health === 'dead' ? [name] : [])));
  for (const [flow, found] of receivers(after).entries()) {
    const owner = tables.owners[slotBy(before.keyId!, flow)];
    if (owner === NONE || found === undefined) continue;
    const { name, id } = tables.members[owner];
    if (dead.has(name) && !ignoresMarks(tables.mode)) continue;
    assert.ok(found.includes(id), `${why}: flow ${flow} of ${name} goes to ${found}`);
  }
}

function settled(changes: PoolChanges): PoolChanges {
  let now = act(changes, { kind: 'hold', names: [] }, changes.nowMs);
  for (let i = 0; i <= changes.queue.length + 1; i++) now = advance(now, now.nowMs + 2 * SETTLE_MS);
  return now;
}

/** A pool after some history, with everything settled and drained. */
const start = fc
  .tuple(memberList, history)
  .map(([members, steps]) =>
    settled(
      steps.reduce(
        (all, { afterMs, action }) => act(all, action, all.nowMs + afterMs),
        changeKey(startChanges({ members }, SETTLE_MS, 0), OLD, 0),
      ),
    ),
  );

type Change = Action | 'key';
const other = fc.oneof(planAction, markAction);

function change(before: PoolChanges, what: Change, nowMs: number): PoolChanges {
  return what === 'key' ? changeKey(before, NEW, nowMs) : act(before, what, nowMs);
}

test('after a change of the key and any other, in either order, every flow is found: born before, between and after them', () => {
  fc.assert(
    fc.property(start, other, fc.boolean(), fc.nat(SETTLE_MS - 2), (before, action, isFirst, apartMs) => {
      const [one, two]: Change[] = isFirst ? ['key', action] : [action, 'key'];
      const between = change(before, one, before.nowMs + 1);
      assertFound(before, between, 'before the first');
      const after = change(between, two, between.nowMs + apartMs);
      // In a state that was in force for no time no flow was born.
      const born = apartMs === 0 ? [before, after] : [before, between, after];
      for (const [i, each] of born.entries()) assertFound(each, after, `state ${i} of ${born.length}`);
      const again = act(after, { kind: 'restart' }, after.nowMs);
      for (const each of born) assertFound(each, again, 'after a restart');
    }),
    { numRuns: 200 },
  );
});

test('a key that comes while a drain is not done is kept for as long as the drain holds', () => {
  fc.assert(
    fc.property(start, fc.nat(5), fc.integer({ min: 1, max: 4 * SETTLE_MS }), (before, pick, laterMs) => {
      const active = before.members.map((one) => ({ ...one, state: 'active' as const }));
      const up = active.reduce((all, { name }) => mark(all, name, 'up', before.nowMs + 1), before);
      const all = settled(plan(up, { members: active }, up.nowMs));
      const { name } = all.members[pick % all.members.length];
      const drains = all.members.map((one) =>
        one.name === name ? { ...one, state: 'draining' as const } : one,
      );
      const draining = act(
        plan(all, { members: drains }, all.nowMs),
        { kind: 'hold', names: [name] },
        all.nowMs,
      );
      const rekeyed = advance(changeKey(draining, NEW, draining.nowMs + 1), draining.nowMs + 1 + laterMs);
      const tables = tablesOf(all);
      for (const [flow, found] of receivers(rekeyed).entries()) {
        const owner = tables.owners[slotBy(OLD, flow)];
        if (owner !== NONE && tables.members[owner].name === name)
          assert.ok(found?.includes(tables.members[owner].id), `flow ${flow} left on ${name}`);
      }
      const over = act(rekeyed, { kind: 'hold', names: [] }, rekeyed.nowMs + SETTLE_MS);
      assert.equal(over.formerKey, undefined);
    }),
    { numRuns: 100 },
  );
});

test('no planned change comes while a key is changing, and the first that waits comes when that is over', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((name) => member(name));
  const before = changeKey(startChanges({ members: [a, b] }, SETTLE_MS, 0), OLD, 0);
  const rekeyed = changeKey(before, NEW, 10);
  const planned = plan(rekeyed, { members: [a, b, c] }, 20);
  assert.deepEqual([planned.members.length, planned.queue.length], [2, 1]);
  assert.equal(advance(planned, 9 + SETTLE_MS).queue.length, 1);
  const over = advance(planned, 10 + SETTLE_MS);
  assert.deepEqual([over.members.length, over.queue.length, over.formerKey], [3, 0, undefined]);
});

test('a key waits for a third change that overlaps and for another key, and not for its own way back', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((name) => member(name));
  const first = changeKey(startChanges({ members: [a] }, SETTLE_MS, 0), OLD, 0);
  const one = plan(first, { members: [a, b] }, 10);
  assert.equal(rekeyWaitsUntilMs(one, NEW), undefined);
  const two = plan(one, { members: [a, b, c] }, 20);
  assert.equal(rekeyWaitsUntilMs(two, NEW), 10 + SETTLE_MS);
  const rekeyed = changeKey(first, NEW, 30);
  assert.equal(rekeyWaitsUntilMs(rekeyed, THIRD), 30 + SETTLE_MS);
  assert.equal(rekeyWaitsUntilMs(rekeyed, OLD), undefined);
  assert.equal(rekeyWaitsUntilMs(rekeyed, NEW), undefined);
});

test('the way back to the former key finds every flow', () => {
  fc.assert(
    fc.property(start, fc.integer({ min: 1, max: SETTLE_MS - 2 }), (before, apartMs) => {
      const during = changeKey(before, NEW, before.nowMs + 1);
      const back = changeKey(during, OLD, during.nowMs + apartMs);
      for (const each of [before, during, back]) assertFound(each, back, 'way back');
    }),
    { numRuns: 100 },
  );
});

test('a pool that was never told a key takes the first for the one that it always had', () => {
  const before = startChanges({ members: [member('a'), member('b')] }, SETTLE_MS, 0);
  const told = changeKey(before, OLD, 5);
  assert.deepEqual([told.keyId, told.formerKey], [OLD, undefined]);
  assert.equal(changeKey(told, OLD, 6).formerKey, undefined);
});
