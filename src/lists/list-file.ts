/** One file of a list: what was read of it, when, and why it was not read anew. */
import { stat } from 'node:fs/promises';
import type { ListSource } from '../config/defend/types.js';
import { percent } from '../core/figures.js';
import { LISTS_PREFIXES_MAX } from '../core/limits.js';
import { NO_PREFIXES, type Prefixes, prefixCount } from './columns.js';
import { type ReadList, stampOf } from './files.js';
import type { ListedVerdict } from './runtime-entries.js';

const UNREADABLE = 'unreadable';

export class ListFile {
  readonly list: ListedVerdict;
  readonly path: string;
  reloadMs: number;
  prefixes: Prefixes = NO_PREFIXES;
  /** ISO 8601; undefined before it was read for the first time. */
  loadedAt: string | undefined;
  problem: string | undefined;
  /** Of the last attempt to read it. */
  #tried: string | undefined;
  isDue = true;
  /** The next time it is read, it may have lost any number of prefixes. */
  mayShrink = false;

  constructor(list: ListedVerdict, { path, reloadMs }: Extract<ListSource, { kind: 'file' }>) {
    this.list = list;
    this.path = path;
    this.reloadMs = reloadMs;
  }

  /** Finds out whether it has changed since the last attempt to read it. */
  async look(): Promise<void> {
    const stamp = await stat(this.path).then(stampOf, () => UNREADABLE);
    if (stamp !== this.#tried) this.isDue = true;
  }

  /**
   * Takes what was read, if it is good.
   * @param maxShrink share of its prefixes that may be gone
   * @param others prefixes of all other sources
   * @returns whether there is something new
   */
  take(read: ReadList, maxShrink: number, others: number): boolean {
    this.#tried = read.stamp ?? UNREADABLE;
    this.isDue = false;
    this.problem = 'problem' in read ? read.problem : this.#refusal(read.prefixes, maxShrink, others);
    this.mayShrink = false;
    if ('problem' in read || this.problem !== undefined) return false;
    this.prefixes = read.prefixes;
    this.loadedAt = new Date().toISOString();
    return true;
  }

  #refusal(prefixes: Prefixes, maxShrink: number, others: number): string | undefined {
    const [now, before] = [prefixCount(prefixes), prefixCount(this.prefixes)];
    if (now + others > LISTS_PREFIXES_MAX)
      return `${this.path}: found ${now} prefixes, and ${others} elsewhere; expected ${LISTS_PREFIXES_MAX} in all at most`;
    if (this.mayShrink || now >= before * (1 - maxShrink)) return undefined;
    return `${this.path}: found ${now} prefixes where there were ${before}; defend.max_shrink lets go of ${percent(maxShrink)} at most. \`anyhop reload --force\` takes it all the same`;
  }
}
