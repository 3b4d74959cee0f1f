/**
 * What an operator does to the pools of a running node beside the file: says something of a backend, takes back what waits, brings
 * forward one change of those that wait. The overrides (override.ts) follow, so that file and overrides together always say what
 * the last step of the queue says.
 */
import { cancelQueued, forceBackend, forceQueued, plan } from './change.js';
import { stepId } from './effects.js';
import { type Membership, type Moment, mapPool, type PoolMembership } from './membership.js';
import { type OverridePatch, overridden, override, stillNeeded } from './override.js';

/**
 * Something is said of a backend that the pool's file has.
 * @param options `force`: it does not wait; what waits goes on waiting
 * @throws AnyhopError ERR_LIMIT when the queue is full
 */
export function say(
  before: Membership,
  name: string,
  backend: string,
  patch: OverridePatch,
  { nowMs, force }: Moment & { readonly force: boolean },
): Membership {
  return mapPool(before, name, (pool) => {
    const overrides = override(pool.overrides, pool.file, backend, patch, nowMs);
    const { backends: members, prior } = overridden(pool.file, overrides);
    const said = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined));
    const changes = force
      ? forceBackend(pool.changes, backend, said, nowMs)
      : plan(pool.changes, { members, prior }, nowMs);
    return { ...pool, overrides, changes };
  });
}

/** Where a queued change is; undefined when none that waits has this id. */
export function findQueued(pools: Membership, id: string): { pool: string; at: number } | undefined {
  for (const [pool, { changes }] of pools) {
    const at = changes.queue.findIndex((step) => stepId(pool, step) === id);
    if (at >= 0) return { pool, at };
  }
  return undefined;
}

/** One queued change does not wait any longer; the others do. */
export function bringForward(before: Membership, id: string, { nowMs }: Moment): Membership {
  const { pool: name, at } = findQueued(before, id)!;
  return mapPool(before, name, (pool) => ({ ...pool, changes: forceQueued(pool.changes, at, nowMs) }));
}

/**
 * One queued change is taken back. What was said at runtime is as before it; where it came from the file, the pool goes by the
 * file without it, until the file is read again.
 */
export function cancel(before: Membership, id: string, { nowMs }: Moment): Membership {
  const { pool: name, at } = findQueued(before, id)!;
  return mapPool(before, name, (pool) => {
    const changes = cancelQueued(pool.changes, at, nowMs);
    return { ...wanting(pool, changes.queue.at(-1)?.members ?? changes.members), changes };
  });
}

type Wanted = PoolMembership['changes']['members'];

/** File and overrides that together say `members`: the override of a field is adapted where there is one, else the file. */
function wanting(pool: PoolMembership, members: Wanted): PoolMembership {
  const inFile = new Map(pool.file.backends.map((backend) => [backend.name, backend]));
  const said = new Map(pool.overrides.map((one) => [one.backend, one]));
  const backends = members.map(({ name, address, weight, state, agent, id }) => {
    const [file, over] = [inFile.get(name), said.get(name)];
    return {
      name,
      address,
      weight: over?.weight === undefined ? weight : (file?.weight ?? weight),
      state: over?.state === undefined ? state : (file?.state ?? state),
      agent,
      id,
    };
  });
  const file = { ...pool.file, backends };
  const overrides = members.flatMap(({ name, weight, state }) => {
    const one = said.get(name);
    if (one === undefined) return [];
    return [
      {
        backend: name,
        ...(one.weight !== undefined && { weight }),
        ...(one.state !== undefined && { state }),
        sinceMs: one.sinceMs,
      },
    ];
  });
  return { ...pool, file, overrides: stillNeeded(overrides, file) };
}
