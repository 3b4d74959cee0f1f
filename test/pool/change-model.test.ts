/** pool/change.ts against a model that keeps everything that ever was and looks things up in it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import type { BackendConfig } from '#anyhop/config/types.js';
import { advance, nextAtMs, type PoolChanges, startChanges } from '#anyhop/pool/change.js';
import { dueAtMs } from '#anyhop/pool/due.js';
import { priorState, stateInForce } from '#anyhop/pool/states.js';
import { type Action, act, DRAIN_MS, history, markAction, memberList, SETTLE_MS } from './change-fixture.js';

/** Values of one thing over time, from the start. */
class Timeline<T> {
  readonly entries: { readonly atMs: number; readonly value: T }[];

  constructor(value: T, atMs = Number.NEGATIVE_INFINITY) {
    this.entries = [{ atMs, value }];
  }

  set(value: T, atMs: number): void {
    this.entries.push({ atMs, value });
  }

  at(ms: number): T {
    return (this.entries.findLast(({ atMs }) => atMs <= ms) ?? this.entries[0]).value;
  }

  get last(): T {
    return this.entries[this.entries.length - 1].value;
  }

  /** The last value that stood for a settle time. */
  rested(nowMs: number): T {
    const entry = this.entries.findLast(
      ({ atMs }, i) => (this.entries[i + 1]?.atMs ?? nowMs) - atMs >= SETTLE_MS,
    );
    return (entry ?? this.entries[0]).value;
  }
}

class Model {
  readonly members: Timeline<readonly BackendConfig[]>;
  readonly marks = new Map<string, Timeline<'up' | 'down'>>();
  queue: (readonly BackendConfig[])[] = [];
  appliedAtMs = Number.NEGATIVE_INFINITY;

  constructor(members: readonly BackendConfig[]) {
    this.members = new Timeline(byName(members));
    this.#remember(0);
  }

  advance(nowMs: number): void {
    if (this.queue.length > 0 && nowMs >= this.appliedAtMs + SETTLE_MS)
      this.#apply(this.queue.shift()!, nowMs);
    this.#forget(nowMs);
  }

  /** @param observed what came of it: where a step is merged into others is held to laws here, and to a model in queue.test.ts */
  act(action: Action, nowMs: number, observed: PoolChanges): void {
    if (action.kind === 'force') {
      this.#forget(nowMs);
      this.queue = [];
      const list = byName(action.members);
      if (JSON.stringify(list) !== JSON.stringify(this.members.last)) this.#apply(list, nowMs);
    } else {
      this.advance(nowMs);
    }
    if (action.kind === 'plan') this.#plan(byName(action.members), nowMs, observed);
    if (action.kind === 'mark') {
      const marks = this.marks.get(action.name);
      const value = action.health === 'up' ? 'up' : 'down';
      if (marks !== undefined && marks.last !== value) marks.set(value, nowMs);
    }
    this.#forget(nowMs);
    this.#remember(nowMs);
  }

  #plan(list: readonly BackendConfig[], nowMs: number, observed: PoolChanges): void {
    const isInForce = isDeepStrictEqual(this.members.last, list);
    if (isInForce) this.queue = [];
    else if (nowMs >= this.appliedAtMs + SETTLE_MS) this.#apply(list, nowMs);
    else {
      if (this.#tookDrainBack(observed.members, nowMs)) this.#apply(observed.members, nowMs);
      assert.deepEqual(
        observed.queue.at(-1)?.members ?? observed.members,
        list,
        'what was asked for last comes last',
      );
      this.queue = observed.queue.map(({ members }) => members);
    }
  }

  /** The one thing that comes while another settles. */
  #tookDrainBack(members: readonly BackendConfig[], nowMs: number): boolean {
    const { entries, last } = this.members;
    const before = entries.at(-2);
    const isAlone = entries
      .slice(0, -1)
      .every(({ atMs }) => atMs <= nowMs - SETTLE_MS || atMs === before?.atMs);
    const ended = last.filter((one) => !members.some((other) => isDeepStrictEqual(one, other)));
    return (
      isAlone &&
      isDeepStrictEqual(before?.value, members) &&
      ended.length === 1 &&
      ended[0].state === 'draining' &&
      members.some((one) => isDeepStrictEqual(one, { ...ended[0], state: 'active' }))
    );
  }

  #apply(list: readonly BackendConfig[], nowMs: number): void {
    this.members.set(list, nowMs);
    this.appliedAtMs = nowMs;
  }

  #remember(nowMs: number): void {
    for (const name of this.#names(nowMs)) {
      if (!this.marks.has(name)) this.marks.set(name, new Timeline<'up' | 'down'>('up', nowMs));
    }
  }

  #forget(nowMs: number): void {
    const names = this.#names(nowMs);
    for (const name of this.marks.keys()) if (!names.has(name)) this.marks.delete(name);
  }

  /** Of members in force now or within the last settle time, and of the queue. */
  #names(nowMs: number): Set<string> {
    const { entries } = this.members;
    const recent = entries.filter((_, i) => (entries[i + 1]?.atMs ?? nowMs) > nowMs - SETTLE_MS);
    return new Set([...recent.map(({ value }) => value), ...this.queue].flat().map(({ name }) => name));
  }
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

test('members in force, the prior state and the queue are those of a model that forgets nothing', () => {
  fc.assert(
    fc.property(memberList, history, (members, steps) => {
      play(members, steps, (changes, model, nowMs) => {
        assert.deepEqual(changes.members, model.members.last);
        assert.deepEqual(
          changes.queue.map((one) => one.members),
          model.queue,
        );
        assert.deepEqual(
          priorState(changes),
          model.members
            .at(nowMs - SETTLE_MS)
            .map((member) => ({ ...member, health: model.marks.get(member.name)!.rested(nowMs) })),
        );
        for (const { name, health } of stateInForce(changes)) {
          assert.equal(health === 'up' ? 'up' : 'down', model.marks.get(name)!.last, name);
        }
      });
    }),
    { numRuns: 1000 },
  );
});

test('where no mark is taken back within a settle time, the prior state is the one of a settle time ago', () => {
  fc.assert(
    fc.property(memberList, history, (members, steps) => {
      play(members, steps, (changes, model, nowMs) => {
        const isCalm = [...model.marks.values()].every(({ entries }) =>
          entries.every(({ atMs }, i) => i < 2 || atMs - entries[i - 1].atMs >= SETTLE_MS),
        );
        if (!isCalm) return;
        assert.deepEqual(
          priorState(changes).map(({ name, health }) => [name, health]),
          model.members
            .at(nowMs - SETTLE_MS)
            .map(({ name }) => [name, model.marks.get(name)!.at(nowMs - SETTLE_MS)]),
        );
      });
    }),
    { numRuns: 500 },
  );
});

test('a queued change comes into force at the time that was told, whatever marks come meanwhile', () => {
  fc.assert(
    fc.property(memberList, history, markAction, (members, steps, meanwhile) => {
      play(members, steps, (changes, _, nowMs) => {
        const [dueMs] = dueAtMs(changes, DRAIN_MS);
        if (dueMs === undefined) return;
        const marked = act(changes, meanwhile, Math.min(nowMs + 1, dueMs - 1));
        assert.deepEqual(dueAtMs(marked, DRAIN_MS), dueAtMs(changes, DRAIN_MS));
        assert.ok(nextAtMs(changes)! <= dueMs, 'a timer would come too late');
        assert.deepEqual(advance(marked, dueMs - 1).members, changes.members);
        const after = advance(marked, dueMs);
        assert.deepEqual(after.members, changes.queue[0].members);
        assert.equal(after.queue.length, changes.queue.length - 1, 'one change at a time');
      });
    }),
    { numRuns: 300 },
  );
});
