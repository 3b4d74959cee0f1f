/**
 * The defence of a node: its lists, its watch over the services, and which backends take its cookies. Packets meet the rules in the image
 * (image-defence.ts); here is what tells the engine the rest, and what tells others of it.
 *
 *   files, runtime --> lists --------\
 *   counters --> watch --thresholds---> engine        agents --> takers --cookies of paths--> image
 */
import type { AgentAnswer } from '../agent/report.js';
import type { BlockReport, DefendReport, DefendSummary, DefendTopReport } from '../api/defend.js';
import type { LoadedConfig } from '../config/types.js';
import { monotonicMs } from '../core/clock.js';
import type { Logger } from '../core/log.js';
import { CookieTakers } from '../defend/takers.js';
import { DefenceWatch } from '../defend/watch.js';
import type { Engine } from '../engine/contract.js';
import { DefendLists } from '../lists/defend-lists.js';
import type { IpPrefix } from '../packet/address.js';
import type { StateMember } from '../pool/states.js';
import type { Assembly } from './assemble.js';
import type { DefenceStore } from './defence-store.js';
import {
  type DefenceSources,
  defendReport,
  defendSummary,
  defendTop,
  ruledServices,
} from './defend-report.js';
import { cookieFingerprint } from './image-defence.js';
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
  #running: Running | undefined;

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
    if (isNews && this.#usesCookies()) this.#options.changed();
  }

  /** The engine runs. Resolves when its lists are in force. @param assembly in force */
  async start(engine: Engine, assembly: () => Assembly): Promise<void> {
    const { log } = this.#options;
    const clocks = () => ({ monotonicMs: monotonicMs(), wallMs: Date.now() });
    const watch = new DefenceWatch({ engine, clocks, kept: this.#kept.watch, log });
    const timers = [setInterval(() => this.tick(), TICK_MS), setInterval(() => void this.keep(), KEEP_MS)];
    for (const timer of timers) timer.unref();
    this.#running = { engine, assembly, watch, timers };
    this.tick();
    await this.#lists.use(this.#options.file().defend);
  }

  /** Another config is in force. @param force lists may have lost more prefixes than max_shrink */
  async use(force: boolean): Promise<void> {
    const { defend, pools } = this.#options.file();
    this.#takers.keep(new Set(pools.flatMap(({ backends }) => backends.map(({ address }) => address.text))));
    if (this.#running !== undefined) await this.#lists.use(defend, force);
  }

  tick(): void {
    if (this.#running === undefined) return;
    const { watch, assembly } = this.#running;
    watch.tick(ruledServices({ assembly: assembly() }));
  }

  async keep(): Promise<void> {
    if (this.#running === undefined) return;
    const { watch } = this.#running;
    await this.#options.store.write({ watch: watch.kept, takers: this.#takers.kept });
  }

  /** Undefined until the node forwards. */
  measures(): DefenceSources | undefined {
    return this.#running && this.#sources();
  }

  report(): DefendReport {
    return defendReport(this.#sources());
  }

  /** Undefined when no service has rules. */
  summary(): DefendSummary | undefined {
    return defendSummary(this.#sources());
  }

  top(): DefendTopReport {
    const { engine, assembly } = this.#running!;
    return defendTop(engine.defence.heavySources(), assembly());
  }

  /** @throws ControlError 409 */
  list(
    prefix: IpPrefix,
    verdict: 'block' | 'allow',
    said: { readonly forMs?: number | undefined; readonly why?: string | undefined },
  ): Promise<BlockReport> {
    requireLists(this.#options.file());
    return runtimeChange(() => this.#lists.list(prefix, verdict, said));
  }

  /** @throws ControlError 409 */
  unlist(prefix: IpPrefix): Promise<BlockReport> {
    return runtimeChange(() => this.#lists.unlist(prefix));
  }

  async close(): Promise<void> {
    for (const timer of this.#running?.timers ?? []) clearInterval(timer);
    await this.keep();
    await this.#lists.close();
  }

  #sources(): DefenceSources {
    const { engine, assembly, watch } = this.#running!;
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

  async #publish(lists: Uint8Array | undefined): Promise<void> {
    await this.#running?.engine.defence.publishLists(lists);
  }

  #useKey(): void {
    const { defend, node } = this.#options.file();
    this.#takers.use(cookieFingerprint(defend, node));
  }

  #usesCookies(): boolean {
    const { defend } = this.#options.file();
    return [...(defend?.rules.values() ?? [])].some(({ synCookies }) => synCookies !== undefined);
  }
}
