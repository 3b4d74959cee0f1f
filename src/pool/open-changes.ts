/**
 * The planned changes of a pool that are open: they came into force within the settle time, or began a drain that is not done. A slot
 * has two alternates, so connections survive two that overlap. A third waits until fewer are open, and a backend is taken out
 * when its drain is done. Health marks do not count: they never wait, and a backend that flaps keeps no operator from draining it.
 */
import type { BackendConfig } from '../config/types.js';
import { CHANGES_OPEN_MAX } from '../core/limits.js';
import type { PoolChanges } from './change.js';

/** A planned change that is in force, and is open, or will be again when a backend that drains since then has connections. */
export interface PlannedChange {
  /** When it came into force; undefined when that was before anything was known of the pool. */
  readonly atMs?: number | undefined;
  /** Who drains since then, sorted. */
  readonly drains: readonly string[];
}

/** A member in force that drains and still has connections. */
export interface Hold {
  readonly name: string;
  /** Its deadline. */
  readonly untilMs: number;
}

type Members = readonly BackendConfig[];

/** The changes in force after one more, which is made now. */
export function withPlanned(
  planned: readonly PlannedChange[],
  before: Members,
  after: Members,
  atMs?: number,
) {
  const drained = drainingIn(before);
  const draining = drainingIn(after);
  const going = planned.map((one) => ({ ...one, drains: one.drains.filter((name) => draining.has(name)) }));
  return [...going, { atMs, drains: [...draining].filter((name) => !drained.has(name)) }];
}

/** Without those that have settled, and that nobody drains since. */
export function withoutSettled({ planned, settleMs, nowMs }: PoolChanges): readonly PlannedChange[] {
  return planned.filter((one) => one.drains.length > 0 || nowMs < settledAtMs(one, settleMs));
}

/** When a change has settled, whoever drains since then. */
function settledAtMs({ atMs }: Pick<PlannedChange, 'atMs'>, settleMs: number): number {
  return atMs === undefined ? 0 : atMs + settleMs;
}

export function openChanges(changes: PoolChanges): PlannedChange[] {
  const { planned, settleMs, nowMs } = changes;
  const unfinished = new Set(unfinishedDrains(changes));
  return planned.filter((one) => nowMs < settledAtMs(one, settleMs) || unfinished.has(one));
}

/** Changes with a drain that is not done. */
export function unfinishedDrains({ planned, holds, nowMs }: PoolChanges): PlannedChange[] {
  const held = new Set(holds.flatMap(({ name, untilMs }) => (nowMs < untilMs ? [name] : [])));
  return held.size === 0 ? [] : planned.filter(({ drains }) => drains.some((name) => held.has(name)));
}

/** Whether a planned change may come into force now: none does while the flow hash key changes (rekey.ts). */
export function mayCome(changes: PoolChanges, wanted: Members): boolean {
  if (changes.formerKey !== undefined) return false;
  return openChanges(changes).length < CHANGES_OPEN_MAX && heldBack(changes, wanted).length === 0;
}

/** Those that a change would take out, and that still have connections. */
export function heldBack({ holds, members, nowMs }: PoolChanges, wanted: Members): Hold[] {
  const addresses = new Map(wanted.map(({ name, address }) => [name, address.text]));
  const removed = new Set(
    members.flatMap(({ name, address }) => (addresses.get(name) === address.text ? [] : [name])),
  );
  return holds.filter(({ name, untilMs }) => nowMs < untilMs && removed.has(name));
}

/** For whose connections the first of the queue waits: those that it takes out, and those whose drains are open though they have settled. */
export function waitsFor(changes: PoolChanges): string[] {
  const { queue, holds, settleMs, nowMs } = changes;
  if (queue.length === 0) return [];
  const names = new Set(heldBack(changes, queue[0].members).map(({ name }) => name));
  if (openChanges(changes).length >= CHANGES_OPEN_MAX) {
    for (const one of unfinishedDrains(changes)) {
      if (nowMs >= settledAtMs(one, settleMs)) for (const name of one.drains) names.add(name);
    }
  }
  return holds.flatMap(({ name, untilMs }) => (nowMs < untilMs && names.has(name) ? [name] : []));
}

/** When the last planned change in force has settled, or undefined when all have. */
export function settlesAtMs({ planned, formerKey, settleMs, nowMs }: PoolChanges): number | undefined {
  const times = [...planned, ...atOf(formerKey)]
    .map((one) => settledAtMs(one, settleMs))
    .filter((at) => at > nowMs);
  return times.length === 0 ? undefined : Math.max(...times);
}

/** When it may be that fewer changes are open, or backends held back, if nothing is heard of them. */
export function opensAtMs({ planned, formerKey, holds, settleMs, nowMs }: PoolChanges): number[] {
  const times = [
    ...[...planned, ...atOf(formerKey)].map((one) => settledAtMs(one, settleMs)),
    ...holds.map(({ untilMs }) => untilMs),
  ];
  return times.filter((at) => at > nowMs);
}

/** The change of a key among the others. */
function atOf(formerKey: PoolChanges['formerKey']): Pick<PlannedChange, 'atMs'>[] {
  return formerKey === undefined ? [] : [{ atMs: formerKey.untilMs }];
}

/** Those of members that drain. */
export function inForceHolds(holds: readonly Hold[], members: Members): Hold[] {
  const draining = drainingIn(members);
  return holds.filter(({ name }) => draining.has(name));
}

export function drainingIn(members: Members): ReadonlySet<string> {
  return new Set(members.flatMap(({ name, state }) => (state === 'draining' ? [name] : [])));
}
