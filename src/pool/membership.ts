/**
 * What all pools of a node were, are and will be: the file, the overrides set at runtime, the drains that agents ask for, and what is
 * remembered of each pool (change.ts). One immutable value; every transition returns the next one. A change can so be examined before it
 * is made, and one that cannot be published is dropped.
 *
 *   file ---- wantedPool() --> wanted --- plan(), force() --> changes --- statesOf() --> tables
 *
 * Times are milliseconds as in change.ts.
 */
import type { BackendConfig, PoolConfig } from '../config/types.js';
import { type AgentDrain, stillAsked, wantedPool } from './agent-drain.js';
import {
  advance,
  changeKey,
  type FirstMarks,
  force,
  hold,
  isDue,
  markEach,
  nextAtMs,
  type PoolChange,
  type PoolChanges,
  plan,
  type RememberedMark,
  startChanges,
} from './change.js';
import type { Hold } from './open-changes.js';
import { type Override, stillNeeded } from './override.js';
import type { Standing } from './standing.js';
import { formerMembers } from './states.js';

export interface PoolMembership {
  /** As the file has it. */
  readonly file: PoolConfig;
  /** The name that it had when it was last taken from a pool of another. */
  readonly formerly?: string;
  /** Over the file; sorted by name. */
  readonly overrides: readonly Override[];
  /** Sorted by address. */
  readonly agentDrains: readonly AgentDrain[];
  readonly changes: PoolChanges;
  /** Since when each member in force that drains does so. */
  readonly drainingSinceMs: Readonly<Record<string, number>>;
}

/** By name, in the order of the file. */
export type Membership = ReadonlyMap<string, PoolMembership>;

/** What outlives the process, by the pool's name. */
export interface PoolMemory {
  readonly changes: PoolChanges;
  readonly overrides: readonly Override[];
  readonly agentDrains: readonly AgentDrain[];
  readonly drainingSinceMs: Readonly<Record<string, number>>;
}

/** Of a pool of which nothing was said at runtime. */
export function memoryOf(changes: PoolChanges): PoolMemory {
  return { changes, overrides: [], agentDrains: [], drainingSinceMs: {} };
}

/**
 * How a member stands now; undefined when that is not known, and its mark stays.
 * @param mark the one that it has; undefined when it is new to the pool
 */
export type StandingOf = (
  pool: PoolConfig,
  backend: BackendConfig,
  mark: RememberedMark | undefined,
) => Standing | undefined;

/** When a transition is made, and how members stand that are new to a pool: up unless `standing` says otherwise. */
export interface Moment {
  readonly nowMs: number;
  readonly standing?: StandingOf;
}

export interface TakeOptions extends Moment {
  readonly force: boolean;
  /** Pools that have another name now, by that: the name that they are known by. */
  readonly renamed?: ReadonlyMap<string, string>;
  /** What was remembered over a restart, for pools that are not known yet. */
  readonly memory?: ReadonlyMap<string, PoolMemory>;
  /** Fingerprint of the secret whose keys hash flows; it is as it was when left out. */
  readonly keyId?: string;
}

export const NO_POOLS: Membership = new Map();

/**
 * The file as it is now, with overrides over it: the change, if it is one.
 * @throws AnyhopError ERR_LIMIT when a queue is full
 */
export function take(before: Membership, files: readonly PoolConfig[], options: TakeOptions): Membership {
  return new Map(
    files.map((file): [string, PoolMembership] => {
      const known = before.get(file.name) ?? before.get(options.renamed?.get(file.name) ?? '');
      return [file.name, takePool(file, known, options)];
    }),
  );
}

function takePool(
  file: PoolConfig,
  before: PoolMembership | undefined,
  { force: isForced, nowMs, standing, memory, renamed, keyId }: TakeOptions,
): PoolMembership {
  const remembered = before ?? memory?.get(file.name) ?? memory?.get(renamed?.get(file.name) ?? '');
  const overrides = stillNeeded(remembered?.overrides ?? [], file);
  const agentDrains = stillAsked(
    { file, overrides, agentDrains: remembered?.agentDrains ?? [] },
    remembered?.changes.members ?? [],
  );
  const { backends: members, prior } = wantedPool({ file, overrides, agentDrains });
  const change: PoolChange = { members, prior };
  const marks = firstMarks(file, members, standing);
  const { settleMs } = file;
  const known = remembered && { ...remembered.changes, settleMs };
  const started = known ?? startChanges(change, settleMs, nowMs, marks);
  const rekeyed = keyId === undefined ? started : changeKey(started, keyId, nowMs);
  const changes = known === undefined ? rekeyed : (isForced ? force : plan)(rekeyed, change, nowMs, marks);
  const isRenamed = before !== undefined && before.file.name !== file.name;
  const { drainingSinceMs = {} } = remembered ?? {};
  return next({
    file,
    ...(isRenamed && { formerly: before.file.name }),
    overrides,
    agentDrains,
    changes,
    drainingSinceMs,
  });
}

function firstMarks(
  file: PoolConfig,
  members: readonly BackendConfig[],
  standing: StandingOf = () => undefined,
): FirstMarks {
  return Object.fromEntries(
    members.flatMap((one) => {
      const mark = standing(file, one, undefined);
      return mark === undefined ? [] : [[one.name, mark]];
    }),
  );
}

/** Time passes: what is due comes into force. The same object when nothing has changed. */
export function passTime(before: Membership, nowMs: number): Membership {
  return mapPools(before, (pool) =>
    isDue(pool.changes, nowMs) ? next({ ...pool, changes: advance(pool.changes, nowMs) }) : pool,
  );
}

/** Who drains and still has connections, by now. The same object when nothing has changed. */
export function takeHolds(
  before: Membership,
  holds: (pool: string) => readonly Hold[],
  nowMs: number,
): Membership {
  return mapPools(before, (pool, name) => {
    const changes = hold(pool.changes, holds(name), nowMs);
    return changes === pool.changes ? pool : next({ ...pool, changes });
  });
}

/** How members stand now that are in force or wait. The same object when nothing has changed. */
export function takeMarks(before: Membership, standing: StandingOf, nowMs: number): Membership {
  return mapPools(before, (pool) => {
    const backends = new Map(markedIn(pool).map((backend) => [backend.name, backend]));
    const standingOf = (mark: RememberedMark): Standing | undefined => {
      const backend = backends.get(mark.name);
      return backend && standing(pool.file, backend, mark);
    };
    const changes = markEach(pool.changes, standingOf, nowMs);
    return changes === pool.changes ? pool : next({ ...pool, changes });
  });
}

/** The same object when no pool has changed. */
export function mapPools(
  before: Membership,
  transform: (pool: PoolMembership, name: string) => PoolMembership,
): Membership {
  const after = new Map([...before].map(([name, pool]) => [name, transform(pool, name)]));
  return [...after].every(([name, pool]) => before.get(name) === pool) ? before : after;
}

/** Makes one pool another; the same object when nothing has changed. */
export function mapPool(
  before: Membership,
  name: string,
  transform: (pool: PoolMembership) => PoolMembership,
): Membership {
  return mapPools(before, (pool, each) => (each === name ? next(transform(pool)) : pool));
}

/** Keeps since when members drain, and what agents ask for. */
function next(pool: PoolMembership): PoolMembership {
  const { changes } = pool;
  const agentDrains = stillAsked(pool, changes.members);
  const draining = changes.members.filter(({ state }) => state === 'draining');
  const drainingSinceMs = Object.fromEntries(
    draining.map(({ name }) => [name, own(pool.drainingSinceMs, name) ?? changes.nowMs]),
  );
  return { ...pool, agentDrains, drainingSinceMs };
}

/** A backend may have the name of something that every object has. */
function own(times: Readonly<Record<string, number>>, name: string): number | undefined {
  return Object.hasOwn(times, name) ? times[name] : undefined;
}

/** Since when a member that is in force drains; undefined when it does not. */
export function drainsSinceMs({ drainingSinceMs }: PoolMembership, backend: string): number | undefined {
  return own(drainingSinceMs, backend);
}

/** When `passTime` has something to do next; undefined when nothing waits or settles. */
export function nextChangeAtMs(pools: Membership): number | undefined {
  const times = [...pools.values()].flatMap(({ changes }) => nextAtMs(changes) ?? []);
  return times.length === 0 ? undefined : Math.min(...times);
}

export interface NamedBackend {
  readonly pool: PoolConfig;
  readonly backend: BackendConfig;
}

/**
 * The members whose health marks follow what is known of them: those in force, and those that wait to be. One that waits under the
 * name of one in force, with another address, is not among them.
 */
export function markedIn({ changes }: PoolMembership): readonly BackendConfig[] {
  const waiting = queuedBackends(changes);
  return waiting.length === 0 ? changes.members : firstByName([...changes.members, ...waiting]);
}

export function markedBackends(pools: Membership): NamedBackend[] {
  return [...pools.values()].flatMap((pool) =>
    markedIn(pool).map((backend) => ({ pool: pool.file, backend })),
  );
}

/** All that packets may be sent to soon: those, and members of remembered states. */
export function reachedBackends(pools: Membership): NamedBackend[] {
  return [...pools.values()].flatMap(({ file, changes }) =>
    [...changes.members, ...queuedBackends(changes), ...formerMembers(changes)].map((backend) => ({
      pool: file,
      backend,
    })),
  );
}

/** Every member that a queued change names, the next one's first; names may come again. */
function queuedBackends({ queue }: PoolChanges): BackendConfig[] {
  return queue.flatMap(({ members }) => members);
}

function firstByName(backends: readonly BackendConfig[]): BackendConfig[] {
  return [...new Map([...backends].reverse().map((backend) => [backend.name, backend])).values()].reverse();
}
