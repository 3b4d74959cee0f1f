/** How long next hops of the router have different owners for slots of a pool, and what is why. */
import type { Kind } from './options.js';
import type { View } from './shared-pool.js';

interface Difference {
  readonly sinceMs: number;
  readonly kind: Kind;
}

export class Differences {
  readonly #pools: (Difference | undefined)[];
  /** By kind: how long each time. */
  readonly timesMs = new Map<Kind, number[]>();
  /** While any pool differs. */
  anyMs = 0;
  #anySinceMs: number | undefined;

  constructor(pools: number) {
    this.#pools = Array.from({ length: pools }, () => undefined);
  }

  /** @param views of the pool on the router's next hops @param kind what has happened last */
  look(pool: number, views: ReadonlySet<View>, kind: Kind, nowMs: number): void {
    const differs = views.size > 1 && new Set([...views].map((view) => view.owners())).size > 1;
    const before = this.#pools[pool];
    if (differs === (before !== undefined)) return;
    if (before !== undefined) this.#end(pool, nowMs);
    else this.#pools[pool] = { sinceMs: nowMs, kind };
    const differ = this.#pools.some((each) => each !== undefined);
    if (differ) this.#anySinceMs ??= nowMs;
    else {
      this.anyMs += nowMs - (this.#anySinceMs ?? nowMs);
      this.#anySinceMs = undefined;
    }
  }

  /** If one of `kinds` was why, something else is from now on. */
  blame(pool: number, kinds: readonly Kind[], kind: Kind, nowMs: number): void {
    const before = this.#pools[pool];
    if (before === undefined || before.kind === kind || !kinds.includes(before.kind)) return;
    this.#end(pool, nowMs);
    this.#pools[pool] = { sinceMs: nowMs, kind };
  }

  /** Why a pool differs between nodes; undefined when it does not. */
  kindOf(pool: number): Kind | undefined {
    return this.#pools[pool]?.kind;
  }

  end(nowMs: number): void {
    for (const [pool, difference] of this.#pools.entries())
      if (difference !== undefined) this.#end(pool, nowMs);
    this.anyMs += nowMs - (this.#anySinceMs ?? nowMs);
    this.#anySinceMs = undefined;
  }

  #end(pool: number, nowMs: number): void {
    const { sinceMs, kind } = this.#pools[pool]!;
    this.#pools[pool] = undefined;
    const times = this.timesMs.get(kind) ?? [];
    times.push(nowMs - sinceMs);
    this.timesMs.set(kind, times);
  }
}
