/**
 * The lists `allow` and `block` of a node: prefixes of the config, files that are watched, and what somebody says at runtime. All of them
 * together are compiled in a worker and published as one.
 *
 *     config ------------------\
 *     files --watch, interval---> due? --read--> good? --> compile --> publish
 *     runtime entries ---------/                  | no
 *                                                 +--> the former stays, with the reason
 *
 * Whatever comes while one round of this runs is in the next one: a thousand blocks in a second take two or three rounds.
 */
import { dirname } from 'node:path';
import type { DefendConfig, ListSource } from '../config/defend/types.js';
import { took } from '../core/figures.js';
import { LISTS_SETTLE_MS } from '../core/limits.js';
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import { Rerun } from '../core/rerun.js';
import type { IpPrefix } from '../packet/address.js';
import { PrefixColumns, prefixCount } from './columns.js';
import { ListsCompiler } from './compiler.js';
import { DirectoryWatches } from './directory-watches.js';
import { ListFile } from './list-file.js';
import { type ListedVerdict, RuntimeEntries, type RuntimeEntry } from './runtime-entries.js';

export interface DefendListsOptions {
  readonly log: Logger;
  /** Where what is said at runtime is kept; undefined: it ends with the process. */
  readonly file: string | undefined;
  /** Puts compiled lists in force, undefined for none; resolves when they are. One at a time. */
  readonly publish: (compiled: Uint8Array | undefined) => Promise<void>;
  /** Wall clock, in ms. */
  readonly now?: () => number;
}

export type ListsConfig = Pick<DefendConfig, 'allow' | 'block' | 'maxShrink'>;

export interface SourceStatus {
  /** The path, or the prefix. */
  readonly from: string;
  readonly prefixes: number;
  /** ISO 8601; absent for a prefix, and before a file was ever read. */
  readonly loadedAt?: string;
  /** Absent when all is well. */
  readonly problem?: string;
}

export interface ListStatus {
  readonly prefixes4: number;
  readonly prefixes6: number;
  readonly sources: readonly SourceStatus[];
}

export interface ListsStatus {
  readonly allow: ListStatus;
  readonly block: ListStatus;
  /** Of the compiled form in force. */
  readonly bytes: number;
}

export interface ListedOptions {
  /** Undefined: until it is taken back. */
  readonly forMs?: number | undefined;
  readonly why?: string | undefined;
}

export interface ListedChange {
  readonly prefix: string;
  /** `unchanged`: it was so already. */
  readonly effect: 'added' | 'changed' | 'removed' | 'unchanged';
  readonly verdict?: ListedVerdict;
  readonly until?: string;
}

const LISTS = ['allow', 'block'] as const;
/** Before a round that failed is tried again; also the longest that a timer for the end of an entry runs. */
const AGAIN_MS = 10_000;

export class DefendLists {
  readonly #options: DefendListsOptions;
  readonly #now: () => number;
  readonly #entries: RuntimeEntries;
  readonly #compiler = new ListsCompiler();
  readonly #rounds = new Rerun(() => this.#round());
  readonly #watches = new DirectoryWatches((directory) => this.#settle(directory));
  #config: ListsConfig | undefined;
  #files: readonly ListFile[] = [];
  /** Something has changed since the last compiled form. */
  #isDirty = true;
  #bytes = 0;
  #isClosed = false;
  #intervals: NodeJS.Timeout[] = [];
  readonly #settling = new Map<string, NodeJS.Timeout>();
  #again: NodeJS.Timeout | undefined;
  #ends: NodeJS.Timeout | undefined;

  constructor(options: DefendListsOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#entries = new RuntimeEntries(options.file, options.log);
  }

  /**
   * A config is in force; undefined: nothing is listed, and what was said at runtime waits. Its files are read, as far as they have changed.
   * Resolves when all of that is in force, or has been logged as failed.
   * @param mayShrink a file may have lost more prefixes than max_shrink
   */
  async use(config: ListsConfig | undefined, mayShrink = false): Promise<void> {
    if (namesOf(config) !== namesOf(this.#config)) this.#isDirty = true;
    this.#config = config;
    const former = new Map(this.#files.map((file) => [keyOf(file), file]));
    this.#files = LISTS.flatMap((list) =>
      [...new Map(filesOf(config?.[list]).map((source) => [source.path, source])).values()].map((source) => {
        const file = former.get(keyOf({ list, path: source.path })) ?? new ListFile(list, source);
        file.reloadMs = source.reloadMs;
        if (mayShrink) file.isDue = file.mayShrink = true;
        return file;
      }),
    );
    this.#watch();
    await this.#look(this.#files);
    await this.#rounds.ask();
  }

  /** Lists a prefix. Resolves when it is in force and kept. @throws AnyhopError ERR_LIMIT; Error when it cannot be put in force */
  async list(
    prefix: IpPrefix,
    verdict: ListedVerdict,
    { forMs, why }: ListedOptions = {},
  ): Promise<ListedChange> {
    const now = this.#now();
    const before = this.#entries.get(prefix);
    const made: RuntimeEntry = {
      prefix: prefix.text,
      verdict,
      since: before?.verdict === verdict ? before.since : new Date(now).toISOString(),
      ...(forMs !== undefined && { until: new Date(now + forMs).toISOString() }),
      ...(why !== undefined && { why }),
    };
    this.#entries.set(made);
    const isNew = before?.verdict !== verdict;
    await this.#entriesChanged(isNew);
    const isSame = !isNew && before?.until === made.until && before?.why === made.why;
    const effect = before === undefined ? 'added' : isSame ? 'unchanged' : 'changed';
    return { prefix: prefix.text, effect, verdict, ...(made.until !== undefined && { until: made.until }) };
  }

  /** Takes back what was said of a prefix at runtime; what the config says of it stays. Resolves as `list` does. */
  async unlist(prefix: IpPrefix): Promise<ListedChange> {
    const wasThere = this.#entries.delete(prefix.text);
    await this.#entriesChanged(wasThere);
    return { prefix: prefix.text, effect: wasThere ? 'removed' : 'unchanged' };
  }

  entries(): readonly RuntimeEntry[] {
    return this.#entries.all();
  }

  status(): ListsStatus {
    return { allow: this.#statusOf('allow'), block: this.#statusOf('block'), bytes: this.#bytes };
  }

  /** Ends timers, watches and the worker; what is in force stays. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#watches.close();
    for (const timer of [...this.#intervals, ...this.#settling.values(), this.#again, this.#ends])
      clearTimeout(timer);
    await this.#compiler.end();
    await this.#rounds.idle();
    await this.#entries.keep();
  }

  #statusOf(list: ListedVerdict): ListStatus {
    const prefixes = prefixesOf(this.#config?.[list]);
    const files = this.#files.filter((file) => file.list === list);
    const count = (family: 4 | 6): number =>
      prefixes.filter(({ address }) => address.family === family).length +
      files.reduce((sum, file) => sum + file.prefixes[family === 4 ? 'lengths4' : 'lengths6'].length, 0);
    return {
      prefixes4: count(4),
      prefixes6: count(6),
      sources: [
        ...prefixes.map(({ text }) => ({ from: text, prefixes: 1 })),
        ...files.map(({ path, prefixes: read, loadedAt, problem }) => ({
          from: path,
          prefixes: prefixCount(read),
          ...(loadedAt !== undefined && { loadedAt }),
          ...(problem !== undefined && { problem }),
        })),
      ],
    };
  }

  async #entriesChanged(isInForce: boolean): Promise<void> {
    this.#waitForEnds();
    const kept = this.#entries.keep();
    if (isInForce) this.#isDirty = true;
    const failure = isInForce ? await this.#rounds.ask() : undefined;
    await kept;
    if (failure !== undefined) throw failure;
  }

  /** Entries whose time is over go, by the wall clock, which may jump. */
  #waitForEnds(): void {
    clearTimeout(this.#ends);
    const next = this.#entries.nextMs();
    if (next === undefined || this.#isClosed) return;
    const waitMs = Math.min(Math.max(next - this.#now(), 0), AGAIN_MS);
    this.#ends = setTimeout(() => {
      const over = this.#entries.over(this.#now());
      for (const { prefix } of over) this.#entries.delete(prefix);
      this.#entriesChanged(over.length > 0).catch(() => undefined); // logged, and tried again
    }, waitMs).unref();
  }

  #watch(): void {
    for (const interval of this.#intervals) clearInterval(interval);
    const directories = new Set(this.#files.map(({ path }) => dirname(path)));
    this.#watches.use(directories);
    this.#intervals = this.#files.map((file) =>
      setInterval(() => {
        this.#watches.use(directories);
        void this.#lookAndRead([file]);
      }, file.reloadMs).unref(),
    );
  }

  /** Something has changed in a directory; whoever writes may not be done. */
  #settle(directory: string): void {
    clearTimeout(this.#settling.get(directory));
    const files = this.#files.filter(({ path }) => dirname(path) === directory);
    const timer = setTimeout(() => {
      this.#settling.delete(directory);
      void this.#lookAndRead(files);
    }, LISTS_SETTLE_MS);
    this.#settling.set(directory, timer.unref());
  }

  async #lookAndRead(files: readonly ListFile[]): Promise<void> {
    await this.#look(files);
    if (files.some(({ isDue }) => isDue)) await this.#rounds.ask();
  }

  async #look(files: readonly ListFile[]): Promise<void> {
    await Promise.all(files.map((file) => file.look()));
  }

  /** Reads what is due, and puts what is new in force. @returns why that failed */
  async #round(): Promise<Error | undefined> {
    clearTimeout(this.#again);
    if (this.#isClosed) return undefined;
    try {
      await this.#readDue();
      if (this.#isDirty) await this.#compileAndPublish();
      this.#waitForEnds();
      return undefined;
    } catch (error) {
      if (this.#isClosed) return undefined;
      const why = reasonOf(error);
      this.#options.log.error(
        { event: 'lists_failed', why },
        `lists cannot be put in force, the former ones stay: ${why}`,
      );
      this.#again = setTimeout(() => void this.#rounds.ask(), AGAIN_MS).unref();
      return error instanceof Error ? error : new Error(why);
    } finally {
      await this.#compiler.end();
    }
  }

  async #readDue(): Promise<void> {
    const due = this.#files.filter(({ isDue }) => isDue);
    if (due.length === 0) return;
    const read = await this.#compiler.read(due.map(({ path }) => path));
    for (const [i, file] of due.entries()) {
      const { problem } = file;
      if (file.take(read[i], this.#config?.maxShrink ?? 1, this.#countWithout(file))) this.#isDirty = true;
      if (file.problem !== undefined && file.problem !== problem) this.#refused(file, file.problem);
    }
  }

  #refused({ list, path, loadedAt, prefixes }: ListFile, why: string): void {
    const stays =
      loadedAt === undefined ? 'nothing of it' : `what was read before, ${prefixCount(prefixes)} prefixes,`;
    this.#options.log.error(
      { event: 'list_refused', list, file: path, why },
      `defend.${list}: ${stays} is in force, since ${why}`,
    );
  }

  #countWithout(one: ListFile): number {
    const inConfig = LISTS.reduce((sum, list) => sum + prefixesOf(this.#config?.[list]).length, 0);
    const inFiles = this.#files.reduce(
      (sum, file) => sum + (file === one ? 0 : prefixCount(file.prefixes)),
      0,
    );
    return inConfig + inFiles + this.#entries.all().length;
  }

  async #compileAndPublish(): Promise<void> {
    const startMs = performance.now();
    this.#isDirty = false;
    try {
      const input = { allow: this.#columns('allow'), block: this.#columns('block') };
      const isEmpty = [...input.allow, ...input.block].every((prefixes) => prefixCount(prefixes) === 0);
      const compiled = isEmpty ? undefined : await this.#compiler.compile(input);
      const compileMs = performance.now() - startMs;
      await this.#options.publish(compiled && new Uint8Array(compiled));
      const former = this.#bytes;
      this.#bytes = compiled?.byteLength ?? 0;
      if (former === 0 && this.#bytes === 0) return;
      const publishMs = performance.now() - startMs - compileMs;
      const [allow, block] = [input.allow, input.block].map((list) =>
        list.reduce((sum, each) => sum + prefixCount(each), 0),
      );
      this.#options.log.info(
        { event: 'lists', allow, block, bytes: this.#bytes, compileMs, publishMs },
        `${block} blocked and ${allow} allowed prefixes are in force: compiled in ${took(compileMs)}, put in force in ${took(publishMs)}`,
      );
    } catch (error) {
      this.#isDirty = true;
      throw error;
    }
  }

  #columns(list: ListedVerdict) {
    if (this.#config === undefined) return [];
    const single = [...prefixesOf(this.#config[list]), ...this.#entries.prefixes(list)];
    return [
      PrefixColumns.of(single),
      ...this.#files.filter((file) => file.list === list).map(({ prefixes }) => prefixes),
    ];
  }
}

/** What a config names, without what it says of files. */
function namesOf(config: ListsConfig | undefined): string {
  const names = (list: readonly ListSource[]): string[] =>
    list.map((source) => (source.kind === 'file' ? source.path : source.prefix.text));
  return JSON.stringify(config && [names(config.allow), names(config.block)]);
}

function keyOf({ list, path }: Pick<ListFile, 'list' | 'path'>): string {
  return `${list} ${path}`;
}

function filesOf(sources: readonly ListSource[] = []): Extract<ListSource, { kind: 'file' }>[] {
  return sources.filter((source) => source.kind === 'file');
}

function prefixesOf(sources: readonly ListSource[] = []): IpPrefix[] {
  return sources.flatMap((source) => (source.kind === 'prefix' ? source.prefix : []));
}
