/** What an operator is told of changes that wait: none comes later, whoever drains meanwhile and whenever that is done. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { BackendConfig } from '#anyhop/config/types.js';
import { advance, hold, nextAtMs, type PoolChanges, plan, startChanges } from '#anyhop/pool/change.js';
import { dueAtMs } from '#anyhop/pool/due.js';
import type { Hold } from '#anyhop/pool/open-changes.js';
import { DRAIN_MS, member, memberList, SETTLE_MS } from './change-fixture.js';

/** After how long a drain is done, by name; at the deadline when it is not named. */
type Drained = Readonly<Record<string, number>>;

/** A pool whose agents are asked, as node/drains.ts does it. */
class Pool {
  readonly #drained: Drained;
  readonly #sinceMs = new Map<string, number>();
  changes: PoolChanges;

  constructor(members: readonly BackendConfig[], drained: Drained = {}) {
    this.changes = startChanges({ members }, SETTLE_MS, 0);
    this.#drained = drained;
    this.#follow();
  }

  plan(members: readonly BackendConfig[]): void {
    this.changes = plan(this.changes, { members }, this.changes.nowMs);
    this.#follow();
  }

  /** On to `nowMs`, and at each moment between at which something is due. */
  passTo(nowMs: number): void {
    for (let at = this.#nextMs(); at < nowMs; at = this.#nextMs()) this.#passTo(at);
    this.#passTo(nowMs);
  }

  /** When each that waits comes into force, if nothing more is planned. */
  timesOfQueue(): number[] {
    const times: number[] = [];
    while (this.changes.queue.length > 0) {
      const { length } = this.changes.queue;
      this.#passTo(this.#nextMs());
      for (let left = this.changes.queue.length; left < length; left++) times.push(this.changes.nowMs);
    }
    return times;
  }

  #passTo(nowMs: number): void {
    this.changes = advance(this.changes, nowMs);
    this.#follow();
  }

  #follow(): void {
    const { members, nowMs } = this.changes;
    const draining = members.filter(({ state }) => state === 'draining');
    for (const name of this.#sinceMs.keys())
      if (draining.every((one) => one.name !== name)) this.#sinceMs.delete(name);
    for (const { name } of draining) if (!this.#sinceMs.has(name)) this.#sinceMs.set(name, nowMs);
    const holds = draining.flatMap(({ name, agent }): Hold[] => {
      const untilMs = this.#sinceMs.get(name)! + DRAIN_MS;
      return agent && nowMs < this.#doneMs(name) ? [{ name, untilMs }] : [];
    });
    const before = this.changes;
    this.changes = hold(before, holds, nowMs);
    if (this.changes.members !== before.members) this.#follow();
  }

  #doneMs(name: string): number {
    return this.#sinceMs.get(name)! + Math.min(this.#drained[name] ?? DRAIN_MS, DRAIN_MS);
  }

  #nextMs(): number {
    const { nowMs } = this.changes;
    const done = [...this.#sinceMs.keys()].map((name) => this.#doneMs(name));
    return Math.min(...[nextAtMs(this.changes) ?? Infinity, ...done].filter((at) => at > nowMs), Infinity);
  }
}

const drainingOf = (...names: string[]): BackendConfig[] =>
  ['a', 'b', 'c', 'd', 'e', 'f'].map((name) =>
    member(name, { state: names.includes(name) ? 'draining' : 'active' }),
  );

test('of a rolling drain each is told with the drains before it, of which two at a time last for a deadline', () => {
  const pool = new Pool(drainingOf());
  for (const last of [1, 2, 3, 4, 5, 6]) pool.plan(drainingOf(...'abcdef'.slice(0, last)));
  const due = [1, 1, 2, 2].map((turns) => turns * DRAIN_MS);
  assert.deepEqual(dueAtMs(pool.changes, DRAIN_MS), due);
  assert.deepEqual(pool.timesOfQueue(), due);
});

test('a drain that nobody counts, or that is shorter than settling, holds up nothing', () => {
  const [b, c] = ['b', 'c'].map((name) => member(name, { agent: false }));
  const heavier = member('a', { weight: 2 });
  const draining = [b, c].map((one): BackendConfig => ({ ...one, state: 'draining' }));
  const pool = new Pool([member('a'), b, c]);
  for (const members of [
    [heavier, b, c],
    [heavier, draining[0], c],
    [heavier, ...draining],
    [heavier, draining[1]],
  ])
    pool.plan(members);
  const due = [SETTLE_MS, SETTLE_MS];
  assert.deepEqual(dueAtMs(pool.changes, DRAIN_MS), due);
  assert.deepEqual(pool.timesOfQueue(), due);
  const rolling = new Pool(drainingOf());
  for (const last of [1, 2, 3, 4, 5]) rolling.plan(drainingOf(...'abcde'.slice(0, last)));
  assert.deepEqual(dueAtMs(rolling.changes, SETTLE_MS - 1), [DRAIN_MS, DRAIN_MS, DRAIN_MS + SETTLE_MS]);
});

const plans = fc.array(fc.record({ afterMs: fc.integer({ min: 0, max: 1500 }), members: memberList }), {
  minLength: 1,
  maxLength: 10,
});

test('whatever is planned, every queued change comes just when it is due where all drains last to their deadline', () => {
  fc.assert(
    fc.property(memberList, plans, (first, steps) => {
      const pool = new Pool(first);
      for (const { afterMs, members } of steps) {
        pool.passTo(pool.changes.nowMs + afterMs);
        pool.plan(members);
      }
      const due = dueAtMs(pool.changes, DRAIN_MS);
      assert.deepEqual(pool.timesOfQueue(), due);
    }),
    { numRuns: 500 },
  );
});

test('whatever is planned, and whenever drains are done, no queued change comes after it is due', () => {
  const drained = fc.dictionary(
    fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
    fc.integer({ min: 1, max: 6000 }),
  );
  const agents = fc.infiniteStream(fc.boolean());
  fc.assert(
    fc.property(memberList, plans, drained, agents, (first, steps, doneAfterMs, hasAgent) => {
      const pool = new Pool(first, doneAfterMs);
      for (const { afterMs, members } of steps) {
        pool.passTo(pool.changes.nowMs + afterMs);
        pool.plan(members.map((one) => ({ ...one, agent: hasAgent.next().value })));
      }
      const due = dueAtMs(pool.changes, DRAIN_MS);
      const times = pool.timesOfQueue();
      assert.equal(times.length, due.length);
      for (const [i, at] of times.entries()) assert.ok(at <= due[i], `${i}: at ${at}, due ${due}`);
    }),
    { numRuns: 500 },
  );
});
