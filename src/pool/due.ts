/** When planned changes that wait (change.ts) come into force at the latest: what an operator is told who queues one. */
import type { BackendConfig } from '../config/types.js';
import { CHANGES_OPEN_MAX } from '../core/limits.js';
import type { PoolChanges } from './change.js';
import { drainingIn, heldBack, type PlannedChange, withPlanned } from './open-changes.js';

/**
 * Of each that is queued, if `advance` is called then and nothing is forced. Health marks do not change that; a drain that is
 * done before its deadline makes it sooner. A queued change that begins a drain is open until that is done, from when it comes.
 *
 * @param drainDeadlineMs of the pool: how long a drain can hold
 */
export function dueAtMs(changes: PoolChanges, drainDeadlineMs: number): number[] {
  const { settleMs, nowMs } = changes;
  let { members, holds, planned } = changes;
  let lastMs = Math.max(nowMs, rekeyedUntilMs(changes));
  return changes.queue.map((step) => {
    const held = new Map(holds.map(({ name, untilMs }) => [name, untilMs]));
    const open = planned.map((one) => openUntilMs(one, settleMs, held)).sort((a, b) => b - a);
    const removed = heldBack({ ...changes, members, holds }, step.members).map(({ untilMs }) => untilMs);
    const dueMs = Math.max(lastMs, open[CHANGES_OPEN_MAX - 1] ?? 0, ...removed);
    for (const name of newlyCounted(members, step.members)) held.set(name, dueMs + drainDeadlineMs);
    const draining = drainingIn(step.members);
    holds = [...held].flatMap(([name, untilMs]) => (draining.has(name) ? [{ name, untilMs }] : []));
    planned = withPlanned(planned, members, step.members, dueMs);
    members = step.members;
    lastMs = dueMs;
    return dueMs;
  });
}

/** When no connection is left of a former flow hash key at the latest; 0 without one. */
export function rekeyedUntilMs({ formerKey, settleMs, planned, holds }: PoolChanges): number {
  if (formerKey === undefined) return 0;
  const before = new Set(planned.flatMap(({ atMs = 0, drains }) => (atMs > formerKey.untilMs ? [] : drains)));
  const held = holds.flatMap(({ name, untilMs }) => (before.has(name) ? [untilMs] : []));
  return Math.max(formerKey.untilMs + settleMs, ...held);
}

function openUntilMs(
  { atMs, drains }: PlannedChange,
  settleMs: number,
  held: ReadonlyMap<string, number>,
): number {
  return Math.max(atMs === undefined ? 0 : atMs + settleMs, ...drains.map((name) => held.get(name) ?? 0));
}

/** Who begins to drain with an agent that counts its connections; others hold up nothing. */
function newlyCounted(before: readonly BackendConfig[], after: readonly BackendConfig[]): string[] {
  const drained = new Set(counted(before));
  return counted(after).filter((name) => !drained.has(name));
}

function counted(members: readonly BackendConfig[]): string[] {
  return members.flatMap(({ name, state, agent }) => (state === 'draining' && agent ? [name] : []));
}
