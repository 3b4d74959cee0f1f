/**
 * The states that a pool was in before, as long as connections from then may live: newest first, equal ones once, with the latest time.
 * A state is what owners follow from: members with weights and admin states, who was not up, and who could not be reached.
 *
 *   expires     a settle time after it was last in force; the state before a drain when the drain is done, if that is later, because
 *               connections stay on the backend that drains for as long
 *   is dropped  when there are more than STATES_REMEMBERED_MAX: the oldest that differs from another in health alone, else the oldest
 */
import type { BackendConfig } from '../config/types.js';
import { STATES_REMEMBERED_MAX } from '../core/limits.js';
import type { PoolChanges } from './change.js';
import { unfinishedDrains } from './open-changes.js';
import { FIELDS, isSame } from './queue.js';

export interface PoolMoment {
  /** Sorted by name. */
  readonly members: readonly BackendConfig[];
  /** Names of those that were not up, sorted. */
  readonly down: readonly string[];
  /** Of these, those that no packet could get to. */
  readonly unreachable: readonly string[];
}

export interface RememberedState extends PoolMoment {
  /** When it was last in force. */
  readonly untilMs: number;
}

/** The state in force. */
export function momentOf({ members, marks }: PoolChanges): PoolMoment {
  const names = marks.length === members.length ? undefined : new Set(members.map(({ name }) => name));
  const down = marks.filter(({ name, health }) => health !== 'up' && names?.has(name) !== false);
  const unreachable = down.filter((one) => one.unreachable === true);
  return { members, down: namesOf(down), unreachable: namesOf(unreachable) };
}

/** `after`, with the state of `before` remembered if it is another. */
export function remember(before: PoolChanges, after: PoolChanges): PoolChanges {
  const [was, is] = [momentOf(before), momentOf(after)];
  if (isSameMoment(was, is)) return after;
  const { nowMs } = after;
  const others = before.remembered.filter((one) => !isSameMoment(one, was) && !isSameMoment(one, is));
  return bounded({ ...after, remembered: [{ ...was, untilMs: nowMs }, ...others] }, is);
}

/** `changes`, with states that the pool was in elsewhere. */
export function rememberAlso(changes: PoolChanges, states: readonly RememberedState[]): PoolChanges {
  const is = momentOf(changes);
  let now = changes;
  for (const state of states) {
    if (isSameMoment(state, is)) continue;
    now = bounded({ ...now, remembered: withStates(now.remembered, [state]) }, is);
  }
  return now;
}

/** The newest first; equal ones once, with the latest time. */
export function withStates(
  some: readonly RememberedState[],
  others: readonly RememberedState[],
): RememberedState[] {
  const sorted = [...some, ...others].sort((a, b) => b.untilMs - a.untilMs);
  return sorted.filter((one, i) => sorted.findIndex((other) => isSameMoment(one, other)) === i);
}

function bounded(changes: PoolChanges, is: PoolMoment): PoolChanges {
  const { remembered, settleMs, nowMs } = changes;
  if (remembered.length <= STATES_REMEMBERED_MAX) return changes;
  const inHealthAlone = remembered.findLastIndex((one) =>
    [is, ...remembered].some((other) => other !== one && isSameMembers(other.members, one.members)),
  );
  const dropped = remembered.at(inHealthAlone)!;
  // The state before an old drain: what it loses, it loses from now on.
  const droppedUntilMs = nowMs < dropped.untilMs + settleMs ? dropped.untilMs : nowMs;
  return {
    ...changes,
    remembered: remembered.filter((one) => one !== dropped),
    droppedUntilMs: Math.max(droppedUntilMs, changes.droppedUntilMs ?? 0),
  };
}

/** Without what has expired. */
export function withoutExpired(changes: PoolChanges): PoolChanges {
  const { settleMs, nowMs, droppedUntilMs = 0 } = changes;
  return {
    ...changes,
    remembered: changes.remembered.filter(isRemembered(changes)),
    droppedUntilMs: nowMs < droppedUntilMs + settleMs ? changes.droppedUntilMs : undefined,
  };
}

/** Whether connections may be from a state still. */
export function isRemembered(changes: PoolChanges): (state: RememberedState) => boolean {
  const { settleMs, nowMs } = changes;
  const drains = new Set(unfinishedDrains(changes).map(({ atMs }) => atMs));
  return ({ untilMs }) => nowMs < untilMs + settleMs || drains.has(untilMs);
}

export function isSameMoment(one: PoolMoment, other: PoolMoment): boolean {
  return (
    isSameMembers(one.members, other.members) &&
    isSameList(one.down, other.down) &&
    isSameList(one.unreachable, other.unreachable)
  );
}

/** Of lists in one order. */
export function isSameMembers(some: readonly BackendConfig[], others: readonly BackendConfig[]): boolean {
  if (some === others) return true;
  return (
    some.length === others.length &&
    some.every((one, i) => {
      const other = others[i];
      return one === other || (one.name === other.name && FIELDS.every((field) => isSame(one, other, field)));
    })
  );
}

function isSameList(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((name, i) => name === others[i]);
}

function namesOf(list: readonly { readonly name: string }[]): string[] {
  return list.map(({ name }) => name);
}
