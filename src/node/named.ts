/** What a request names: services, pools, backends and changes that wait. What there is not is refused, with what there is. */
import { type BackendTarget, ControlError } from '../api/api.js';
import type { ServiceReadiness } from '../api/status.js';
import type { PoolConfig } from '../config/types.js';
import { listed } from '../core/listed.js';

const NAMED = { most: 12 };

/** @throws ControlError 404 */
export function serviceNamed(service: string, services: readonly ServiceReadiness[]): ServiceReadiness {
  const found = services.find(({ name }) => name === service);
  if (found !== undefined) return found;
  throw missing('ERR_SERVICE', `there is no service ${service}`, services);
}

/** The pools that a target means, by name. @throws ControlError 404 */
export function poolsNamed({ backend, pool: asked }: BackendTarget, pools: readonly PoolConfig[]): string[] {
  const named = pools.filter(({ name }) => asked === undefined || name === asked);
  if (asked !== undefined && named.length === 0) throw noPool(asked, pools);
  const found = named.filter(({ backends }) => backends.some(({ name }) => name === backend));
  if (found.length > 0) return found.map(({ name }) => name);
  const where = asked === undefined ? 'no pool has' : `the pool ${asked} does not have`;
  throw missing(
    'ERR_BACKEND',
    `${where} a backend ${backend}`,
    named.flatMap(({ backends }) => backends),
  );
}

export function noPool(pool: string, pools: readonly { readonly name: string }[]): ControlError {
  return missing('ERR_POOL', `there is no pool ${pool}`, pools);
}

/** @param ids of the changes that wait */
export function noChange(id: string, ids: readonly string[]): ControlError {
  return new ControlError(404, 'ERR_CHANGE', `no change ${id} waits`, {
    hint: ids.length === 0 ? 'None waits: it may be in force by now.' : `There wait: ${listed(ids, NAMED)}.`,
  });
}

function missing(code: string, message: string, there: readonly { readonly name: string }[]): ControlError {
  const names = [...new Set(there.map(({ name }) => name))];
  return new ControlError(404, code, message, { hint: `There are: ${listed(names, NAMED)}.` });
}
