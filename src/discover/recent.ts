/**
 * Which backends the pools had, less those that were leaving, at any moment of the last settle time, by what this process has seen. After
 * a restart it begins with what is in force then.
 */
import type { Standing } from '../config/edit/found.js';
import type { PoolConfig } from '../config/types.js';
import { presentNames, standingOf } from './decide.js';

interface Seen {
  readonly atMs: number;
  readonly names: ReadonlySet<string>;
}

export class RecentStates {
  readonly #now: () => number;
  readonly #pools = new Map<string, Seen[]>();

  /** @param now milliseconds of a clock that only rises */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** What is in force from now on. */
  saw(pools: readonly PoolConfig[]): void {
    for (const { name, backends, backendsFrom } of pools)
      if (backendsFrom !== undefined) this.sawPool(name, standingOf(backends));
  }

  sawPool(pool: string, backends: readonly Standing[]): void {
    const names = presentNames(backends);
    const seen = this.#pools.get(pool) ?? [];
    const last = seen.at(-1);
    if (last !== undefined && isSame(last.names, names)) return;
    this.#pools.set(pool, [...seen, { atMs: this.#now(), names }]);
  }

  /** The states of a pool that were in force at any moment of so long; what is older is forgotten. */
  of(pool: string, windowMs: number): readonly ReadonlySet<string>[] {
    const seen = this.#pools.get(pool) ?? [];
    const sinceMs = this.#now() - windowMs;
    // The last one before that moment was still in force at it.
    const first = seen.findLastIndex(({ atMs }) => atMs <= sinceMs);
    if (first > 0) seen.splice(0, first);
    return seen.map(({ names }) => names);
  }
}

/** For how long what was taken away counts together. */
export function windowOf({ settleMs, backendsFrom }: PoolConfig): number {
  return Math.max(settleMs, backendsFrom?.debounceMs ?? 0);
}

function isSame(some: ReadonlySet<string>, others: ReadonlySet<string>): boolean {
  return some.size === others.size && [...some].every((name) => others.has(name));
}
