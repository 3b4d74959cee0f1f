/**
 * Whether a node, and each of its services, is to be sent traffic, and if not, why: for what announces the VIPs.
 *
 *   a service is ready   when a slot of its table has an owner that can be reached from here
 *   the node is ready    when it has started and does not stop, its link is up, its program takes packets, its fleet has no other revision in force,
 *                        it sees most of what the other nodes see, and one service is ready
 *
 * One dead pool does not withdraw the healthy services of a whole fleet. Health decides who owns slots and is told beside, but
 * decides nothing here: packets for a pool of which all backends are down are sent to some all the same. What is looked at
 * is what is in force, whenever somebody asks.
 */

import type { Readiness, ServiceReadiness } from '../api/status.js';
import type { BackendConfig, ServiceConfig } from '../config/types.js';
import { listed } from '../core/listed.js';
import type { Logger } from '../core/log.js';
import { NONE } from '../table/layers.js';
import type { Link } from '../underlay/link.js';
import type { AssembledPool } from './assemble.js';

/** What must have happened, in words for as long as it has not. The last is that the node forwards: `follow`. */
const STEPS = {
  nextHops: 'next hops of the backends are being resolved',
  health: 'first health checks are under way',
  engine: 'the engine has not started',
  forwards: 'the engine has not passed its self-test',
} as const;

export type Step = Exclude<keyof typeof STEPS, 'forwards'>;

/** How often the log is told what has changed. */
const LOOK_MS = 250;

/** What is in force. */
export interface ReadinessView {
  readonly services: readonly ServiceConfig[];
  readonly pools: readonly AssembledPool[];
  /** Why the program takes no packets; undefined when it does. */
  readonly detached: string | undefined;
}

export interface NodeReadinessOptions {
  readonly node: string;
  readonly interface: string;
  readonly log: Logger;
  /** Names of the services, and of their pools, before there is anything in force. */
  readonly services: readonly ServiceConfig[];
  /** Why no packet gets to a backend; undefined when it does. */
  readonly noWay: (backend: BackendConfig) => string | undefined;
  /** Why the fleet does not want this node to serve; undefined when it may, or is in none. */
  readonly behind?: (() => string | undefined) | undefined;
  /** Why this node cannot see its backends, though its fleet does; undefined when it can. */
  readonly blind?: () => string | undefined;
  /** Called when what `current` says may have changed, but for what is in force. */
  readonly changed?: () => void;
}

export class NodeReadiness {
  readonly #options: NodeReadinessOptions;
  readonly #missing = new Set(Object.keys(STEPS) as (keyof typeof STEPS)[]);
  #stopping: string | undefined;
  #linkFault: string | undefined;
  #view: (() => ReadinessView) | undefined;
  /** Fields of the first log line that says `ready`. */
  #started: object = {};
  #timer: NodeJS.Timeout | undefined;
  #told: { readonly ready: boolean; readonly reasons: string } | undefined;
  #toldPools: ReadonlyMap<string, boolean> = new Map();

  constructor(options: NodeReadinessOptions) {
    this.#options = options;
  }

  passed(step: Step): void {
    this.#missing.delete(step);
    this.#changed();
  }

  /** For good. @param why `SIGTERM`, say */
  stops(why: string): void {
    this.#stopping = why;
    clearInterval(this.#timer);
    this.#changed();
  }

  /** The interfaces as they are now, by name. */
  sawLinks(links: ReadonlyMap<string, Link>): void {
    this.#linkFault = linkFault(this.#options.interface, links.get(this.#options.interface));
    this.look();
    this.#changed();
  }

  /** The node has started: from now on the log is told of every change. @param fields of the first line that says `ready` */
  follow(view: () => ReadinessView, fields: object): void {
    this.#missing.delete('forwards');
    this.#view = view;
    this.#started = fields;
    this.look();
    this.#timer = setInterval(() => this.look(), LOOK_MS).unref();
    this.#changed();
  }

  current(): Readiness {
    const reasons = this.nodeReasons();
    const view = this.#view?.();
    const ofNode = reasons.length > 0 ? reasons.join('; ') : undefined;
    const pools = new Map(
      (view?.pools ?? []).map((pool) => {
        const fault = ofNode ?? this.#poolFault(pool);
        return [pool.name, { fault, backends: countBackends(pool) }];
      }),
    );
    const services = (view?.services ?? this.#options.services).map(({ name, pool }): ServiceReadiness => {
      const { fault = ofNode, backends } = pools.get(pool) ?? {};
      return {
        name,
        ready: fault === undefined,
        ...(fault !== undefined && { reason: fault }),
        pool,
        ...(backends && { backends }),
      };
    });
    if (reasons.length > 0) return { ready: false, reasons, services };
    const ready = services.some((service) => service.ready);
    return { ready, reasons: ready ? [] : noneReady(services), services };
  }

  /** Tells the log, and those who follow the node, what has changed since the last time. */
  look(): void {
    if (this.#view === undefined || this.#stopping !== undefined) return;
    const { node, interface: name, log } = this.#options;
    const { services, pools } = this.#view();
    const used = new Set(services.map(({ pool }) => pool));
    const standing = new Map(
      pools.filter(({ name }) => used.has(name)).map((pool) => [pool.name, isServed(pool)]),
    );
    const reasons = this.nodeReasons();
    const ready = reasons.length === 0 && [...standing.values()].includes(true);
    if (reasons.length === 0) this.#tellPools(standing);
    const { reasons: words } = ready || reasons.length > 0 ? { reasons } : this.current();
    const before = this.#told;
    this.#told = { ready, reasons: reasons.join('; ') };
    if (before?.ready === ready && (ready || before.reasons === this.#told.reasons)) return;
    if (ready) {
      const fields = { event: 'ready', node, interface: name, ...this.#started } as const;
      log.info(fields, `ready: ${node} forwards on ${name}`);
    } else log.warn({ event: 'not_ready', node, reasons: words }, `not ready: ${words.join('; ')}`);
    this.#changed();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Why no service of the node is ready, whatever its pool; empty when that is for the pools to say. */
  nodeReasons(): string[] {
    if (this.#stopping !== undefined) return [`the node stops: ${this.#stopping}`];
    if (this.#missing.size > 0) return [...this.#missing].map((step) => STEPS[step]);
    const faults = [
      this.#linkFault,
      this.#view?.().detached,
      this.#options.behind?.(),
      this.#options.blind?.(),
    ];
    return faults.filter((fault) => fault !== undefined);
  }

  #changed(): void {
    this.#options.changed?.();
  }

  #tellPools(standing: ReadonlyMap<string, boolean>): void {
    const { log } = this.#options;
    const before = this.#toldPools;
    this.#toldPools = standing;
    const { services, pools } = this.#view!();
    for (const pool of pools) {
      const { name } = pool;
      const isReady = standing.get(name);
      if (isReady === undefined || (before.get(name) ?? true) === isReady) continue;
      const names = services.filter((service) => service.pool === name).map((service) => service.name);
      const who = `${names.length === 1 ? 'service' : 'services'} ${listed(names)}`;
      const fields = { pool: name, services: names };
      if (isReady) log.info({ event: 'service_ready', ...fields }, `ready again: ${who}`);
      else {
        const reason = this.#poolFault(pool);
        log.warn({ event: 'service_not_ready', ...fields, reason }, `not ready: ${who}: ${reason}`);
      }
    }
  }

  /** Why nothing that is sent to a pool arrives anywhere; undefined when it does. */
  #poolFault(pool: AssembledPool): string | undefined {
    if (isServed(pool)) return undefined;
    const { name, state, tables } = pool;
    if (tables.owners[0] === NONE)
      return `no backend of the pool ${name} is active with a weight above 0, or up`;
    const reasons = new Map<string, string[]>();
    for (const backend of state) {
      const why = this.#options.noWay(backend) ?? 'its path is being put in force';
      reasons.set(why, [...(reasons.get(why) ?? []), backend.name]);
    }
    const told = [...reasons].map(([why, names]) => `${listed(names)}: ${why}`);
    return `no backend of the pool ${name} can be reached: ${listed(told, { separator: '; ' })}`;
  }
}

function linkFault(name: string, link: Link | undefined): string | undefined {
  if (link === undefined) return `interface ${name} is gone`;
  if (!link.isUp) return `interface ${name} is down`;
  return link.hasCarrier ? undefined : `interface ${name} has no carrier`;
}

/** Whether a slot has an owner that can be reached: the first ones tell, most often. Once for each table. */
const served = new WeakMap<AssembledPool, boolean>();

function isServed(pool: AssembledPool): boolean {
  const known = served.get(pool);
  if (known !== undefined) return known;
  const { state, tables } = pool;
  const unreachable = new Set(state.flatMap((one) => (one.unreachable ? [one.name] : [])));
  const counts = tables.names.map((name) => !unreachable.has(name));
  const found = tables.owners.some((owner) => owner !== NONE && counts[owner]);
  served.set(pool, found);
  return found;
}

export function countBackends({
  state,
}: Pick<AssembledPool, 'state'>): NonNullable<ServiceReadiness['backends']> {
  return {
    total: state.length,
    reachable: state.filter(({ unreachable }) => unreachable !== true).length,
    up: state.filter(({ health }) => health === 'up').length,
  };
}

/** Services of one pool have one reason. */
function noneReady(services: readonly ServiceReadiness[]): string[] {
  const reasons = new Set(services.map(({ reason }) => reason!));
  return reasons.size === 0 ? ['the config has no service'] : [listed([...reasons], { separator: '; ' })];
}
