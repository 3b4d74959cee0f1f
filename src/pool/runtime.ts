/**
 * What is done to the pools of a running node beside the file. An operator says something of a backend, takes back what waits, or brings
 * forward one change of those that wait; agents ask for drains. The overrides (override.ts) and the agents' drains (agent-drain.ts)
 * follow, so that they and the file together always say what the last step of the queue says.
 */
import { type AgentWords, askedNames, isByAgent, wantedPool, withWords } from './agent-drain.js';
import { cancelQueued, forceBackend, forceQueued, plan, planAsked } from './change.js';
import { stepId } from './effects.js';
import { type Membership, type Moment, mapPool, type PoolMembership } from './membership.js';
import { type OverridePatch, overridden, override, stillNeeded } from './override.js';
import { changedStates } from './queue.js';
import { isSameMembers } from './remembered.js';

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
    const { backends: members, prior } = wantedPool({ ...pool, overrides });
    if (!force) return { ...pool, overrides, changes: plan(pool.changes, { members, prior }, nowMs) };
    const { weight, state } = members.find(({ name }) => name === backend)!; // an agent may go on asking for a drain
    const fields = {
      ...(patch.weight !== undefined && { weight }),
      ...(patch.state !== undefined && { state }),
    };
    return { ...pool, overrides, changes: forceBackend(pool.changes, backend, fields, nowMs) };
  });
}

/**
 * Agents have answered. Who drains for no other reason begins or ends with that, as a planned change.
 * @throws AnyhopError ERR_LIMIT when a queue is full
 */
export function hear(before: Membership, words: AgentWords, { nowMs }: Moment): Membership {
  return [...before.keys()].reduce((pools, name) => {
    const agentDrains = withWords(pools.get(name)!, words);
    if (agentDrains === pools.get(name)!.agentDrains) return pools;
    return mapPool(pools, name, (pool) => {
      const said = { ...pool, agentDrains };
      const { backends: members, prior } = wantedPool(said);
      const changes = planAsked(pool.changes, { members, prior }, askedNames(said), nowMs);
      return { ...said, changes };
    });
  }, before);
}

/** Names of the backends of a queued change, if agents alone ask for all of it; empty when anything else is in it. */
export function askedByAgents(pools: Membership, id: string): string[] {
  const { pool: name, at } = findQueued(pools, id)!;
  const pool = pools.get(name)!;
  const states = changedStates(pool.changes.members, pool.changes.queue, at);
  const isAsked = states?.every((one) => isByAgent(pool, pool, one.name, one.state)) ?? false;
  return isAsked ? states!.map((one) => one.name) : [];
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
 * file without it, until the file is read again. What agents ask for in it is planned anew.
 */
export function cancel(before: Membership, id: string, { nowMs }: Moment): Membership {
  const { pool: name, at } = findQueued(before, id)!;
  return mapPool(before, name, (pool) => {
    const changes = cancelQueued(pool.changes, at, nowMs);
    const last = changes.queue.at(-1)?.members ?? changes.members;
    const left = { ...wanting(pool, last), changes };
    const { backends: members, prior } = wantedPool(left);
    return isSameMembers(last, members)
      ? left
      : { ...left, changes: planAsked(changes, { members, prior }, askedNames(left), nowMs) };
  });
}

type Wanted = PoolMembership['changes']['members'];

/**
 * File and overrides that together say `members`: the override of a field is adapted where there is one, else the file. Neither is
 * adapted to a drain that an agent asks for, or asked for.
 */
function wanting(pool: PoolMembership, list: Wanted): PoolMembership {
  const byAgent = new Set(pool.agentDrains.map(({ address }) => address));
  const before = new Map(overridden(pool.file, pool.overrides).backends.map((one) => [one.name, one.state]));
  const members = list.map((one) =>
    one.state === 'draining' && byAgent.has(one.address.text)
      ? { ...one, state: before.get(one.name) ?? one.state }
      : one,
  );
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
