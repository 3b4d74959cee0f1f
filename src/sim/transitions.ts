/**
 * What becomes of a node's pool in a simulation, by the transitions of a real node (pool/membership.ts): pure, so that nodes that know
 * the same can share what they know. Agents say at any time who has connections.
 */
import type { PoolConfig } from '../config/types.js';
import { readMemory, writeMemory } from '../pool/change-file.js';
import {
  drainsSinceMs,
  type Membership,
  NO_POOLS,
  type PoolMembership,
  passTime,
  type StandingOf,
  take,
  takeHolds,
  takeMarks,
} from '../pool/membership.js';
import type { Hold } from '../pool/open-changes.js';
import { type NamedStates, NO_FACTS, statesOf } from '../pool/states.js';

/** The inputs of tables and digests; addresses follow from names here. */
const TEXT_FIELDS = ['state', 'remembered', 'name', 'weight', 'health', 'drained', 'unreachable'];

/** What agents say of a backend. */
export type HasConnections = (backend: string) => boolean;

/** Time passes. The same object when nothing has changed. */
export function inTime(pools: Membership, nowMs: number): Membership {
  return takeMarks(passTime(pools, nowMs), givenUp(nowMs), nowMs);
}

/** The marks of all backends at once. */
export function withMarks(pools: Membership, down: ReadonlySet<string>, nowMs: number): Membership {
  return takeMarks(
    passTime(pools, nowMs),
    (_, { name }, mark) => {
      if (!down.has(name)) return { health: 'up' };
      return mark?.health === 'up' ? { health: 'down' } : undefined; // one may be dead by now
    },
    nowMs,
  );
}

/** The process restarts; its memory goes through the file. */
export function afterRestart(pools: Membership, file: PoolConfig, nowMs: number): Membership {
  const clocks = { nowMs, wallMs: nowMs };
  const memory = readMemory(writeMemory(pools, clocks), clocks);
  return take(NO_POOLS, [file], { force: false, nowMs, memory });
}

/** Agents are asked who drains and has connections. */
export function askAgents(pools: Membership, hasConnections: HasConnections, nowMs: number): Membership {
  const [pool] = pools.values();
  return takeHolds(pools, () => holdsOf(pool, hasConnections), nowMs);
}

function holdsOf(pool: PoolMembership, hasConnections: HasConnections): Hold[] {
  return pool.changes.members.flatMap(({ name }) => {
    const sinceMs = drainsSinceMs(pool, name);
    const isHeld = sinceMs !== undefined && hasConnections(name);
    return isHeld ? [{ name, untilMs: sinceMs + pool.file.drainDeadlineMs }] : [];
  });
}

export function statesIn(pools: Membership, hasConnections: HasConnections): NamedStates {
  const [{ file, changes }] = pools.values();
  const isDrained = (backend: string): boolean => !hasConnections(backend);
  return statesOf(file, changes, { ...NO_FACTS, isDrained });
}

/** Who has been down for so long that it has no connections. */
function givenUp(nowMs: number): StandingOf {
  return ({ deadAfterMs }, _, mark) =>
    mark?.health === 'down' && nowMs >= mark.sinceMs + deadAfterMs ? { health: 'dead' } : undefined;
}

export function textOf(states: NamedStates): string {
  return JSON.stringify(states, TEXT_FIELDS);
}
