/**
 * What a change of services does to flows, beside what the pools' tables do: a service may leave, be hashed another
 * way, or be given to another pool. Flows know VIP, protocol and port, not a service's name, so that is how services
 * of two configs are matched.
 */
import type { Config, PoolConfig, ServiceConfig } from '../config/types.js';
import { renamedPools } from './renames.js';

type Services = Pick<Config, 'pools' | 'services'>;
/** The share of flows (0 to 1) that change backends when one pool takes the place of another, of which it knows nothing. */
export type ShareMoved = (from: PoolConfig, to: PoolConfig) => number;

/** One sentence for each thing that ends or moves flows, or what is done for them; none when the tables tell everything. */
export function serviceChanges(before: Services, after: Services, shareMoved: ShareMoved): string[] {
  return before.services.flatMap((old) => {
    const heirs = heirsOf(old, after.services);
    const lines = ending(old, heirs);
    for (const heir of heirs) {
      lines.push(...movedTo(old, heir, before, after, shareMoved).map(({ text }) => text));
      if (heir.secondChance !== old.secondChance) {
        const [was, is] = [old, heir].map(({ secondChance }) => (secondChance ? 'on' : 'off'));
        lines.push(`${old.name}: second chance ${was} -> ${is}`);
      }
    }
    return lines;
  });
}

/** Of these, what gives flows that go on being served to other backends, which do not know them. */
export function movedServices(before: Services, after: Services, shareMoved: ShareMoved): string[] {
  return before.services.flatMap((old) =>
    heirsOf(old, after.services).flatMap((heir) =>
      movedTo(old, heir, before, after, shareMoved).flatMap(({ text, share }) => (share > 0 ? [text] : [])),
    ),
  );
}

/** And what is served no longer. */
export function endedServices(before: Services, after: Services): string[] {
  return before.services.flatMap((old) => ending(old, heirsOf(old, after.services)));
}

function ending(old: ServiceConfig, heirs: readonly ServiceConfig[]): string[] {
  const ports = heirs.reduce((sum, heir) => sum + sharedPorts(old, heir), 0);
  if (ports === old.portLast - old.portFirst + 1) return [];
  return [`${old.name}: no longer served${ports === 0 ? '' : ' in part'}; those flows end`];
}

/** What flows know of a service, and the pool that they go to. */
export interface ServedFlows {
  readonly vip: { readonly text: string };
  readonly protocol: string;
  readonly portFirst: number;
  readonly portLast: number;
  readonly pool: string;
}

/** The services that flows of `old` are served by. */
export function heirsOf<T extends ServedFlows>(old: ServedFlows, after: readonly T[]): T[] {
  return after.filter((service) => overlap(old, service));
}

interface Move {
  readonly text: string;
  /** Of the service's flows, 0 to 1. */
  readonly share: number;
}

function movedTo(
  old: ServiceConfig,
  heir: ServiceConfig,
  before: Services,
  after: Services,
  shareMoved: ShareMoved,
): Move[] {
  const pool = `${old.name}: pool ${old.pool} -> ${heir.pool}`;
  const isOther = heir.pool !== old.pool;
  const isRenamed = isOther && renamedPools(before, after).get(heir.pool) === old.pool;
  if (heir.hash !== old.hash) {
    const text = `${old.name}: hash ${old.hash} -> ${heir.hash}; all its flows get new slots`;
    return [{ text: isOther ? `${pool}; ${text}` : text, share: 1 }];
  }
  if (!isOther) return [];
  if (isRenamed) return [{ text: `${pool}, which is that pool under another name`, share: 0 }];
  const [from, to] = [before, after].map(({ pools }, i) =>
    pools.find(({ name }) => name === [old, heir][i].pool),
  );
  const share = shareMoved(from!, to!);
  if (share === 0) return [{ text: `${pool}, in which all its flows have the same backends`, share }];
  const some = share === 1 ? 'all' : `${Number((share * 100).toPrecision(3))} %`;
  return [{ text: `${pool}; ${some} of its flows change backends`, share }];
}

function overlap(a: ServedFlows, b: ServedFlows): boolean {
  return a.vip.text === b.vip.text && a.protocol === b.protocol && sharedPorts(a, b) > 0;
}

function sharedPorts(a: ServedFlows, b: ServedFlows): number {
  return Math.max(0, Math.min(a.portLast, b.portLast) - Math.max(a.portFirst, b.portFirst) + 1);
}
