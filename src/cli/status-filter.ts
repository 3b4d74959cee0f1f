/** Selects part of a node's status: a pool, a service, or backends that are not up. */
import type { NodeStatus } from '../api/status.js';
import { AnyhopError } from '../core/errors.js';
import { someOf } from './format.js';

export interface StatusFilter {
  readonly pool?: string;
  readonly service?: string;
  readonly down?: true;
}

/**
 * Keeps the pools, services and overrides that match. A service keeps its pool.
 * @throws AnyhopError ERR_USAGE for a pool or service that the node does not have
 */
export function filterStatus(status: NodeStatus, { pool, service }: StatusFilter): NodeStatus {
  requireOne('pool', pool, status.pools);
  requireOne('service', service, status.services);
  const services = status.services.filter(
    (one) => (service === undefined || one.name === service) && (pool === undefined || one.pool === pool),
  );
  const names = new Set(services.map(({ name }) => name));
  const used = new Set(services.map((one) => one.pool));
  const isAsked = (name: string): boolean =>
    (pool === undefined || name === pool) && (service === undefined || used.has(name));
  return {
    ...status,
    services,
    pools: status.pools.filter(({ name }) => isAsked(name)),
    overrides: status.overrides.filter((one) => isAsked(one.pool)),
    readiness: {
      ...status.readiness,
      services: status.readiness.services.filter(({ name }) => names.has(name)),
    },
  };
}

/** Removes backends that are up, and pools whose backends are all up. */
export function withoutUp(status: NodeStatus): NodeStatus {
  return {
    ...status,
    pools: status.pools
      .map((pool) => ({ ...pool, backends: pool.backends.filter(({ health }) => health !== 'up') }))
      .filter(({ backends }) => backends.length > 0),
  };
}

function requireOne(what: string, name: string | undefined, all: readonly { readonly name: string }[]): void {
  if (name === undefined || all.some((one) => one.name === name)) return;
  throw new AnyhopError('ERR_USAGE', `the node has no ${what} ${name}`, {
    hint: `It has ${someOf(
      all.map((one) => one.name),
      12,
    )}.`,
  });
}
