/**
 * When a change counts from: the moment when its image is in force. That may be seconds after the pools were changed, because a program on
 * the interface is replaced, say. Until then connections are made by the state before, so how long that is remembered, a change is open,
 * a drain lasts and a former flow hash key is asked counts from then.
 */
import { type PoolChanges, settled } from './change.js';
import { drainsSinceMs, type Membership, type PoolMembership } from './membership.js';

/** `pools`, in which all that has come since `sinceMs` comes at `nowMs`, which is later. */
export function comeLater(pools: Membership, sinceMs: number, nowMs: number): Membership {
  return new Map([...pools].map(([name, pool]) => [name, poolLater(pool, sinceMs, nowMs)]));
}

/** The same object when nothing has come. */
function poolLater(pool: PoolMembership, sinceMs: number, nowMs: number): PoolMembership {
  const { changes, drainingSinceMs } = pool;
  if (changes.nowMs < sinceMs) return pool;
  const atMs = Math.max(nowMs, changes.nowMs);
  const later = (ms: number): number => (ms < sinceMs ? ms : atMs);
  const draining = Object.entries(drainingSinceMs).map(([name, ms]) => [name, later(ms)]);
  return { ...pool, changes: changesLater(pool, atMs, later), drainingSinceMs: Object.fromEntries(draining) };
}

/** Health marks keep their times: a backend is down since then, whatever packets are forwarded by. */
function changesLater(pool: PoolMembership, atMs: number, later: (ms: number) => number): PoolChanges {
  const { remembered, formerKey, planned, holds, droppedUntilMs } = pool.changes;
  const until = <T extends { readonly untilMs: number }>(one: T): T => ({
    ...one,
    untilMs: later(one.untilMs),
  });
  return settled({
    ...pool.changes,
    nowMs: atMs,
    remembered: remembered.map(until),
    ...(formerKey && { formerKey: { ...until(formerKey), states: formerKey.states.map(until) } }),
    droppedUntilMs: droppedUntilMs && later(droppedUntilMs),
    planned: planned.map((one) => ({ ...one, atMs: one.atMs && later(one.atMs) })),
    holds: holds.map((one) => {
      const sinceMs = drainsSinceMs(pool, one.name) ?? 0;
      return { ...one, untilMs: one.untilMs + later(sinceMs) - sinceMs };
    }),
  });
}
