/**
 * The defence of a node: its lists, its watch over the services, and which backends take its cookies. Packets meet the rules in the image
 * (image-defence.ts); here is what tells the engine the rest, and what tells others of it.
 *
 *   files, runtime --> lists --------\
 *   counters --> watch --thresholds---> engine        agents --> takers --cookies of paths--> image
 *
 *   prepare -> (the engine starts, with the lists) -> start -> (use)* -> end -> (the engine ends) -> close
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { AgentAnswer } from '../agent/report.js';
import { ControlError } from '../api/api.js';
import type { BlockReport, DefendReport, DefendSummary, DefendTopReport } from '../api/defend.js';
import type { LoadedConfig } from '../config/types.js';
import { monotonicMs } from '../core/clock.js';
import { LISTS_START_MS_MAX } from '../core/limits.js';
import type { Logger } from '../core/log.js';
import { CookieTakers } from '../defend/takers.js';
import { DefenceWatch } from '../defend/watch.js';
import type { Engine } from '../engine/contract.js';
import { DefendLists, type ListedChange } from '../lists/defend-lists.js';
import type { IpPrefix } from '../packet/address.js';
import type { StateMember } from '../pool/states.js';
import type { Assembly } from './assemble.js';
import type { DefenceStore } from './defence-store.js';
import {
  type DefenceSources,
  defendReport,
  defendSummary,
  defendTop,
  listProblems,
  ruledServices,
} from './defend-report.js';
import { cookieFingerprint, usesCookies } from './image-defence.js';
import { requireLists, runtimeChange } from './runtime-lists.js';

const TICK_MS = 1_000;
/** What is learnt in between is lost when the process is killed. */
const KEEP_MS = 60_000;

export interface NodeDefenceOptions {
  readonly file: () => LoadedConfig<'run'>;
  readonly store: DefenceStore;
  /** Where prefixes that are blocked at runtime are kept. */
  readonly listsFile: string;
  /** Another backend takes cookies, or none any more: images are made of that. */
  readonly changed: () => void;
  /** Files may have lost more prefixes than max_shrink since the last process. */
  readonly force: boolean;
  readonly log: Logger;
}

interface Running {
  readonly engine: Engine;
  readonly assembly: () => Assembly;
  readonly watch: DefenceWatch;
  readonly timers: readonly NodeJS.Timeout[];
}

export class NodeDefence {
  readonly #options: NodeDefenceOptions;
  readonly #kept;
  readonly #takers: CookieTakers;
  readonly #lists: DefendLists;
  /** Compiled; undefined before the first. */
  #compiled: { readonly lists: Uint8Array | undefined } | undefined;
  #running: Running | undefined;
  #listsClosed: Promise<void> | undefined;
  /** What is kept at the end. */
  #watch: DefenceWatch | undefined;

  constructor(options: NodeDefenceOptions) {
    const { store, listsFile: file, log } = options;
    this.#options = options;
    this.#kept = store.read();
    this.#takers = new CookieTakers(this.#kept.takers);
    this.#lists = new DefendLists({ log, file, publish: (lists) => this.#publish(lists) });
  }

  /** Whether an image is to say that the agent of a backend takes cookies of this node. */
  readonly takesCookies = ({ agent, address }: StateMember): boolean => {
    this.#useKey();
    return agent && this.#takers.takes(address.text);
  };

  /** An agent has reported. */
  heard(address: string, { report, clockMs }: AgentAnswer): void {
    this.#useKey();
    const isNews = this.#takers.heard(address, report.cookies, clockMs, Date.now());
    if (isNews && usesCookies(this.#options.file().defend)) this.#options.changed();
  }

  /** Reads and compiles lists, for an engine that starts with them. Resolves when they are there, or have taken too long. */
  async prepare(): Promise<void> {
    const ready = this.#lists.use(this.#options.file().defend, this.#options.force);
    await Promise.race([ready, delay(LISTS_START_MS_MAX, undefined, { ref: false })]);
  }

  /** Compiled; undefined for none, and when there was no time or no way to compile them: then those in force stay. */
  get lists(): Uint8Array | undefined {
    return this.#compiled?.lists;
  }

  /** The engine runs, with these lists. Resolves when those that have come since are in force too. @param assembly in force */
  async start(engine: Engine, lists: Uint8Array | undefined, assembly: () => Assembly): Promise<void> {
    const { log } = this.#options;
    const clocks = () => ({ monotonicMs: monotonicMs(), wallMs: Date.now() });
    const watch = new DefenceWatch({ engine, clocks, kept: this.#kept.watch, log });
    const timers = [setInterval(() => this.tick(), TICK_MS), setInterval(() => void this.keep(), KEEP_MS)];
    for (const timer of timers) timer.unref();
    this.#running = { engine, assembly, watch, timers };
    this.#watch = watch;
    this.tick();
    // What a former process left in force is not what this one lists, also when that is nothing.
    if (this.#compiled !== undefined && (lists === undefined || lists !== this.#compiled.lists))
      await this.#publish(this.#compiled.lists);
  }

  /**
   * Another config is in force.
   * @param force lists may have lost more prefixes than max_shrink
   * @returns what is wrong with its lists
   */
  async use(force: boolean): Promise<string[]> {
    const { defend, pools } = this.#options.file();
    this.#takers.keep(new Set(pools.flatMap(({ backends }) => backends.map(({ address }) => address.text))));
    await this.#lists.use(defend, force);
    return listProblems(this.#lists.status());
  }

  tick(): void {
    if (this.#running === undefined) return;
    const { watch, assembly } = this.#running;
    const isNews = watch.tick(ruledServices({ assembly: assembly() }));
    // The process may be killed: the next one must neither end an attack again nor miss one.
    if (isNews) void this.keep();
  }

  async keep(): Promise<void> {
    if (this.#watch === undefined) return;
    await this.#options.store.write({ watch: this.#watch.kept, takers: this.#takers.kept });
  }

  /** Undefined until the node forwards, and when it ends. */
  measures(): DefenceSources | undefined {
    return this.#running && this.#sources();
  }

  /** @throws ControlError 503 when the node ends */
  report(): DefendReport {
    return defendReport(this.#sources());
  }

  /** Undefined when no service has rules, and when the node ends. */
  summary(): DefendSummary | undefined {
    return this.#running && defendSummary(this.#sources());
  }

  /** @throws ControlError 503 when the node ends */
  top(): DefendTopReport {
    const { engine, assembly } = this.#started;
    return defendTop(engine.defence.heavySources(), assembly());
  }

  /** @throws ControlError 409 or 503 */
  async list(
    prefixes: readonly IpPrefix[],
    verdict: 'block' | 'allow',
    said: { readonly forMs?: number | undefined; readonly why?: string | undefined },
  ): Promise<BlockReport> {
    requireLists(this.#options.file());
    return this.#report(() => this.#lists.list(eachOnce(prefixes), verdict, said));
  }

  /** @throws ControlError 409 or 503 */
  async unlist(prefixes: readonly IpPrefix[]): Promise<BlockReport> {
    return this.#report(() => this.#lists.unlist(eachOnce(prefixes)));
  }

  /** The engine is about to end: nobody asks it any more. */
  end(): void {
    for (const timer of this.#running?.timers ?? []) clearInterval(timer);
    this.#running = undefined;
    this.#listsClosed ??= this.#lists.close();
  }

  async close(): Promise<void> {
    this.end();
    await Promise.all([this.keep(), this.#listsClosed]);
  }

  get #started(): Running {
    if (this.#running !== undefined) return this.#running;
    throw new ControlError(503, 'ERR_ENDING', 'the node ends');
  }

  async #report(change: () => Promise<ListedChange[]>): Promise<BlockReport> {
    const changes = await runtimeChange(change);
    const { unkept } = this.#lists;
    return {
      changes,
      warnings: unkept === undefined ? [] : [`this will not survive a restart of the node: ${unkept}`],
    };
  }

  #sources(): DefenceSources {
    const { engine, assembly, watch } = this.#started;
    this.#useKey();
    return {
      file: this.#options.file(),
      assembly: assembly(),
      guarded: engine.defence.guarded(),
      watch,
      lists: this.#lists.status(),
      entries: this.#lists.entries(),
      whyNoCookies: (address: string) => this.#takers.whyNot(address),
    };
  }

  /** @returns whether they are in force; otherwise the engine starts with them */
  async #publish(lists: Uint8Array | undefined): Promise<boolean> {
    this.#compiled = { lists };
    if (this.#running === undefined) return false;
    await this.#running.engine.defence.publishLists(lists);
    return true;
  }

  #useKey(): void {
    const { defend, node } = this.#options.file();
    this.#takers.use(cookieFingerprint(defend, node));
  }
}

function eachOnce(prefixes: readonly IpPrefix[]): IpPrefix[] {
  return [...new Map(prefixes.map((prefix) => [prefix.text, prefix])).values()];
}
