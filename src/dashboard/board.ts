/**
 * The values that the page shows, by key, with the version at which each changed last. Whoever knows the board at one version can be told
 * what changed since, however long ago that was: a slow watcher skips versions and misses nothing.
 */
import type { Update } from './wire.js';

/** Keys that went, of which the versions are kept; a watcher from before the oldest is told everything. */
const GONE_MAX = 4096;

interface Held {
  readonly text: string;
  readonly version: number;
}

export class Board {
  readonly #held = new Map<string, Held>();
  readonly #gone = new Map<string, number>();
  #version = 0;
  /** Watchers that know less than this version are told everything. */
  #completeSince = 0;

  /** Counts changes of the board, from 0: nothing is known. */
  get version(): number {
    return this.#version;
  }

  /** Puts these values in the place of all that begin with one of `prefixes`. */
  replace(values: ReadonlyMap<string, unknown>, prefixes: readonly string[]): void {
    const next = this.#version + 1;
    let changed = false;
    for (const [key, value] of values) {
      const text = JSON.stringify(value);
      if (this.#held.get(key)?.text === text) continue;
      this.#held.set(key, { text, version: next });
      this.#gone.delete(key);
      changed = true;
    }
    for (const key of this.#held.keys()) {
      if (values.has(key) || !prefixes.some((prefix) => key.startsWith(prefix))) continue;
      this.#held.delete(key);
      this.#gone.set(key, next);
      changed = true;
    }
    if (changed) this.#version = next;
    if (this.#gone.size > GONE_MAX) {
      this.#gone.clear();
      this.#completeSince = next;
    }
  }

  /**
   * An Update as JSON text.
   * @param known the version that the reader knows; 0 when it knows nothing
   */
  since(known: number, rest: Pick<Update, 'ageMs' | 'silent'>): string {
    const isFirst = known === 0 || known < this.#completeSince;
    const set: string[] = [];
    for (const [key, { text, version }] of this.#held)
      if (isFirst || version > known) set.push(`${JSON.stringify(key)}:${text}`);
    const gone = isFirst ? [] : [...this.#gone].filter(([, at]) => at > known).map(([key]) => key);
    const head = JSON.stringify({ ...(isFirst && { first: true }), ...rest, gone });
    return `${head.slice(0, -1)},"set":{${set.join(',')}}}`;
  }
}
