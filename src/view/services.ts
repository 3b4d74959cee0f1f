/** Services over all nodes: what arrives for them, and whether every node can deliver it. */
import type { ServiceStatus, Traffic } from '../api/status.js';
import { gathered, sum } from './gather.js';
import type { Source } from './seen.js';

export interface ServiceRow extends Traffic {
  readonly name: string;
  readonly vip: string;
  readonly protocol: string;
  /** `80`, or `8000-8099`. */
  readonly ports: string;
  readonly pool: string;
  /** Of the pool, as the node sees them that sees the fewest up. */
  readonly backends: { readonly up: number; readonly total: number };
  /** Whether what arrives reaches a backend, on every node. */
  readonly ready: boolean;
  readonly notReadyOn: readonly { readonly node: string; readonly reason: string }[];
  /** Nodes that do not have it. */
  readonly missingOn: readonly string[];
  /** Whether nodes have it with different VIPs, ports or pools: their config files differ. */
  readonly differs: boolean;
}

export function serviceRows(sources: readonly Source[]): ServiceRow[] {
  const all = gathered(sources, ({ status }) =>
    status.services.map((service) => [service.name, service] as const),
  );
  const readiness = new Map(
    sources.map((source) => [
      source,
      new Map(source.status.readiness.services.map((service) => [service.name, service])),
    ]),
  );
  const ups = new Map(
    sources.map((source) => [
      source,
      new Map(
        source.status.pools.map((pool) => [
          pool.name,
          { total: pool.backends.length, up: pool.backends.filter(({ health }) => health === 'up').length },
        ]),
      ),
    ]),
  );
  return [...all].map(([name, seen]) => {
    const [first] = seen;
    const { vip, protocol, pool } = first.thing;
    const notReadyOn = seen.flatMap(({ source }) => {
      const said = readiness.get(source)?.get(name);
      return said === undefined || said.ready ? [] : [{ node: source.name, reason: said.reason ?? '' }];
    });
    const has = new Set(seen.map(({ source }) => source));
    const counts = seen.flatMap(({ source, thing }) => ups.get(source)?.get(thing.pool) ?? []);
    return {
      name,
      vip,
      protocol,
      ports: portsOf(first.thing),
      pool,
      backends: counts.reduce(
        (least, one) => (one.up < least.up ? one : least),
        counts[0] ?? { up: 0, total: 0 },
      ),
      ready: notReadyOn.length === 0,
      notReadyOn,
      missingOn: sources.filter((source) => !has.has(source)).map((source) => source.name),
      differs: seen.some(({ thing }) => identity(thing) !== identity(first.thing)),
      ...sum(seen.map(({ thing }) => thing)),
    };
  });
}

export function portsOf({ portFirst, portLast }: Pick<ServiceStatus, 'portFirst' | 'portLast'>): string {
  return portFirst === portLast ? String(portFirst) : `${portFirst}-${portLast}`;
}

function identity(service: ServiceStatus): string {
  return [service.vip, service.protocol, portsOf(service), service.pool].join(' ');
}
