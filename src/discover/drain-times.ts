/** For how long members drain that their source took away, by what this process has seen. After a restart it begins anew. */
import type { Standing } from '../config/edit/found.js';
import type { Group } from './groups.js';

export class DrainTimes {
  readonly #now: () => number;
  /** Since when, by group, member and address. */
  #since = new Map<string, number>();

  /** @param now milliseconds of a clock that only rises */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** What is in force from now on. */
  saw(groups: readonly Group[]): void {
    const since = new Map<string, number>();
    for (const group of groups)
      for (const member of group.members) {
        if (member.state !== 'draining') continue;
        const key = keyOf(group, member);
        since.set(key, this.#since.get(key) ?? this.#now());
      }
    this.#since = since;
  }

  /** The time of the clock; undefined when it does not drain, or has not been seen to. */
  sinceMs(group: Group, name: string): number | undefined {
    const member = group.members.find((one) => one.name === name);
    return member && this.#since.get(keyOf(group, member));
  }

  /** Whether a member drains for as long as it is given. */
  isOver(group: Group, name: string): boolean {
    const since = this.sinceMs(group, name);
    return since !== undefined && this.#now() - since >= group.windowMs;
  }
}

function keyOf({ key }: Group, { name, address, port }: Standing): string {
  return `${key}/${name} ${address} ${port ?? ''}`;
}
