/**
 * How a backend stands by all that is known of it: it is up when the kernel knows a way to it and its checks, if it has any, say so.
 * The marks themselves, and since when they stand, are kept with the pools (pool/change.ts). `dead` is down for longer than the
 * pool's `dead_after`.
 */
import type { BackendConfig, PoolConfig } from '../config/types.js';
import type { CheckResult } from '../health/combine.js';
import type { RememberedMark } from '../pool/change.js';
import { type Membership, markedIn, type PoolMembership, type StandingOf } from '../pool/membership.js';
import { standing, UP } from '../pool/standing.js';
import type { Health } from '../table/state.js';

/** Why a backend is not up, for people; undefined when it is. */
export type Why = (pool: PoolConfig, backend: BackendConfig) => string | undefined;

/** A mark as it is told. */
export interface HealthMark {
  readonly health: Health;
  /** What is wrong; also of one that is up, though this node alone sees it down. */
  readonly reason: string | undefined;
  /** Since when it is up, or not. */
  readonly since: Date;
}

/**
 * @param noWay why there is no way to a backend; undefined when there is one
 * @param checks by `pool/backend`; one without a result is not known to work
 */
export function whyBy(
  noWay: (backend: BackendConfig) => string | undefined,
  checks: ReadonlyMap<string, CheckResult>,
): Why {
  return (pool, backend) => {
    const reason = noWay(backend);
    if (reason !== undefined || pool.health.length === 0) return reason;
    const check = checks.get(`${pool.name}/${backend.name}`);
    if (check === undefined) return 'its first check is under way';
    return check.isUp ? undefined : check.reason;
  };
}

/** @param isReachable whether packets get to a backend of a pool from here, now */
export function standingBy(
  why: Why,
  isReachable: (pool: PoolConfig, backend: BackendConfig) => boolean,
  nowMs: number,
): StandingOf {
  return (pool, backend, mark) => {
    const isReached = isReachable(pool, backend);
    if (isReached && why(pool, backend) === undefined) return UP;
    const wasUp = mark === undefined || mark.health === 'up';
    const downMs = wasUp ? 0 : nowMs - mark.sinceMs;
    return standing(downMs >= pool.deadAfterMs ? 'dead' : 'down', isReached);
  };
}

/** When the next backend is dead, if nothing else changes. */
export function nextDeadAtMs(pools: Membership): number | undefined {
  const times = [...pools.values()].flatMap((pool) => {
    const { file, changes } = pool;
    const down = changes.marks.filter(({ health }) => health === 'down');
    if (down.length === 0) return [];
    const marked = new Set(markedIn(pool).map(({ name }) => name));
    return down.flatMap(({ name, sinceMs }) => (marked.has(name) ? [sinceMs + file.deadAfterMs] : []));
  });
  return times.length === 0 ? undefined : Math.min(...times);
}

/**
 * By the backend's name.
 * @param marks those of the pool that are to be told
 * @param butWhy what is wrong with one that is up all the same
 */
export function marksToTell(
  pool: PoolMembership,
  marks: readonly RememberedMark[],
  why: Why,
  butWhy: Why = () => undefined,
): Map<string, HealthMark> {
  const byName = new Map(marks.map((one) => [one.name, one]));
  return new Map(
    markedIn(pool).flatMap((backend): [string, HealthMark][] => {
      const mark = byName.get(backend.name);
      if (mark === undefined) return [];
      const { name, health, sinceMs } = mark;
      const reason = (health === 'up' ? butWhy : why)(pool.file, backend);
      return [[name, { health, reason, since: new Date(sinceMs) }]];
    }),
  );
}
