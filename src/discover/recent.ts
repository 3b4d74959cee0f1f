/**
 * Which members the groups had, less those that were leaving, at any moment of the last settle time or drain deadline, by what this process
 * has seen. After a restart it begins with what is in force then.
 */
import type { GroupKey } from '../config/discover/kinds.js';
import { presentNames } from './decide.js';
import type { Group } from './groups.js';

interface Seen {
  readonly atMs: number;
  readonly names: ReadonlySet<string>;
}

export class RecentStates {
  readonly #now: () => number;
  readonly #groups = new Map<GroupKey, Seen[]>();

  /** @param now milliseconds of a clock that only rises */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** What is in force from now on. */
  saw(groups: readonly Pick<Group, 'key' | 'members'>[]): void {
    for (const { key, members } of groups) {
      const names = presentNames(members);
      const seen = this.#groups.get(key) ?? [];
      const last = seen.at(-1);
      if (last === undefined || !isSame(last.names, names))
        this.#groups.set(key, [...seen, { atMs: this.#now(), names }]);
    }
  }

  /** The states of a group that were in force at any moment of its window; what is older is forgotten. */
  of({ key, windowMs }: Pick<Group, 'key' | 'windowMs'>): readonly ReadonlySet<string>[] {
    const seen = this.#groups.get(key) ?? [];
    const sinceMs = this.#now() - windowMs;
    // The last one before that moment was still in force at it.
    const first = seen.findLastIndex(({ atMs }) => atMs <= sinceMs);
    if (first > 0) seen.splice(0, first);
    return seen.map(({ names }) => names);
  }
}

function isSame(some: ReadonlySet<string>, others: ReadonlySet<string>): boolean {
  return some.size === others.size && [...some].every((name) => others.has(name));
}
