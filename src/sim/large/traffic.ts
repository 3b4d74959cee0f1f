/** The connections through a large fleet, with second chance and without: what breaks them is counted by what is why. */
import { Clients } from '../clients.js';
import { type FlowCounts, Flows } from '../flows.js';
import { ANYHOP, ANYHOP_ALONE, type BackendIds, type Lookup } from '../scheme.js';
import type { Node } from './nodes.js';
import type { Kind, LargeOptions } from './options.js';

export const LARGE_SCHEMES = [ANYHOP, ANYHOP_ALONE] as const;

export class Traffic {
  readonly #clients: Clients;
  readonly #schemes: readonly Flows[];
  readonly #ids: BackendIds;
  readonly #crashed: ReadonlySet<string>;
  /** As flows are sent: next hop times pools, plus pool. */
  #lookups: Lookup[] = [];
  /** By scheme, by kind. */
  readonly broken: readonly Map<Kind, number>[] = LARGE_SCHEMES.map(() => new Map());
  readonly counts: readonly FlowCounts[] = LARGE_SCHEMES.map(() => ({
    broken: 0,
    silent: 0,
    died: 0,
    secondHops: 0,
  }));

  constructor(options: LargeOptions, pools: number, ids: BackendIds, crashed: ReadonlySet<string>) {
    const { seed, flows, lifetimeMs } = options;
    this.#clients = new Clients({ seed, flows, lifetimeMs, services: pools });
    this.#schemes = LARGE_SCHEMES.map((scheme) => new Flows(scheme, flows));
    this.#ids = ids;
    this.#crashed = crashed;
  }

  get begun(): number {
    return this.#clients.begun;
  }

  hasConnections(backend: string): boolean {
    return this.#schemes[0].hasSocket(this.#ids.of(backend));
  }

  start(routed: readonly Node[]): void {
    this.#clients.start(routed.length);
    this.look(routed);
    this.send(0, () => 'settling');
  }

  /** Nodes have other tables. */
  look(routed: readonly Node[]): void {
    this.#lookups = routed.flatMap(({ views }) => views.map((view) => view.lookup()));
  }

  /** The router has other next hops. */
  route(routed: readonly Node[]): void {
    this.#clients.route(routed.length);
    this.look(routed);
  }

  die(backend: string): void {
    const id = this.#ids.of(backend);
    for (const [i, flows] of this.#schemes.entries()) flows.die(id, this.counts[i]);
  }

  /** Clients come and go. */
  pass(nowMs: number): void {
    this.#clients.pass(nowMs, (flow) => {
      for (const flows of this.#schemes) flows.end(flow);
    });
  }

  /** A packet of each flow. @param why a connection of a pool breaks now */
  send(nowMs: number, why: (pool: number) => Kind): void {
    const crashed = new Set([...this.#crashed].map((name) => this.#ids.of(name)));
    const isCrashed = (id: number): boolean => crashed.has(id);
    const moment = { nowMs, changes: 0 };
    for (const [i, flows] of this.#schemes.entries()) {
      const broken = this.broken[i];
      flows.send(
        this.#clients.hash,
        this.#clients.through,
        this.#lookups,
        isCrashed,
        moment,
        this.counts[i],
        ({ flow }) => {
          const kind = why(this.#clients.serviceOf(flow));
          broken.set(kind, (broken.get(kind) ?? 0) + 1);
        },
      );
    }
  }
}
