/**
 * A large fleet with a store, simulated from event to event. The rules are the program's own (pool/, table/, fleet/agreed.ts, the flow
 * hash, the keys); only the messages of the two phases are times (operator.ts), so that a thousand nodes with ten thousand backends take
 * minutes. Nodes that know the same share it (shared-pool.ts). The seed determines everything.
 *
 *   events.ts ---> operator.ts (two phases), sight.ts (health) ---> nodes.ts (what each knows; ready?) ---> router
 *                                                                                                           |
 *                    what is broken, and why <--- traffic.ts: a packet of every flow, before and after <----+
 *                    how long tables differ, and why <--- differences.ts
 */
import type { BackendConfig, PoolConfig } from '../../config/types.js';
import { TABLE_SIZE_DEFAULT } from '../../core/limits.js';
import { memberOf, POOL } from '../fleet.js';
import { BackendIds } from '../scheme.js';
import { Agenda } from './agenda.js';
import { Differences } from './differences.js';
import { type EventsOf, scheduleEvents } from './events.js';
import { Nodes } from './nodes.js';
import { type Changes, Operator } from './operator.js';
import { BACKENDS_OF_POOL, KINDS, type Kind, type LargeOptions } from './options.js';
import { CLOCK_MS, SharedPool, type View } from './shared-pool.js';
import { Sight } from './sight.js';
import { LARGE_SCHEMES, Traffic } from './traffic.js';

const SECOND_MS = 1000;

/** How often what nobody is in is forgotten. */
const TIDY_MS = 10_000;

export interface LargeRow {
  readonly kind: Kind;
  readonly events: number;
  /** How often tables differed between next hops of the router because of it, and for how long. */
  readonly differed: number;
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly totalMs: number;
  /** Connections, by scheme. */
  readonly broken: Readonly<Record<string, number>>;
  /** Times that a node became not ready. */
  readonly withdrawals: number;
}

export interface LargeReport {
  readonly pools: number;
  readonly rows: readonly LargeRow[];
  /** While tables of any pool differed. */
  readonly differedMs: number;
  /** Connections that were opened. */
  readonly opened: number;
  readonly silent: number;
  readonly died: number;
  readonly secondHops: number;
  readonly changes: Changes;
  /** How many different things nodes knew of a pool, and how many tables were made. */
  readonly states: number;
  readonly tables: number;
}

export interface LargeProgress {
  readonly nowMs: number;
  readonly changes: number;
  readonly tables: number;
}

export function simulateLarge(options: LargeOptions, progress?: (done: LargeProgress) => void): LargeReport {
  const simulation = new LargeSimulation(options, progress);
  scheduleEvents(simulation.parts, options);
  return simulation.run();
}

/** One in which nothing happens by itself but what the options say of members, changes and checks. */
export class LargeSimulation {
  readonly #options: LargeOptions;
  readonly #progress: (done: LargeProgress) => void;
  readonly #agenda = new Agenda();
  readonly #ids = new BackendIds();
  readonly #crashed = new Set<string>();
  readonly #events = new Map<Kind, number>();
  readonly #pools: readonly SharedPool[];
  readonly #traffic: Traffic;
  readonly #nodes: Nodes;
  readonly #differences: Differences;
  readonly #operator: Operator;
  #members = 0;
  /** Of which events are made. */
  readonly parts: EventsOf;

  constructor(options: LargeOptions, progress: (done: LargeProgress) => void = () => undefined) {
    this.#options = options;
    this.#progress = progress;
    const files = this.#files();
    this.#traffic = new Traffic(options, files.length, this.#ids, this.#crashed);
    const hasConnections = (backend: string): boolean => this.#traffic.hasConnections(backend);
    this.#pools = files.map(() => new SharedPool(hasConnections, this.#ids));
    this.#nodes = new Nodes(this.#agenda, this.#pools, files, options.nodes);
    this.#differences = new Differences(files.length);
    const sight = new Sight(this.#nodes, this.#agenda, options);
    this.#operator = new Operator(this.#nodes, this.#agenda, options, (pool, kinds, kind) =>
      this.#differences.blame(pool, kinds, kind, this.#agenda.nowMs),
    );
    this.parts = {
      nodes: this.#nodes,
      sight,
      operator: this.#operator,
      agenda: this.#agenda,
      memberOf: (pool) => {
        const member = this.#member(pool);
        sight.knows(member.name, pool, this.#nodes.head.number + 1);
        return member;
      },
      crashed: this.#crashed,
      die: (name) => {
        this.#crashed.add(name);
        this.#traffic.die(name);
      },
      revive: (name) => {
        this.#crashed.delete(name);
        // It resets what it does not know, where it is still the owner.
        this.#send('recovery');
      },
      count: (kind) => this.#events.set(kind, (this.#events.get(kind) ?? 0) + 1),
    };
  }

  run(): LargeReport {
    const { endMs } = this.#options;
    this.#traffic.start(this.#nodes.routed);
    this.#agenda.at(SECOND_MS, () => this.#second());
    while (this.#agenda.nextMs <= endMs) {
      this.#agenda.step();
      this.#look();
    }
    this.#differences.end(endMs);
    return this.#report();
  }

  /** Each second time passes on the nodes, and clients come and go. */
  #second(): void {
    const { nowMs } = this.#agenda;
    this.#nodes.pass();
    this.#pass();
    if (nowMs % TIDY_MS === 0) this.#nodes.tidy();
    this.#progress({ nowMs, changes: this.#operator.changes.applied, tables: this.#tables });
    this.#agenda.in(SECOND_MS, () => this.#second());
  }

  /** Connections that were opened before a change are opened by what was in force until then. */
  #pass(): void {
    const { nowMs } = this.#agenda;
    this.#traffic.pass(nowMs);
    this.#send('settling');
  }

  /** @param kind why connections break where tables are the same */
  #send(kind: Kind): void {
    this.#traffic.send(this.#agenda.nowMs, (pool) => this.#differences.kindOf(pool) ?? kind);
  }

  /** What has changed in this step? */
  #look(): void {
    const { touched, rerouted } = this.#nodes;
    if (touched.size === 0 && rerouted === undefined) return;
    const { nowMs } = this.#agenda;
    this.#pass();
    const { routed } = this.#nodes;
    if (rerouted === undefined) this.#traffic.look(routed);
    else this.#traffic.route(routed);
    const kinds = new Map(touched);
    for (const pool of this.#pools.keys()) {
      const kind = touched.get(pool) ?? rerouted;
      if (kind === undefined) continue;
      kinds.set(pool, kind);
      const views = new Set<View>();
      for (const node of routed) views.add(node.views[pool]);
      const was = this.#differences.kindOf(pool);
      this.#differences.look(pool, views, kind, nowMs);
      // The last packets before tables are the same again may be those that break.
      kinds.set(pool, was ?? kind);
    }
    this.#traffic.send(nowMs, (pool) => this.#differences.kindOf(pool) ?? kinds.get(pool) ?? 'settling');
    touched.clear();
    this.#nodes.rerouted = undefined;
  }

  #files(): PoolConfig[] {
    const { backends, slots = TABLE_SIZE_DEFAULT } = this.#options;
    // A clock that is ahead by less than a second forgets nothing too early.
    const settleMs = this.#options.settleMs + CLOCK_MS;
    const pools = Math.ceil(backends / BACKENDS_OF_POOL);
    return Array.from({ length: pools }, (_, i) => {
      const count = Math.floor(((i + 1) * backends) / pools) - Math.floor((i * backends) / pools);
      const members = Array.from({ length: count }, () => this.#member(i));
      return {
        ...POOL,
        name: `pool-${i + 1}`,
        tableSize: slots,
        settleMs,
        deadAfterMs: settleMs,
        backends: members,
      };
    });
  }

  #member(pool: number): BackendConfig {
    const id = ++this.#members;
    return memberOf(`web-${pool + 1}-${id}`, id);
  }

  get #tables(): number {
    return this.#pools.reduce((sum, { tables }) => sum + tables, 0);
  }

  #report(): LargeReport {
    const [counts] = this.#traffic.counts;
    const { silent, died, secondHops } = counts;
    return {
      pools: this.#pools.length,
      rows: KINDS.map((kind) => this.#row(kind)),
      differedMs: this.#differences.anyMs,
      opened: this.#traffic.begun,
      silent,
      died,
      secondHops,
      changes: this.#operator.changes,
      states: this.#pools.reduce((sum, { views }) => sum + views, 0),
      tables: this.#tables,
    };
  }

  #row(kind: Kind): LargeRow {
    const timesMs = [...(this.#differences.timesMs.get(kind) ?? [])];
    const events = this.#events.get(kind) ?? 0;
    // An event after which no tables differed is one of no time.
    const sorted = [...timesMs, ...new Array<number>(Math.max(0, events - timesMs.length)).fill(0)].sort(
      (a, b) => a - b,
    );
    const quantile = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
    return {
      kind,
      events,
      differed: timesMs.length,
      medianMs: quantile(0.5),
      p99Ms: quantile(0.99),
      maxMs: sorted.at(-1) ?? 0,
      totalMs: timesMs.reduce((a, b) => a + b, 0),
      broken: Object.fromEntries(
        LARGE_SCHEMES.map(({ name }, i) => [name, this.#traffic.broken[i].get(kind) ?? 0]),
      ),
      withdrawals: this.#nodes.withdrawals.get(kind) ?? 0,
    };
  }
}
