/** What `status` tells of a pool's planned changes and of what was said at runtime. */

import type { DrainStatus, OverrideStatus, PoolChangeStatus, QueuedStatus } from '../api/status.js';
import type { RuntimeEdit } from '../config/edit/kept.js';
import { drainSources } from '../pool/agent-drain.js';
import type { PoolChanges } from '../pool/change.js';
import { rekeyedUntilMs } from '../pool/due.js';
import { type QueuedStep, queuedSteps } from '../pool/effects.js';
import type { Membership, PoolMembership } from '../pool/membership.js';
import { settlesAtMs } from '../pool/open-changes.js';

export function changeStatus(pool: PoolMembership | undefined): PoolChangeStatus {
  if (pool === undefined) return { queued: [] };
  const settles = settlesAtMs(pool.changes);
  const steps = queuedSteps(pool);
  const held = steps[0]?.waitsFor ?? [];
  return {
    ...(settles !== undefined && { settlesAt: new Date(settles).toISOString() }),
    ...formerKeyStatus(pool.changes),
    ...forgotten(pool.changes),
    ...(held.length > 0 && { waitsFor: held }),
    queued: steps.map(queuedStatus),
  };
}

function formerKeyStatus(changes: PoolChanges): Pick<PoolChangeStatus, 'formerKey'> {
  if (changes.formerKey === undefined) return {};
  const until = new Date(rekeyedUntilMs(changes)).toISOString();
  return { formerKey: { id: changes.formerKey.id, until } };
}

/** Until when a state was in force that had to make room in the memory. */
export function forgotten(changes: PoolChanges | undefined): { readonly forgottenUntil?: string } {
  const droppedUntilMs = changes?.droppedUntilMs;
  return droppedUntilMs === undefined ? {} : { forgottenUntil: new Date(droppedUntilMs).toISOString() };
}

export function queuedStatus({ id, plannedAtMs, dueAtMs, changes }: QueuedStep): QueuedStatus {
  return {
    id,
    plannedAt: new Date(plannedAtMs).toISOString(),
    dueAt: new Date(dueAtMs).toISOString(),
    changes,
  };
}

/** With who asks for the drain; undefined for a member that does not drain. */
export function drainStatus(
  pool: PoolMembership | undefined,
  backend: string,
  drain: Omit<DrainStatus, 'askedBy'> | undefined,
): DrainStatus | undefined {
  if (drain === undefined) return undefined;
  return { askedBy: pool === undefined ? [] : drainSources(pool, backend), ...drain };
}

export function editStatus(edits: readonly RuntimeEdit[]): OverrideStatus[] {
  return edits.map((edit) => ({
    pool: edit.pool,
    backend: edit.kind === 'add' ? edit.entry.name : edit.backend,
    member: edit.kind === 'add' ? 'added' : 'removed',
    since: edit.since,
  }));
}

export function overrideStatus(pools: Membership): OverrideStatus[] {
  return [...pools].flatMap(([pool, { overrides }]) =>
    overrides.map(({ backend, state, weight, sinceMs }) => ({
      pool,
      backend,
      ...(state !== undefined && { state }),
      ...(weight !== undefined && { weight }),
      since: new Date(sinceMs).toISOString(),
    })),
  );
}
