/** What pool/change.ts and the tables keep together: flows find their backend through whatever happens to a pool. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { BackendConfig } from '#anyhop/config/types.js';
import { CHANGES_OPEN_MAX, STATES_REMEMBERED_MAX } from '#anyhop/core/limits.js';
import {
  advance,
  force,
  hold,
  markEach,
  nextAtMs,
  type PoolChanges,
  plan,
  startChanges,
} from '#anyhop/pool/change.js';
import { keyedAlternates } from '#anyhop/pool/keyed.js';
import { isSameMoment, momentOf } from '#anyhop/pool/remembered.js';
import { type StateMember, stateInForce, statesOf } from '#anyhop/pool/states.js';
import { ignoresMarks } from '#anyhop/table/eligible.js';
import { NONE } from '#anyhop/table/layers.js';
import { resolvePool } from '#anyhop/table/resolve.js';
import {
  type Action,
  act,
  DRAIN_MS,
  history,
  mark,
  markAction,
  member,
  memberList,
  NAMES,
  planAction,
  SETTLE_MS,
} from './change-fixture.js';

const POOL = { name: 'web', tableSize: 251, panicThreshold: 0 };

/** A state that was in force, and the flows that were born in it. */
interface Born {
  readonly state: readonly StateMember[];
  /** Not longer in force than until then. */
  untilMs: number;
}

/** A pool and all that was ever in force in it, which it is not told. */
class Watched {
  changes: PoolChanges;
  readonly born: Born[] = [];
  /** When something of the state in force changed: one time for each planned change, and for each mark. */
  readonly changedAtMs: number[] = [];
  /** By backend that drains: when it began, and the state before. */
  readonly drains = new Map<string, Born>();

  #sinceMs = Number.NEGATIVE_INFINITY;

  constructor(changes: PoolChanges) {
    this.changes = changes;
  }

  act(action: Action, nowMs: number): void {
    this.passTo(nowMs);
    // Connections do not come back on a backend that has none left.
    const held = new Set(this.changes.holds.flatMap(({ name, untilMs }) => (nowMs < untilMs ? [name] : [])));
    const real =
      action.kind === 'hold' ? { ...action, names: action.names.filter((name) => held.has(name)) } : action;
    this.#step((before) => act(before, real, nowMs), nowMs);
  }

  /** On to `nowMs`, and at each moment between at which something is due. */
  passTo(nowMs: number): void {
    for (let at = nextAtMs(this.changes); at !== undefined && at < nowMs; at = nextAtMs(this.changes))
      this.#step((before) => advance(before, at!), at);
    this.#step((before) => advance(before, nowMs), nowMs);
  }

  #step(change: (before: PoolChanges) => PoolChanges, nowMs: number): void {
    const before = this.changes;
    this.changes = change(before);
    const { planned } = this.changes;
    const came = planned.filter((one) => one.atMs === nowMs).length;
    const cameBefore = before.planned.filter((one) => one.atMs === nowMs).length;
    const isMarked = !isSameMoment(
      { ...momentOf(before), members: [] },
      { ...momentOf(this.changes), members: [] },
    );
    const times = Math.max(came - cameBefore, 0) || (isMarked ? 1 : 0);
    for (let i = 0; i < times; i++) this.changedAtMs.push(nowMs);
    if (times === 0) return;
    // In a state that was in force for no time no flow was born.
    if (this.#sinceMs < nowMs) this.born.push({ state: stateInForce(before), untilMs: nowMs });
    this.#sinceMs = nowMs;
    const one = this.born.at(-1)!;
    const was = new Map(before.members.map(({ name, state }) => [name, state]));
    const is = new Map(this.changes.members.map(({ name, state }) => [name, state]));
    for (const name of this.drains.keys()) if (is.get(name) !== 'draining') this.drains.delete(name);
    for (const [name, state] of is)
      if (state === 'draining' && was.get(name) === 'active') this.drains.set(name, one);
  }

  /** Changes that overlap now: of the last settle time, and older drains that are not done. */
  overlapping(): number {
    const { nowMs, planned, holds } = this.changes;
    const recent = this.changedAtMs.filter((at) => nowMs < at + SETTLE_MS).length;
    const held = new Set(holds.flatMap(({ name, untilMs }) => (nowMs < untilMs ? [name] : [])));
    const older = planned.filter(
      ({ atMs = -SETTLE_MS, drains }) => nowMs >= atMs + SETTLE_MS && drains.some((name) => held.has(name)),
    );
    return recent + older.length;
  }

  /** Shares of the flows of each state of the last settle time that are not found, and of those left on backends that drain. */
  lost(tableSize = POOL.tableSize): { share: number; of: string }[] {
    const { changes } = this;
    const { nowMs, holds } = changes;
    const states = statesOf({ ...POOL, tableSize }, changes);
    const tables = resolvePool(states);
    const keyed = keyedAlternates(tables);
    const dead = new Set(changes.marks.flatMap(({ name, health }) => (health === 'dead' ? [name] : [])));
    const machines = tables.members.map(({ address }) => address.text);
    const machineAt = (table: Uint16Array, slot: number): string | undefined => machines[table[slot]];
    const lostOf = (state: readonly StateMember[], only?: string): number => {
      const before = resolvePool({ ...states, state, remembered: [], before: tables });
      let [alive, gone] = [0, 0];
      for (const [slot, owner] of before.owners.entries()) {
        // Where nobody owns, packets are dropped.
        if (owner === NONE || tables.owners[slot] === NONE) continue;
        const { name, address } = before.members[owner];
        if (only !== undefined && name !== only) continue;
        if (dead.has(name) && !ignoresMarks(before.mode)) continue;
        alive++;
        const holders = [
          machineAt(tables.owners, slot),
          machineAt(keyed, slot),
          machineAt(keyed, tables.owners.length + slot),
        ];
        if (!holders.includes(address.text)) gone++;
      }
      return alive === 0 ? 0 : gone / alive;
    };
    const recent = this.born.filter(({ untilMs }) => nowMs < untilMs + SETTLE_MS);
    const unfinished = holds.filter(({ name, untilMs }) => nowMs < untilMs && this.drains.has(name));
    return [
      ...recent.map(({ state, untilMs }) => ({ share: lostOf(state), of: `born until ${untilMs}` })),
      { share: lostOf(stateInForce(changes)), of: 'born now' },
      ...unfinished.map(({ name }) => ({
        share: lostOf(this.drains.get(name)!.state, name),
        of: `left on ${name}`,
      })),
    ];
  }

  assertAllFound(why = ''): void {
    for (const { share, of } of this.lost()) assert.equal(share, 0, `${of} ${why}`);
  }
}

/** Long after everything has settled and is drained. */
function settled(changes: PoolChanges): PoolChanges {
  let now = hold(changes, [], changes.nowMs);
  for (let i = 0; i <= changes.queue.length + 1; i++) now = advance(now, now.nowMs + 2 * SETTLE_MS);
  return now;
}

test('after any two changes, planned or of health or reach, however far apart and whoever restarts between, every flow is found', () => {
  let looked = 0;
  fc.assert(
    fc.property(memberList, history, (members, steps) => {
      const pool = new Watched(startChanges({ members }, SETTLE_MS, 0));
      let nowMs = 0;
      for (const { afterMs, action } of steps) {
        nowMs += afterMs;
        pool.act(action, nowMs);
        if (pool.overlapping() > CHANGES_OPEN_MAX) continue;
        pool.assertAllFound(JSON.stringify(pool.changes.planned));
        if (pool.overlapping() === CHANGES_OPEN_MAX) looked++;
      }
    }),
    { numRuns: 300 },
  );
  assert.ok(looked > 100, `only ${looked} pairs`);
});

test('after two changes of a settled pool within a settle time every flow is found', () => {
  const any = fc.oneof(planAction, markAction);
  fc.assert(
    fc.property(
      memberList,
      history,
      any,
      any,
      fc.nat(SETTLE_MS - 2),
      (members, steps, first, second, apartMs) => {
        const before = settled(
          steps.reduce(
            (all, { afterMs, action }) => act(all, action, all.nowMs + afterMs),
            startChanges({ members }, SETTLE_MS, 0),
          ),
        );
        const pool = new Watched(before);
        pool.act(first, before.nowMs + 1);
        pool.assertAllFound('after the first');
        pool.act(second, before.nowMs + 1 + apartMs);
        pool.assertAllFound('after both');
        pool.act({ kind: 'restart' }, pool.changes.nowMs);
        pool.assertAllFound('after a restart');
      },
    ),
    { numRuns: 300 },
  );
});

test('an unfinished drain older than the settle time is one of two changes: with any other, all its flows are found', () => {
  const any = fc.oneof(planAction, markAction);
  fc.assert(
    fc.property(memberList, fc.nat(5), any, fc.nat(3 * SETTLE_MS), (members, pick, other, laterMs) => {
      const before = startChanges(
        { members: members.map((one) => ({ ...one, state: 'active' })) },
        SETTLE_MS,
        0,
      );
      const { name } = before.members[pick % before.members.length];
      const pool = new Watched(before);
      pool.act({ kind: 'plan', members: drained(before.members, name) }, 10);
      pool.act({ kind: 'hold', names: [name] }, 10);
      pool.act(other, 11 + laterMs);
      const isDraining = pool.changes.holds.length > 0;
      if (isDraining || laterMs < SETTLE_MS) pool.assertAllFound();
    }),
    { numRuns: 300 },
  );
});

test('what is remembered are other states than the present one, each once, the newest first, and eight at most', () => {
  fc.assert(
    fc.property(memberList, history, (members, steps) => {
      let changes = startChanges({ members }, SETTLE_MS, 0);
      for (const { afterMs, action } of steps) {
        changes = act(changes, action, changes.nowMs + afterMs);
        const all = [momentOf(changes), ...changes.remembered];
        for (const [i, one] of all.entries())
          for (const other of all.slice(i + 1)) assert.ok(!isSameMoment(one, other));
        const times = changes.remembered.map(({ untilMs }) => untilMs);
        assert.deepEqual(
          times,
          [...times].sort((a, b) => b - a),
        );
        assert.ok(times.length <= STATES_REMEMBERED_MAX);
      }
    }),
    { numRuns: 300 },
  );
});

test('the order in which members are named, and marks of one moment come, never matters', () => {
  fc.assert(
    fc.property(memberList, memberList, fc.subarray([...NAMES]), (members, wanted, down) => {
      const play = (turn: <T>(list: readonly T[]) => T[]): PoolChanges => {
        const start = startChanges({ members: turn(members) }, SETTLE_MS, 0);
        const gone = new Set<string>(turn(down));
        const marked = markEach(start, ({ name }) => (gone.has(name) ? { health: 'down' } : undefined), 5);
        return plan(marked, { members: turn(wanted) }, 9);
      };
      const states = [play((list) => [...list]), play((list) => [...list].reverse())].map((one) =>
        statesOf(POOL, one),
      );
      assert.deepEqual(states[0], states[1]);
    }),
  );
});

test('with more states than eight, those that differ in health alone go first, and that is told until it is a settle time ago', () => {
  const members = [...NAMES].map((name) => member(name));
  let changes = startChanges({ members }, SETTLE_MS, 0);
  changes = plan(changes, { members: [...members, member('z')] }, 10);
  for (const [i, name] of NAMES.entries()) {
    changes = mark(changes, name, 'down', 20 + i);
    assert.equal(changes.droppedUntilMs, undefined);
  }
  for (const [i, name] of NAMES.slice(0, 4).entries()) changes = mark(changes, name, 'up', 30 + i);
  assert.equal(changes.remembered.length, STATES_REMEMBERED_MAX);
  assert.deepEqual(changes.remembered.at(-1)?.members, members, 'the only one of the former members stays');
  const { droppedUntilMs } = changes;
  assert.ok(droppedUntilMs !== undefined && droppedUntilMs >= 20);
  assert.equal(advance(changes, droppedUntilMs + SETTLE_MS).droppedUntilMs, undefined);
});

test('when the state before a drain has to make room, that is told for a settle time, however old the drain is', () => {
  const members = ['a', 'b', 'c'].map((name) => member(name));
  const start = plan(startChanges({ members }, SETTLE_MS, 0), { members: drained(members, 'a') }, 10);
  let changes = hold(start, [{ name: 'a', untilMs: 60_000 }], 10);
  for (let i = 0; i < STATES_REMEMBERED_MAX; i++) {
    assert.equal(changes.droppedUntilMs, undefined);
    const heavier = changes.members.map((one) => (one.name === 'c' ? { ...one, weight: 2 + i } : one));
    changes = force(changes, { members: heavier }, 10_000 + i);
  }
  const nowMs = changes.nowMs;
  assert.ok(
    changes.remembered.every(({ untilMs }) => untilMs >= 10_000),
    'the state before the drain is gone',
  );
  assert.equal(advance(changes, nowMs + SETTLE_MS - 1).droppedUntilMs, nowMs);
  assert.equal(advance(changes, nowMs + SETTLE_MS).droppedUntilMs, undefined);
});

test('a backend that flaps for hours leaves one state, and keeps no operator waiting', () => {
  const four = ['a', 'b', 'c', 'd'].map((name) => member(name));
  const pool = new Watched(startChanges({ members: four }, SETTLE_MS, 0));
  for (let at = 300; at < 60_000; at += 300) {
    pool.act({ kind: 'mark', name: 'd', health: at % 600 === 300 ? 'down' : 'up' }, at);
    assert.equal(pool.changes.remembered.length, 1);
    pool.assertAllFound();
  }
  pool.act({ kind: 'plan', members: [...four, member('e')] }, 60_000);
  assert.equal(pool.changes.members.length, 5);
});

const drained = (members: readonly BackendConfig[], ...names: string[]): BackendConfig[] =>
  members.map((one) => (names.includes(one.name) ? { ...one, state: 'draining' } : one));

/** Two overlapping events of a pool of `n`: what operators and failures do. */
const SCENARIOS: Record<string, (n: readonly BackendConfig[]) => readonly [number, Action][]> = {
  'drain and crash': (n) => [
    [10, { kind: 'plan', members: drained(n, 'b0') }],
    [10, { kind: 'hold', names: ['b0'] }],
    [100, { kind: 'mark', name: 'b1', health: 'down' }],
  ],
  'drain and false down': (n) => [
    [10, { kind: 'plan', members: drained(n, 'b0') }],
    [100, { kind: 'mark', name: 'b1', health: 'down', isReachable: false }],
    [200, { kind: 'mark', name: 'b1', health: 'up' }],
  ],
  'flap beside a drain older than the settle time': (n) => [
    [10, { kind: 'plan', members: drained(n, 'b0') }],
    [10, { kind: 'hold', names: ['b0'] }],
    [4000, { kind: 'mark', name: 'b1', health: 'down' }],
    [4100, { kind: 'mark', name: 'b1', health: 'up' }],
  ],
  'drain and drain': (n) => [
    [10, { kind: 'plan', members: drained(n, 'b0') }],
    [100, { kind: 'plan', members: drained(n, 'b0', 'b1') }],
  ],
  'add and add': (n) => [
    [10, { kind: 'plan', members: [...n, member('x')] }],
    [100, { kind: 'plan', members: [...n, member('x'), member('y')] }],
  ],
  'remove and add': (n) => [
    [10, { kind: 'plan', members: n.slice(1) }],
    [100, { kind: 'plan', members: [...n.slice(1), member('x')] }],
  ],
  'drain older than the settle time, then add': (n) => [
    [10, { kind: 'plan', members: drained(n, 'b0') }],
    [10, { kind: 'hold', names: ['b0'] }],
    [4000, { kind: 'plan', members: [...drained(n, 'b0'), member('x')] }],
  ],
  'drain, undrain': (n) => [
    [10, { kind: 'plan', members: drained(n, 'b0') }],
    [100, { kind: 'plan', members: n }],
  ],
};

for (const [title, steps] of Object.entries(SCENARIOS)) {
  test(`${title}: no flow is lost with 5, 10 and 50 backends`, () => {
    for (const count of [5, 10, 50]) {
      const members = Array.from({ length: count }, (_, i) => member(`b${i}`));
      const pool = new Watched(startChanges({ members }, SETTLE_MS, 0));
      for (const [atMs, action] of steps(members)) {
        pool.act(action, atMs);
        assert.equal(pool.changes.queue.length, 0, 'nothing waits');
        for (const { share, of } of pool.lost(65537)) assert.equal(share, 0, `${of} of ${count}`);
      }
    }
  });
}

test('what a third change would lose waits: two adds beside an older drain, and three adds', () => {
  const members = Array.from({ length: 10 }, (_, i) => member(`b${i}`));
  const old = drained(members, 'b0');
  const [x, y, z] = ['x', 'y', 'z'].map((name) => member(name));
  const cases: [number, readonly BackendConfig[][]][] = [
    [4000, [old, [...old, x], [...old, x, y]]],
    [
      100,
      [
        [...members, x],
        [...members, x, y],
        [...members, x, y, z],
      ],
    ],
  ];
  for (const [atMs, [first, second, third]] of cases) {
    const pool = new Watched(startChanges({ members }, SETTLE_MS, 0));
    pool.act({ kind: 'plan', members: first }, 10);
    pool.act({ kind: 'hold', names: ['b0'] }, 10);
    pool.act({ kind: 'plan', members: second }, atMs);
    pool.act({ kind: 'plan', members: third }, atMs + 50);
    assert.equal(pool.changes.queue.length, 1);
    pool.assertAllFound();
    const forced = new Watched(pool.changes);
    forced.born.push(...pool.born);
    for (const [each, born] of pool.drains) forced.drains.set(each, born);
    forced.act({ kind: 'force', members: third }, atMs + 60);
    assert.ok(
      forced.lost(65537).some(({ share }) => share > 0),
      JSON.stringify(forced.lost(65537)),
    );
  }
});

test('drain, then remove: the removal waits until the drain is done, and the flows of the other backends survive it', () => {
  const three = ['a', 'b', 'c'].map((name) => member(name));
  const pool = new Watched(startChanges({ members: three }, SETTLE_MS, 0));
  pool.act({ kind: 'plan', members: drained(three, 'c') }, 100);
  pool.act({ kind: 'hold', names: ['c'] }, 100);
  pool.act({ kind: 'plan', members: three.slice(0, 2) }, 200);
  pool.passTo(100 + DRAIN_MS - 1);
  assert.equal(pool.changes.members.length, 3);
  pool.assertAllFound();
  pool.act({ kind: 'hold', names: [] }, 100 + DRAIN_MS - 1);
  assert.deepEqual(
    pool.changes.members.map(({ name }) => name),
    ['a', 'b'],
  );
  pool.assertAllFound();
});

test('marks never wait, and a removed backend is not marked', () => {
  fc.assert(
    fc.property(memberList, history, markAction, (members, steps, action) => {
      if (action.kind !== 'mark') return;
      const before = steps.reduce(
        (all, each) => act(all, each.action, all.nowMs + each.afterMs),
        startChanges({ members }, SETTLE_MS, 0),
      );
      const after = act(before, action, before.nowMs);
      const found = stateInForce(after).find(({ name }) => name === action.name);
      if (found !== undefined) {
        const isUp = action.health === 'up' && action.isReachable !== false;
        assert.equal(found.health === 'up', isUp);
        assert.equal(found.unreachable, action.isReachable === false ? true : undefined);
      }
      const named = new Set([after, ...after.queue].flatMap((list) => list.members.map(({ name }) => name)));
      assert.deepEqual(
        after.marks.map(({ name }) => name),
        [...named].sort(),
      );
    }),
  );
});

test('of steps that come into force at one moment, the one state before them is remembered', () => {
  const [a, b, x, y, z] = ['a', 'b', 'x', 'y', 'z'].map((name) => member(name));
  const start = startChanges({ members: [a, b] }, SETTLE_MS, 0);
  const forced = force(start, { members: [a, b, x] }, 10);
  const open = force(forced, { members: [a, b, x, y] }, 10);
  const wanted = drained([a, b, x, y, z], 'a');
  const added = plan(open, { members: [a, b, x, y, z] }, 20);
  const waiting = plan(added, { members: wanted }, 20);
  assert.equal(waiting.queue.length, 2);
  const atMs = 10 + SETTLE_MS;
  for (const after of [
    advance(waiting, atMs),
    mark(waiting, 'b', 'down', atMs),
    plan(waiting, { members: [...wanted, member('w')] }, atMs),
  ]) {
    assert.deepEqual(after.members, plan(start, { members: wanted }, 0).members);
    assert.deepEqual(
      after.remembered.map((one) => one.members.map(({ name }) => name).join('')),
      ['abxy'],
    );
  }
});

test('a forced change drops what waits, and is remembered like any other', () => {
  const members = ['a', 'b', 'c'].map((name) => member(name));
  const start = startChanges({ members }, SETTLE_MS, 0);
  const forced = force(start, { members: [...members, member('d')] }, 10);
  assert.deepEqual([forced.members.length, forced.remembered.length, forced.queue.length], [4, 1, 0]);
});
