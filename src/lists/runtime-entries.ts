/**
 * Prefixes that somebody blocks or allows at runtime (`anyhop defend block`), until a moment or until they are taken back. They are kept
 * in a file of the node's state directory, as a whole, so that they hold over restarts. A failure to write costs that alone.
 */
import { dirname } from 'node:path';
import * as z from 'zod';
import { makeDirectory } from '../core/directory.js';
import { AnyhopError } from '../core/errors.js';
import { LISTED_AT_RUNTIME_MAX, LISTED_WHY_CHARS_MAX } from '../core/limits.js';
import type { Logger } from '../core/log.js';
import { requireOwnDirectory } from '../core/own-directory.js';
import { readOwnFile, replaceOwnFile } from '../core/own-file.js';
import { reasonOf } from '../core/reason.js';
import { Rerun } from '../core/rerun.js';
import { type IpPrefix, parsePrefix } from '../packet/address.js';

const VERSION = 1;
const DIRECTORY_MODE = 0o700;

export type ListedVerdict = 'allow' | 'block';

export interface RuntimeEntry {
  readonly prefix: string;
  readonly verdict: ListedVerdict;
  /** ISO 8601. */
  readonly since: string;
  /** Absent: until it is taken back. */
  readonly until?: string;
  readonly why?: string;
}

const moment = z.iso.datetime();
const entry = z.strictObject({
  prefix: z.string().refine((text) => parsePrefix(text)?.text === text, 'not a prefix'),
  verdict: z.enum(['allow', 'block']),
  since: moment,
  until: moment.optional(),
  why: z.string().max(LISTED_WHY_CHARS_MAX).optional(),
});
const kept = z.strictObject({
  version: z.literal(VERSION),
  entries: z.array(entry).max(LISTED_AT_RUNTIME_MAX),
});

/** An entry, and what it says, parsed once: ten thousand take 20 ms. */
interface Held {
  readonly entry: RuntimeEntry;
  readonly prefix: IpPrefix;
  /** Infinity: no end. */
  readonly untilMs: number;
}

export class RuntimeEntries {
  readonly #file: string | undefined;
  readonly #log: Logger;
  /** By the prefix's text. */
  readonly #entries = new Map<string, Held>();
  readonly #writes = new Rerun(() => this.#write());
  /** What the file says; no file says the same as one without entries, so that a process which blocks nothing writes nothing. */
  #written = textOf([]);
  /** Why they are not kept; undefined when they are. */
  #problem: string | undefined;

  /** Reads what a process before this one kept. @param file undefined: nothing is kept */
  constructor(file: string | undefined, log: Logger) {
    this.#file = file;
    this.#log = log;
    if (file !== undefined) this.#read(file);
  }

  /** Why entries will not survive a restart; undefined when they will. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** In the order in which they were made. */
  all(): readonly RuntimeEntry[] {
    return Array.from(this.#entries.values(), ({ entry }) => entry);
  }

  prefixes(verdict: ListedVerdict): IpPrefix[] {
    const found: IpPrefix[] = [];
    for (const { entry, prefix } of this.#entries.values()) if (entry.verdict === verdict) found.push(prefix);
    return found;
  }

  get(prefix: IpPrefix): RuntimeEntry | undefined {
    return this.#entries.get(prefix.text)?.entry;
  }

  /** Each in the place of one for the same prefix. @throws AnyhopError ERR_LIMIT when there are too many; nothing is changed then */
  set(made: readonly RuntimeEntry[]): void {
    const others = new Set(made.flatMap(({ prefix }) => (this.#entries.has(prefix) ? [] : prefix)));
    const size = this.#entries.size + others.size;
    if (size > LISTED_AT_RUNTIME_MAX)
      throw new AnyhopError(
        'ERR_LIMIT',
        `with them, ${size} prefixes would be blocked or allowed at runtime; ${LISTED_AT_RUNTIME_MAX} can be`,
        { hint: 'Put prefixes into a file that defend.block names, or unblock some.' },
      );
    for (const each of made) this.#hold(each);
  }

  /** @returns whether it was there */
  delete(prefix: string): boolean {
    return this.#entries.delete(prefix);
  }

  /** Those whose time is over. */
  over(nowMs: number): RuntimeEntry[] {
    const found: RuntimeEntry[] = [];
    for (const { entry, untilMs } of this.#entries.values()) if (untilMs <= nowMs) found.push(entry);
    return found;
  }

  /** When the next one's time is over; undefined when none will be. */
  nextMs(): number | undefined {
    let next = Number.POSITIVE_INFINITY;
    for (const { untilMs } of this.#entries.values()) next = Math.min(next, untilMs);
    return Number.isFinite(next) ? next : undefined;
  }

  /** Resolves when the present entries are kept, or that has failed. */
  async keep(): Promise<void> {
    if (this.#file !== undefined) await this.#writes.ask();
  }

  #hold(entry: RuntimeEntry): void {
    const untilMs = entry.until === undefined ? Number.POSITIVE_INFINITY : Date.parse(entry.until);
    this.#entries.set(entry.prefix, { entry, prefix: parsePrefix(entry.prefix)!, untilMs });
  }

  #read(file: string): void {
    try {
      requireOwnDirectory(dirname(file), 'ERR_STATE_FILE', 'node.state_dir');
      for (const each of kept.parse(JSON.parse(readOwnFile(file).text)).entries)
        this.#hold(each as RuntimeEntry);
      this.#written = textOf(this.all());
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      const why = reasonOf(error);
      this.#log.error(
        { event: 'state_unusable', file, why },
        `${file}: ${why}; no prefix is blocked or allowed as it was at runtime before`,
      );
    }
  }

  async #write(): Promise<void> {
    const file = this.#file!;
    const text = textOf(this.all());
    if (text === this.#written) {
      this.#problem = undefined;
      return;
    }
    try {
      requireOwnDirectory(dirname(file), 'ERR_STATE_FILE', 'node.state_dir');
      makeDirectory(dirname(file), DIRECTORY_MODE);
      await replaceOwnFile(file, text);
      this.#written = text;
      this.#problem = undefined;
    } catch (error) {
      const why = reasonOf(error);
      if (why === this.#problem) return;
      this.#problem = why;
      this.#log.warn(
        { event: 'state_not_kept', file, why },
        `prefixes that are blocked or allowed at runtime will not survive a restart: ${why}; node.state_dir names another place`,
      );
    }
  }
}

function textOf(entries: readonly RuntimeEntry[]): string {
  return `${JSON.stringify({ version: VERSION, entries })}\n`;
}
