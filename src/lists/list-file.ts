/** One file of a list: what was read of it, when, and why it was not read anew. */
import { stat } from 'node:fs/promises';
import type { ListSource } from '../config/defend/types.js';
import { percent } from '../core/figures.js';
import { LISTS_PREFIXES_MAX } from '../core/limits.js';
import { NO_PREFIXES, type Prefixes, prefixCount, samePrefixes } from './columns.js';
import { stampOf } from './files.js';
import type { ToKeep, ToRead, WasRead } from './mail.js';
import type { ListedVerdict } from './runtime-entries.js';

const UNREADABLE = 'unreadable';

export class ListFile {
  readonly list: ListedVerdict;
  readonly path: string;
  reloadMs: number;
  prefixes: Prefixes = NO_PREFIXES;
  /** ISO 8601; undefined before it was good for the first time. */
  loadedAt: string | undefined;
  problem: string | undefined;
  /** Of the last attempt to read it. */
  #tried: string | undefined;
  isDue = true;
  /** The next time it is read, it may have lost any number of prefixes. */
  mayShrink = false;
  /** Where what was good of it is kept; undefined: nowhere. */
  readonly #kept: string | undefined;
  #isKept = true;
  #looking: Promise<void> | undefined;

  constructor(
    list: ListedVerdict,
    { path, reloadMs }: Extract<ListSource, { kind: 'file' }>,
    kept: string | undefined,
  ) {
    this.list = list;
    this.path = path;
    this.reloadMs = reloadMs;
    this.#kept = kept;
  }

  /** Finds out whether it has changed since the last attempt to read it. Once at a time: a file system may hang. */
  look(): Promise<void> {
    this.#looking ??= stat(this.path)
      .then(stampOf, () => UNREADABLE)
      .then((stamp) => {
        if (stamp !== this.#tried) this.isDue = true;
        this.#looking = undefined;
      });
    return this.#looking;
  }

  get toRead(): ToRead {
    const { path } = this;
    return this.loadedAt === undefined && this.#kept !== undefined ? { path, kept: this.#kept } : { path };
  }

  /**
   * Takes what was read, if it is good, or at first what was kept.
   * @param maxShrink share of its prefixes that may be gone
   * @param others prefixes of all other sources
   * @returns whether there is something new
   */
  take({ read, former }: WasRead, maxShrink: number, others: number): boolean {
    const before = this.prefixes;
    if (former !== undefined && this.loadedAt === undefined) {
      this.prefixes = former.prefixes;
      this.loadedAt = former.loadedAt;
    }
    this.#tried = read.stamp ?? UNREADABLE;
    this.isDue = false;
    this.problem = 'problem' in read ? read.problem : this.#refusal(read.prefixes, maxShrink, others);
    this.mayShrink = false;
    if (!('problem' in read) && this.problem === undefined) {
      this.#isKept &&= this.loadedAt !== undefined && samePrefixes(read.prefixes, this.prefixes);
      this.prefixes = read.prefixes;
      this.loadedAt = new Date().toISOString();
    }
    return !samePrefixes(before, this.prefixes);
  }

  /** Undefined when it is kept as it is. */
  get toKeep(): ToKeep | undefined {
    const { path, prefixes, loadedAt } = this;
    if (this.#isKept || this.#kept === undefined || loadedAt === undefined) return undefined;
    return { file: this.#kept, path, prefixes, loadedAt };
  }

  /** @param list what was kept, while something else may have been read */
  kept({ prefixes }: ToKeep): void {
    if (prefixes === this.prefixes) this.#isKept = true;
  }

  #refusal(prefixes: Prefixes, maxShrink: number, others: number): string | undefined {
    const [now, before] = [prefixCount(prefixes), prefixCount(this.prefixes)];
    if (now + others > LISTS_PREFIXES_MAX)
      return `${this.path}: found ${now} prefixes, and ${others} elsewhere; expected ${LISTS_PREFIXES_MAX} in all at most`;
    if (this.mayShrink || now >= before * (1 - maxShrink)) return undefined;
    return `${this.path}: found ${now} prefixes where there were ${before}; defend.max_shrink lets go of ${percent(maxShrink)} at most. \`anyhop reload --force\` takes it all the same`;
  }
}

/** What tells the files of a node apart. */
export function keyOf({ list, path }: Pick<ListFile, 'list' | 'path'>): string {
  return `${list} ${path}`;
}
