/** What `status` tells of a pool's planned changes and of what was said at runtime. */
import { settlesAtMs, waitsFor } from '../pool/change.js';
import { queuedConfigs } from '../pool/change-config.js';
import { describeMembers } from '../pool/describe-change.js';
import { dueAtMs } from '../pool/due.js';
import type { Membership, PoolMembership } from '../pool/membership.js';
import type { OverrideStatus, PoolChangeStatus } from './status.js';

export function changeStatus(pool: PoolMembership | undefined): PoolChangeStatus {
  if (pool === undefined) return { queued: [] };
  const { inForce, changes } = pool;
  const settles = settlesAtMs(changes);
  const due = dueAtMs(changes, inForce.drainDeadlineMs);
  const held = waitsFor(changes);
  const steps = [inForce, ...queuedConfigs(inForce, changes)];
  return {
    ...(settles !== undefined && { settlesAt: new Date(settles).toISOString() }),
    ...(held.length > 0 && { waitsFor: held }),
    queued: due.map((at, i) => ({
      dueAt: new Date(at).toISOString(),
      changes: describeMembers(steps[i].backends, steps[i + 1].backends),
    })),
  };
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
