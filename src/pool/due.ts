/** When planned changes that wait (change.ts) come into force at the latest: what an operator is told who queues one. */
import type { BackendConfig } from '../config/types.js';
import { inForceHolds, keepsWaiting, type PoolChanges, settlesAtMs } from './change.js';

/**
 * Of each that is queued, if `advance` is called then and nothing is forced. Health marks do not change that; a drain that is
 * done before its deadline makes it sooner. A queued change that begins a drain holds up what follows like one in force, from
 * when it comes.
 *
 * @param drainDeadlineMs of the pool: how long a drain can hold
 */
export function dueAtMs(changes: PoolChanges, drainDeadlineMs: number): number[] {
  let { members, holds } = changes;
  let settledMs = settlesAtMs(changes) ?? changes.nowMs;
  return changes.queue.map((step) => {
    const held = keepsWaiting(holds, step.members, changes.nowMs).map(({ untilMs }) => untilMs);
    const dueMs = Math.max(settledMs, ...held);
    const begun = newDrains(members, step.members).map((name) => ({
      name,
      untilMs: dueMs + drainDeadlineMs,
    }));
    holds = [...inForceHolds(holds, step.members), ...begun];
    members = step.members;
    settledMs = dueMs + changes.settleMs;
    return dueMs;
  });
}

/** Who begins to drain with an agent that counts its connections; others hold up nothing. */
function newDrains(before: readonly BackendConfig[], after: readonly BackendConfig[]): string[] {
  const drained = new Set(counted(before));
  return counted(after).filter((name) => !drained.has(name));
}

function counted(members: readonly BackendConfig[]): string[] {
  return members.flatMap(({ name, state, agent }) => (state === 'draining' && agent ? [name] : []));
}
