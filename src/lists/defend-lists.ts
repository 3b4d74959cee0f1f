/**
 * The lists `allow` and `block` of a node: prefixes of the config, files that are watched, and what somebody says at runtime. All of them
 * together are compiled in a worker and published as one.
 *
 *     config ------------------\
 *     files --watch, interval---> due? --read--> good? --> compile --> publish --> keep what is new of files
 *     runtime entries ---------/                  | no
 *                                                 +--> the former stays, or at the start what was kept of it, with the reason
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
import { clockTime, formatDuration } from '../core/time.js';
import type { IpPrefix } from '../packet/address.js';
import { PrefixColumns, prefixCount } from './columns.js';
import { ListsCompiler } from './compiler.js';
import { DirectoryWatches } from './directory-watches.js';
import { KeptFiles } from './kept-files.js';
import { keyOf, ListFile } from './list-file.js';
import { type ListsStatus, listsStatus, prefixesOf } from './lists-status.js';
import { type ListedVerdict, RuntimeEntries, type RuntimeEntry } from './runtime-entries.js';

export interface DefendListsOptions {
  readonly log: Logger;
  /** Where what is said at runtime is kept, and beside it what was read of files; undefined: it ends with the process. */
  readonly file: string | undefined;
  /** Puts compiled lists in force, undefined for none. One at a time. @returns once they are, or false: they will be, with what starts */
  readonly publish: (compiled: Uint8Array | undefined) => Promise<boolean>;
  /** Wall clock, in ms. */
  readonly now?: () => number;
}

export type ListsConfig = Pick<DefendConfig, 'allow' | 'block' | 'maxShrink'>;

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
  /** Of what was read of files. */
  readonly #kept: KeptFiles | undefined;
  readonly #compiler = new ListsCompiler();
  readonly #rounds = new Rerun(() => this.#round());
  readonly #watches = new DirectoryWatches((directory) => this.#settle(directory));
  #config: ListsConfig | undefined;
  #files: readonly ListFile[] = [];
  /** Something has changed since the last compiled form. */
  #isDirty = true;
  #bytes = 0;
  /** Why the last round failed; undefined when it did not. */
  #failure: string | undefined;
  #isClosed = false;
  #intervals: NodeJS.Timeout[] = [];
  readonly #settling = new Map<string, NodeJS.Timeout>();
  #again: NodeJS.Timeout | undefined;
  #ends: NodeJS.Timeout | undefined;

  constructor(options: DefendListsOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#entries = new RuntimeEntries(options.file, options.log);
    this.#kept = options.file === undefined ? undefined : new KeptFiles(options.file, options.log);
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
        const file =
          former.get(keyOf({ list, path: source.path })) ??
          new ListFile(list, source, this.#kept?.fileOf(list, source.path));
        file.reloadMs = source.reloadMs;
        if (mayShrink) file.isDue = file.mayShrink = true;
        return file;
      }),
    );
    this.#watch();
    await this.#look(this.#files);
    await this.#rounds.ask();
    if (!this.#isClosed) await this.#kept?.forgetAllBut(this.#files);
  }

  /**
   * Lists prefixes, each of them once. Resolves when they are in force and kept.
   * @throws AnyhopError ERR_LIMIT, and nothing is changed; Error when they cannot be put in force
   */
  async list(
    prefixes: readonly IpPrefix[],
    verdict: ListedVerdict,
    { forMs, why }: ListedOptions = {},
  ): Promise<ListedChange[]> {
    const now = this.#now();
    const changes = prefixes.map((prefix) => {
      const before = this.#entries.get(prefix);
      const made: RuntimeEntry = {
        prefix: prefix.text,
        verdict,
        since: before?.verdict === verdict ? before.since : new Date(now).toISOString(),
        ...(forMs !== undefined && { until: new Date(now + forMs).toISOString() }),
        ...(why !== undefined && { why }),
      };
      return { before, made };
    });
    this.#entries.set(changes.map(({ made }) => made));
    await this.#entriesChanged(changes.some(({ before }) => before?.verdict !== verdict));
    return changes.map(({ before, made: { prefix, until, why } }) => {
      const isSame = before?.verdict === verdict && before.until === until && before.why === why;
      const effect = before === undefined ? 'added' : isSame ? 'unchanged' : 'changed';
      return { prefix, effect, verdict, ...(until !== undefined && { until }) };
    });
  }

  /** Takes back what was said of prefixes at runtime; what the config says of them stays. Resolves as `list` does. */
  async unlist(prefixes: readonly IpPrefix[]): Promise<ListedChange[]> {
    const changes = prefixes.map(({ text: prefix }): ListedChange => {
      const wasThere = this.#entries.delete(prefix);
      return { prefix, effect: wasThere ? 'removed' : 'unchanged' };
    });
    await this.#entriesChanged(changes.some(({ effect }) => effect === 'removed'));
    return changes;
  }

  /** Why what is said at runtime will not survive a restart; undefined when it will. */
  get unkept(): string | undefined {
    return this.#entries.problem;
  }

  entries(): readonly RuntimeEntry[] {
    return this.#entries.all();
  }

  status(): ListsStatus {
    return {
      ...listsStatus(this.#config, this.#files),
      bytes: this.#bytes,
      ...(this.#failure !== undefined && { problem: this.#failure }),
    };
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
      this.#entriesChanged(this.#dropOver()).catch(() => undefined); // logged, and tried again
    }, waitMs).unref();
  }

  /** @returns whether there were some */
  #dropOver(): boolean {
    const over = this.#entries.over(this.#now());
    for (const { prefix } of over) this.#entries.delete(prefix);
    return over.length > 0;
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
      if (this.#dropOver()) this.#isDirty = true;
      if (this.#isDirty) await this.#compileAndPublish();
      this.#failure = undefined;
      this.#waitForEnds();
      await this.#kept?.keep(this.#files, this.#compiler);
      return undefined;
    } catch (error) {
      if (this.#isClosed) return undefined;
      const why = reasonOf(error);
      if (why !== this.#failure)
        this.#options.log.error(
          { event: 'lists_failed', why },
          `lists cannot be put in force, the former ones stay; tried again every ${formatDuration(AGAIN_MS)}: ${why}`,
        );
      this.#failure = why;
      this.#again = setTimeout(() => void this.#rounds.ask(), AGAIN_MS).unref();
      return error instanceof Error ? error : new Error(why);
    } finally {
      await this.#compiler.end();
    }
  }

  async #readDue(): Promise<void> {
    const due = this.#files.filter(({ isDue }) => isDue);
    if (due.length === 0) return;
    const read = await this.#compiler.read(due.map(({ toRead }) => toRead));
    for (const [i, file] of due.entries()) {
      const { problem } = file;
      const { formerProblem: why } = read[i];
      if (why !== undefined)
        this.#options.log.warn(
          { event: 'state_unusable', file: file.path, why },
          `${why}; what was in force of ${file.path} before is not known`,
        );
      if (file.take(read[i], this.#config?.maxShrink ?? 1, this.#countWithout(file))) this.#isDirty = true;
      if (file.problem !== undefined && file.problem !== problem) this.#refused(file, file.problem);
    }
  }

  #refused({ list, path, loadedAt, prefixes }: ListFile, why: string): void {
    const stays =
      loadedAt === undefined
        ? 'nothing of it is in force'
        : `what it had at ${clockTime(loadedAt)} stays in force (prefixes: ${prefixCount(prefixes)})`;
    this.#options.log.error(
      { event: 'list_refused', list, file: path, why },
      `defend.${list}: ${stays}, since ${why}`,
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
      const isInForce = await this.#options.publish(compiled && new Uint8Array(compiled));
      const former = this.#bytes;
      this.#bytes = compiled?.byteLength ?? 0;
      if (former === 0 && this.#bytes === 0) return;
      const publishMs = performance.now() - startMs - compileMs;
      const [allow, block] = [input.allow, input.block].map((list) =>
        list.reduce((sum, each) => sum + prefixCount(each), 0),
      );
      this.#options.log.info(
        { event: 'lists', allow, block, bytes: this.#bytes, compileMs, publishMs },
        isInForce
          ? `${block} blocked and ${allow} allowed prefixes are in force: compiled in ${took(compileMs)}, put in force in ${took(publishMs)}`
          : `${block} blocked and ${allow} allowed prefixes are in force from the first packet on: compiled in ${took(compileMs)}`,
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

function filesOf(sources: readonly ListSource[] = []): Extract<ListSource, { kind: 'file' }>[] {
  return sources.filter((source) => source.kind === 'file');
}
