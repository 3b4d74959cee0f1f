/** pool/change.ts against a model that keeps everything that ever was and looks things up in it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import type { BackendConfig } from '#anyhop/config/types.js';
import { STATES_REMEMBERED_MAX } from '#anyhop/core/limits.js';
import { advance, nextAtMs, type PoolChanges, startChanges } from '#anyhop/pool/change.js';
import { dueAtMs } from '#anyhop/pool/due.js';
import type { Standing } from '#anyhop/pool/standing.js';
import { rememberedStates, stateInForce } from '#anyhop/pool/states.js';
import { type Action, act, DRAIN_MS, history, markAction, memberList, SETTLE_MS } from './change-fixture.js';

/** A pool state as a text, which tells equal ones, and its members. */
interface Entry {
  readonly text: string;
  readonly members: readonly BackendConfig[];
  untilMs: number;
}

class Model {
  members: readonly BackendConfig[];
  queue: (readonly BackendConfig[])[] = [];
  readonly marks = new Map<string, Standing>();
  /** All that ever was; what had to make room is taken out. */
  entries: Entry[] = [];
  /** When planned changes came. */
  readonly plannedAtMs: number[] = [];
  /** By who drains: the planned change since which it does. */
  readonly drains = new Map<string, number>();
  holds = new Map<string, number>();

  constructor(members: readonly BackendConfig[]) {
    this.members = byName(members);
    const isDraining = members.some(({ state }) => state === 'draining');
    if (isDraining) this.plannedAtMs.push(Number.NEGATIVE_INFINITY);
    for (const { name, state } of members) if (state === 'draining') this.drains.set(name, 0);
    this.#enter(0);
  }

  #advance(nowMs: number): void {
    this.#come(nowMs);
    this.#enter(nowMs);
    this.#expire(nowMs);
  }

  #come(nowMs: number): void {
    this.#expire(nowMs);
    while (this.queue.length > 0 && this.#mayCome(this.queue[0], nowMs))
      this.#apply(this.queue.shift()!, nowMs);
    this.#forgetMarks();
  }

  /** @param observed what came of it: where a step is merged into others is held to laws here, and to a model in queue.test.ts */
  act(action: Action, nowMs: number, observed: PoolChanges): void {
    if (action.kind === 'force') {
      this.#expire(nowMs);
      this.queue = [];
      const list = byName(action.members);
      if (!isDeepStrictEqual(list, this.members)) this.#apply(list, nowMs);
    } else {
      this.#come(nowMs);
    }
    if (action.kind === 'plan') this.#plan(byName(action.members), nowMs, observed);
    if (action.kind === 'mark' && this.#names().has(action.name)) {
      const { health, isReachable = true } = action;
      this.marks.set(action.name, {
        health: health === 'up' && !isReachable ? 'down' : health,
        unreachable: isReachable ? undefined : true,
      });
    }
    this.#enter(nowMs);
    if (action.kind === 'hold') {
      const names = action.names.filter((name) => this.drains.has(name));
      this.holds = new Map(names.map((name) => [name, nowMs + DRAIN_MS]));
      this.#advance(nowMs);
    }
    this.#expire(nowMs);
    this.#forgetMarks();
  }

  /** Of those that neither are in force nor wait. */
  #forgetMarks(): void {
    const names = this.#names();
    for (const name of this.marks.keys()) if (!names.has(name)) this.marks.delete(name);
  }

  /** Texts of what is remembered, newest first. */
  remembered(): string[] {
    return this.#past().map(({ text }) => text);
  }

  /** How many planned changes are open. */
  open(nowMs: number): number {
    return this.plannedAtMs.filter((at, i) => nowMs < at + SETTLE_MS || this.#isUnfinished(i, nowMs)).length;
  }

  #isUnfinished(planned: number, nowMs: number): boolean {
    return [...this.drains].some(([name, at]) => at === planned && nowMs < (this.holds.get(name) ?? 0));
  }

  #mayCome(list: readonly BackendConfig[], nowMs: number): boolean {
    const left = new Set(list.map(({ name }) => name));
    const isHeld = [...this.holds].some(([name, untilMs]) => nowMs < untilMs && !left.has(name));
    return this.open(nowMs) < 2 && !isHeld;
  }

  #plan(list: readonly BackendConfig[], nowMs: number, observed: PoolChanges): void {
    if (isDeepStrictEqual(this.members, list)) this.queue = [];
    else if (this.queue.length === 0 && this.#mayCome(list, nowMs)) this.#apply(list, nowMs);
    else {
      const came = observed.planned.filter(({ atMs }) => atMs === nowMs);
      const known = this.plannedAtMs.filter((at) => at === nowMs).length;
      if (came.length > known) {
        assert.ok(came.length - known <= 2);
        if (came.length - known === 2) this.#apply(this.#undrained(list), nowMs);
        this.#apply(observed.members, nowMs);
        assert.ok(this.open(nowMs) <= 2, 'a third change came');
      }
      assert.deepEqual(
        observed.queue.at(-1)?.members ?? observed.members,
        list,
        'what was asked for last comes last',
      );
      this.queue = observed.queue.map(({ members }) => members);
      if (this.queue.length > 0) assert.ok(!this.#mayCome(this.queue[0], nowMs), 'it waits without need');
    }
  }

  /** What is in force, without the drains that `list` ends. */
  #undrained(list: readonly BackendConfig[]): readonly BackendConfig[] {
    const active = new Set(list.flatMap(({ name, state }) => (state === 'active' ? [name] : [])));
    return this.members.map((one) => (active.has(one.name) ? { ...one, state: 'active' } : one));
  }

  #apply(list: readonly BackendConfig[], nowMs: number): void {
    this.plannedAtMs.push(nowMs);
    this.members = list;
    const draining = new Set(list.flatMap(({ name, state }) => (state === 'draining' ? [name] : [])));
    for (const name of this.drains.keys()) if (!draining.has(name)) this.drains.delete(name);
    for (const name of this.holds.keys()) if (!draining.has(name)) this.holds.delete(name);
    for (const name of draining) {
      if (this.drains.has(name)) continue;
      this.drains.set(name, this.plannedAtMs.length - 1);
      this.holds.set(name, nowMs + SETTLE_MS);
    }
  }

  /** What is in force by now goes to the log. */
  #enter(nowMs: number): void {
    const text = textOf(
      this.members,
      this.members.map(({ name }) => this.marks.get(name) ?? { health: 'up' }),
    );
    const last = this.entries.at(-1);
    if (last?.text === text) return;
    if (last !== undefined) last.untilMs = nowMs;
    this.entries.push({ text, members: this.members, untilMs: Number.POSITIVE_INFINITY });
    for (let past = this.#past(); past.length > STATES_REMEMBERED_MAX; past = this.#past()) {
      const all = this.#past(true);
      const isLike = (one: Entry, other: Entry) =>
        one.text !== other.text && isDeepStrictEqual(one.members, other.members);
      const dropped = past.findLast((one) => all.some((other) => isLike(one, other))) ?? past.at(-1)!;
      this.entries = this.entries.filter((one) => one.text !== dropped.text);
    }
  }

  #past(withPresent = false): Entry[] {
    const present = this.entries.at(-1)!;
    const past = this.entries.filter(({ text }) => text !== present.text).reverse();
    const once = past.filter(({ text }, i) => past.findIndex((one) => one.text === text) === i);
    return withPresent ? [present, ...once] : once;
  }

  #expire(nowMs: number): void {
    const before = new Set(this.plannedAtMs.filter((_, i) => this.#isUnfinished(i, nowMs)));
    this.entries = this.entries.filter(({ untilMs }) => nowMs < untilMs + SETTLE_MS || before.has(untilMs));
  }

  #names(): Set<string> {
    return new Set([this.members, ...this.queue].flat().map(({ name }) => name));
  }
}

function textOf(members: readonly BackendConfig[], standings: readonly Standing[]): string {
  return members
    .map(({ name, weight, state }, i) => {
      const { health, unreachable } = standings[i];
      return `${name} ${weight} ${state} ${health === 'up' ? 'up' : 'down'} ${unreachable === true}`;
    })
    .join();
}

function byName(members: readonly BackendConfig[]): BackendConfig[] {
  return [...members].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function play(
  members: readonly BackendConfig[],
  steps: readonly { readonly afterMs: number; readonly action: Action }[],
  check: (changes: PoolChanges, model: Model, nowMs: number) => void,
): void {
  let changes = startChanges({ members }, SETTLE_MS, 0);
  const model = new Model(members);
  let nowMs = 0;
  for (const { afterMs, action } of steps) {
    nowMs += afterMs;
    changes = act(changes, action, nowMs);
    model.act(action, nowMs, changes);
    check(changes, model, nowMs);
  }
}

test('members in force, what is remembered and the queue are those of a model that forgets nothing', () => {
  fc.assert(
    fc.property(memberList, history, (members, steps) => {
      play(members, steps, (changes, model, nowMs) => {
        assert.deepEqual(changes.members, model.members);
        assert.deepEqual(
          changes.queue.map((one) => one.members),
          model.queue,
        );
        assert.deepEqual(
          rememberedStates(changes).map((state) => textOf(state, state)),
          model.remembered(),
        );
        for (const { name, health } of stateInForce(changes))
          assert.equal(health, model.marks.get(name)?.health ?? 'up', name);
        if (changes.queue.length > 0) assert.ok(nextAtMs(changes)! > nowMs, 'it waits without need');
      });
    }),
    { numRuns: 1000 },
  );
});

test('where nothing is forced, no third planned change is ever open', () => {
  fc.assert(
    fc.property(memberList, history, (members, steps) => {
      const planned = steps.map(({ afterMs, action }) => {
        return { afterMs, action: action.kind === 'force' ? { ...action, kind: 'plan' as const } : action };
      });
      // Connections that come back on a backend that was drained are no new change.
      const once = planned.filter(({ action }) => action.kind !== 'hold');
      play(members, once, (_, model, nowMs) => assert.ok(model.open(nowMs) <= 2));
    }),
    { numRuns: 500 },
  );
});

test('a queued change comes into force at the time that was told, whatever marks come meanwhile', () => {
  fc.assert(
    fc.property(memberList, history, markAction, (members, steps, meanwhile) => {
      play(members, steps, (changes, _, nowMs) => {
        const due = dueAtMs(changes, DRAIN_MS);
        if (due.length === 0) return;
        const marked = act(changes, meanwhile, Math.min(nowMs + 1, due[0] - 1));
        assert.deepEqual(dueAtMs(marked, DRAIN_MS), due);
        assert.ok(nextAtMs(changes)! <= due[0], 'a timer would come too late');
        assert.deepEqual(advance(marked, due[0] - 1).members, changes.members);
        const after = advance(marked, due[0]);
        const came = changes.queue.length - after.queue.length;
        assert.ok(came > 0);
        assert.deepEqual(after.members, changes.queue[came - 1].members);
      });
    }),
    { numRuns: 300 },
  );
});
