/**
 * The simulation: a fleet, a list of events, and the same flows under several schemes, tick by tick. The program's own code
 * decides (tables, keys, remembered states, queues, flow hash); the seed determines flows and router.
 */
import type { FleetConfig } from '../config/fleet/types.js';
import type { NamedStates } from '../pool/states.js';
import { Clients } from './clients.js';
import { eventText, type SimEvent } from './event.js';
import { Fleet } from './fleet.js';
import { type FlowCounts, Flows } from './flows.js';
import type { SimNode } from './node.js';
import { BackendIds, type Builder, type Lookup, type Scheme } from './scheme.js';

export interface SimOptions {
  readonly seed: number;
  readonly backends: number;
  readonly nodes: number;
  /** Open at any moment: one begins when another ends. */
  readonly flows: number;
  readonly slots: number;
  readonly settleMs: number;
  /** Whose views of the backends nodes go by; `own` if absent. */
  readonly views?: FleetConfig['views'];
  /** Longest life of a flow; lives are evenly spread. */
  readonly lifetimeMs: number;
  readonly tickMs: number;
  readonly events: readonly SimEvent[];
  /** The agents that nodes ask count the connections of the first. */
  readonly schemes: readonly Scheme[];
  /** Called for each connection that breaks, with what a law needs to judge it. */
  readonly onBreak?: (event: SimBreak) => void;
}

export interface SimBreak {
  readonly scheme: string;
  readonly nowMs: number;
  readonly flow: number;
  /** How many of `changesAtMs` came before the connection was opened. */
  readonly changesBefore: number;
  /** Times at which a state in force changed on any node, oldest first. */
  readonly changesAtMs: readonly number[];
  /** Last time at which two next hops of the router had different states, present or remembered. */
  readonly dividedAtMs: number;
}

export interface SimRow {
  readonly event: string;
  readonly atMs: number;
  /** By scheme. */
  readonly counts: Readonly<Record<string, Readonly<FlowCounts>>>;
}

export interface SimReport {
  readonly flows: number;
  readonly schemes: readonly string[];
  readonly rows: readonly SimRow[];
  readonly endMs: number;
}

/** @throws AnyhopError ERR_USAGE for an event that cannot happen in its turn */
export function simulate(options: SimOptions): SimReport {
  return new Simulation(options).run();
}

/** Bounds a `settle`: more than a full queue needs, with a settle time for each change. */
const SETTLE_TIMES_MAX = 100;

class Simulation {
  readonly #options: SimOptions;
  readonly #fleet: Fleet;
  readonly #ids = new BackendIds();
  readonly #schemes: readonly Flows[];
  readonly #clients: Clients;
  readonly #rows: SimRow[] = [];
  readonly #changesAtMs: number[] = [];
  readonly #built = new Map<Builder, Map<string, Lookup>>();
  readonly #lookups = new Map<Builder, Lookup[]>();
  #dividedAtMs = Number.NEGATIVE_INFINITY;
  #nowMs = 0;
  #live: readonly SimNode[] = [];

  constructor(options: SimOptions) {
    this.#options = options;
    this.#schemes = options.schemes.map((scheme) => new Flows(scheme, options.flows));
    const [counted] = this.#schemes;
    this.#fleet = new Fleet(options, (backend) => counted.hasSocket(this.#ids.of(backend)));
    this.#clients = new Clients(options);
  }

  run(): SimReport {
    const { flows, events, schemes } = this.#options;
    this.#live = this.#fleet.live;
    this.#clients.start(this.#live.length);
    this.#begins('start');
    this.#send();
    for (const event of events) this.#happen(event);
    return { flows, schemes: schemes.map(({ name }) => name), rows: this.#rows, endMs: this.#nowMs };
  }

  #happen(event: SimEvent): void {
    if (event.kind === 'settle') this.#settle();
    else if (event.kind === 'wait') this.#wait(event.seconds * 1000);
    else this.#apply(event);
  }

  #apply(event: SimEvent): void {
    this.#begins(eventText(event));
    if (this.#fleet.apply(event, this.#nowMs)) this.#changesAtMs.push(this.#nowMs);
    if (event.kind === 'crash') {
      const counts = this.#rows[this.#rows.length - 1].counts;
      for (const flows of this.#schemes) {
        flows.die(this.#ids.of(event.backend), counts[flows.scheme.name]);
      }
    }
    this.#route();
    this.#send();
  }

  #wait(ms: number): void {
    const endMs = this.#nowMs + ms;
    while (this.#nowMs < endMs) this.#tick();
  }

  #settle(): void {
    const endMs = this.#nowMs + SETTLE_TIMES_MAX * this.#options.settleMs;
    while (this.#nowMs < endMs && this.#fleet.live.some((node) => !node.isSettled(this.#nowMs))) {
      this.#tick();
    }
  }

  #tick(): void {
    this.#nowMs += this.#options.tickMs;
    if (this.#fleet.advance(this.#nowMs)) this.#changesAtMs.push(this.#nowMs);
    this.#clients.pass(this.#nowMs, (flow) => {
      for (const flows of this.#schemes) flows.end(flow);
    });
    this.#send();
  }

  #begins(event: string): void {
    const nothing: Readonly<FlowCounts> = { broken: 0, silent: 0, died: 0, secondHops: 0 };
    const counts = this.#options.schemes.map(({ name }) => [name, { ...nothing }]);
    this.#rows.push({ event, atMs: this.#nowMs, counts: Object.fromEntries(counts) });
  }

  /** Chooses next hops again, after they or the salt have changed. */
  #route(): void {
    this.#live = this.#fleet.live;
    this.#clients.route(this.#live.length, this.#fleet.salt);
  }

  /** Renews the tables of nodes whose states have changed. */
  #look(): void {
    const texts = this.#live.map(({ text }) => text);
    if (texts.some((text) => text !== texts[0])) this.#dividedAtMs = this.#nowMs;
    for (const { scheme } of this.#schemes) {
      this.#lookups.set(
        scheme.build,
        this.#live.map(({ states }, i) => this.#lookup(scheme.build, states, texts[i])),
      );
    }
  }

  #lookup(build: Builder, states: NamedStates, key: string): Lookup {
    const built = this.#built.get(build) ?? new Map<string, Lookup>();
    this.#built.set(build, built);
    let lookup = built.get(key);
    if (lookup === undefined) {
      lookup = build(states, this.#ids, this.#lookups.get(build)?.[0]);
      // Nodes that agree share tables; old ones are dropped to save memory.
      if (built.size >= 4 * this.#options.nodes) built.clear();
      built.set(key, lookup);
    }
    return lookup;
  }

  #send(): void {
    this.#look();
    const { onBreak } = this.#options;
    const crashed = new Set([...this.#fleet.crashed].map((name) => this.#ids.of(name)));
    const { counts } = this.#rows[this.#rows.length - 1];
    for (const flows of this.#schemes) {
      const { name, build } = flows.scheme;
      flows.send(
        this.#clients.hash,
        this.#clients.through,
        this.#lookups.get(build)!,
        (id) => crashed.has(id),
        { nowMs: this.#nowMs, changes: this.#changesAtMs.length },
        counts[name],
        onBreak &&
          ((event) =>
            onBreak({
              ...event,
              scheme: name,
              nowMs: this.#nowMs,
              changesAtMs: this.#changesAtMs,
              dividedAtMs: this.#dividedAtMs,
            })),
      );
    }
  }
}
