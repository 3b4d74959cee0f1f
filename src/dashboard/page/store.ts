/** The board in the browser (wire.ts): what the stream told so far, and which values an update changed. */
import type { Update } from '../wire.js';

export class Store {
  readonly #values = new Map<string, unknown>();

  /** @returns keys whose values changed, came or went */
  apply({ first, set, gone }: Update): Set<string> {
    const changed = new Set<string>(gone);
    if (first) {
      for (const key of this.#values.keys()) changed.add(key);
      this.#values.clear();
    }
    for (const key of gone) this.#values.delete(key);
    for (const [key, value] of Object.entries(set)) {
      this.#values.set(key, value);
      changed.add(key);
    }
    return changed;
  }

  get<T>(key: string): T | undefined {
    return this.#values.get(key) as T | undefined;
  }

  /** Values whose keys begin with `prefix`, by the rest of the key, in the order in which they came. */
  all<T>(prefix: string): [rest: string, value: T][] {
    const found: [string, T][] = [];
    for (const [key, value] of this.#values)
      if (key.startsWith(prefix)) found.push([key.slice(prefix.length), value as T]);
    return found;
  }
}

/** Whether one of `changed` begins with one of `prefixes`. */
export function touches(changed: ReadonlySet<string>, ...prefixes: readonly string[]): boolean {
  for (const key of changed) if (prefixes.some((prefix) => key.startsWith(prefix))) return true;
  return false;
}
