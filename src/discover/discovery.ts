/**
 * Keeps the backends of pools with `backends_from` what their sources say, as far as they are to be believed:
 *
 *   sources --> debounce --> decide --> the host's way of changing a config     node: its queue; fleet: a revision
 *
 * One change at a time, of all pools together. What would have to wait for earlier changes is not begun: it is decided anew when it need
 * not, so that an operator's change never waits behind one that nobody asked for.
 */
import { isDeepStrictEqual } from 'node:util';
import type { FoundPools } from '../config/edit/found.js';
import type { PoolConfig } from '../config/types.js';
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import { Rerun } from '../core/rerun.js';
import type { Source } from './answer.js';
import { type Alarm, type Decision, decide, standingOf } from './decide.js';
import { type RecentStates, windowOf } from './recent.js';
import { sourceOf } from './sources/sources.js';
import { SourceWatch } from './watch.js';

export interface DiscoveryHost {
  /** As the config in force has them. */
  pools(): readonly PoolConfig[];
  /** Whether the drain of a backend is done. */
  isDrained(pool: string, backend: string): boolean;
  /** Pools and states that it has seen. */
  readonly recent: RecentStates;
  /**
   * Puts other backends in force.
   * @returns what that would have to wait for, in words; empty when they are in force
   * @throws when they are refused; nothing was changed
   */
  apply(found: FoundPools, changes: readonly string[]): Promise<readonly string[]>;
}

export interface DiscoveryStatus {
  readonly pool: string;
  readonly source: string;
  readonly answeredAt: string | null;
  /** How many backends the last answer had; null before the first one. */
  readonly backends: number | null;
  readonly alarm?: { readonly kind: Alarm['kind']; readonly text: string; readonly since: string };
  /** What a change waits for. */
  readonly waits?: readonly string[];
}

export interface DiscoveryOptions {
  readonly host: DiscoveryHost;
  readonly log: Logger;
  readonly source?: (config: NonNullable<PoolConfig['backendsFrom']>) => Source;
  readonly now?: () => number;
}

/** How often it looks whether a drain is done, or what waited need not any more. */
const LOOK_MS = 1_000;
/** After a change that was refused, or would have had to wait: a config of 1,000 backends takes 200 ms to plan. */
const RETRY_MS = 5_000;

interface Watched {
  readonly config: NonNullable<PoolConfig['backendsFrom']>;
  readonly watch: SourceWatch;
  alarm: { readonly alarm: Alarm; readonly since: string } | undefined;
  waits: readonly string[];
}

interface Decided {
  readonly pool: string;
  readonly watched: Watched;
  readonly decision: Decision;
}

export class Discovery {
  readonly #options: DiscoveryOptions;
  readonly #now: () => number;
  readonly #watched = new Map<string, Watched>();
  readonly #looks = new Rerun(() => this.#look());
  readonly #timer: NodeJS.Timeout;
  #notBeforeMs = 0;
  /** By pool. */
  readonly #refused = new Map<string, Alarm>();
  #isClosed = false;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#timer = setInterval(() => void this.#looks.ask(), LOOK_MS).unref();
    void this.#looks.ask();
  }

  get status(): DiscoveryStatus[] {
    return [...this.#watched].map(([pool, { watch, alarm, waits }]) => ({
      pool,
      source: watch.words,
      answeredAt: watch.answeredAt?.toISOString() ?? null,
      backends: watch.found?.length ?? null,
      ...(alarm && { alarm: { ...alarm.alarm, since: alarm.since } }),
      ...(waits.length > 0 && { waits }),
    }));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await Promise.all([...this.#watched.values()].map(({ watch }) => watch.close()));
    await this.#looks.idle();
  }

  async #look(): Promise<void> {
    if (this.#isClosed) return;
    const { host } = this.#options;
    const pools = host.pools().filter(({ backendsFrom }) => backendsFrom !== undefined);
    this.#follow(pools);
    host.recent.saw(pools);
    const decided = pools.flatMap((pool): Decided[] => {
      const watched = this.#watched.get(pool.name)!;
      const decision = this.#decide(pool, watched);
      return decision === undefined ? [] : [{ pool: pool.name, watched, decision }];
    });
    const changed = decided.filter(({ decision }) => decision.changes.length > 0);
    for (const { pool, watched, decision } of decided) {
      if (decision.changes.length > 0) continue;
      this.#refused.delete(pool);
      watched.waits = [];
    }
    if (changed.length > 0 && this.#now() >= this.#notBeforeMs) await this.#applyAll(changed);
    for (const { pool, watched, decision } of decided)
      this.#alarm(pool, watched, this.#refused.get(pool) ?? decision.alarm);
  }

  /** Watches the sources of these pools and no others. */
  #follow(pools: readonly PoolConfig[]): void {
    const wanted = new Map(pools.map((pool) => [pool.name, pool.backendsFrom!]));
    for (const [name, { config, watch }] of this.#watched) {
      if (isDeepStrictEqual(wanted.get(name), config)) continue;
      this.#watched.delete(name);
      void watch.close();
    }
    const { host, source = sourceOf } = this.#options;
    for (const [name, config] of wanted) {
      if (this.#watched.has(name)) continue;
      const known = (): string[] =>
        host
          .pools()
          .find((pool) => pool.name === name)
          ?.backends.map((one) => one.name) ?? [];
      const heard = (): void => {
        void this.#looks.ask();
        setTimeout(() => void this.#looks.ask(), config.debounceMs + 1).unref();
      };
      const watch = new SourceWatch({ source: source(config), config, known, heard, now: this.#now });
      this.#watched.set(name, { config, watch, alarm: undefined, waits: [] });
    }
  }

  /** Undefined while there is nothing to say. */
  #decide(pool: PoolConfig, { config, watch }: Watched): Decision | undefined {
    const { host } = this.#options;
    const inForce = standingOf(pool.backends);
    if (watch.failure !== undefined)
      return { next: inForce, changes: [], alarm: { kind: 'no_answer', text: watch.failure } };
    const holds = watch.holds();
    if (watch.found === undefined || holds === undefined) return undefined;
    return decide({
      inForce,
      recent: host.recent.of(pool.name, windowOf(pool)),
      found: watch.found,
      limits: config,
      holds,
      isDrained: (backend) => host.isDrained(pool.name, backend),
    });
  }

  /** Together; and when that is refused, each pool alone, so that one does not hold up the others. */
  async #applyAll(changed: readonly Decided[]): Promise<void> {
    if (await this.#apply(changed)) return;
    if (changed.length > 1) for (const each of changed) await this.#apply([each]);
  }

  /** @returns whether it was not refused */
  async #apply(changed: readonly Decided[]): Promise<boolean> {
    const { host, log } = this.#options;
    const found = new Map(changed.map(({ pool, decision }) => [pool, decision.next]));
    const changes = changed.flatMap(({ pool, decision }) =>
      decision.changes.map((each) => `${pool}: ${each}`),
    );
    try {
      const waits = await host.apply(found, changes);
      for (const { pool, watched } of changed) {
        this.#refused.delete(pool);
        watched.waits = waits;
      }
      if (waits.length > 0) this.#notBeforeMs = this.#now() + RETRY_MS;
      else log.info({ event: 'discovered', changes }, `backends were found or lost: ${changes.join('; ')}`);
      return true;
    } catch (error) {
      this.#notBeforeMs = this.#now() + RETRY_MS;
      const text = `${changes.join('; ')} is refused: ${reasonOf(error)}`;
      for (const { pool } of changed) this.#refused.set(pool, { kind: 'refused', text });
      return false;
    }
  }

  #alarm(pool: string, watched: Watched, alarm: Alarm | undefined): void {
    const { log } = this.#options;
    const before = watched.alarm;
    if (alarm === undefined) {
      if (before === undefined) return;
      watched.alarm = undefined;
      log.info(
        { event: 'discovery_well', pool },
        `the source of the pool ${pool} is believed again (${watched.watch.words})`,
      );
      return;
    }
    const isNew = before?.alarm.kind !== alarm.kind;
    watched.alarm = { alarm, since: isNew ? new Date().toISOString() : before.since };
    if (isNew)
      log.warn(
        { event: 'discovery_alarm', pool, kind: alarm.kind, source: watched.watch.words },
        `the answer for the pool ${pool} is not followed (${watched.watch.words}): ${alarm.text}`,
      );
  }
}
