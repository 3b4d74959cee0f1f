/**
 * What was said of a backend at runtime (`anyhop drain`, `undrain`, `weight`) and not by the file: it lies over the file until
 * it says no more than the file does. So nothing said is lost when the file is read anew, and nothing lingers once the file
 * has caught up.
 */
import type { BackendConfig, PoolConfig } from '../config/types.js';

/** One or both of `state` and `weight`, and nothing that the file says as well. */
export interface Override {
  readonly backend: string;
  readonly state?: BackendConfig['state'] | undefined;
  readonly weight?: number | undefined;
  readonly sinceMs: number;
}

export type OverridePatch = Pick<Override, 'state' | 'weight'>;

/** `pool` as the overrides want it; the same object when they want nothing. */
export function overridden(pool: PoolConfig, overrides: readonly Override[]): PoolConfig {
  if (overrides.length === 0) return pool;
  const byName = new Map(overrides.map((each) => [each.backend, each]));
  return {
    ...pool,
    backends: pool.backends.map((backend) => {
      const { state = backend.state, weight = backend.weight } = byName.get(backend.name) ?? {};
      return { ...backend, state, weight };
    }),
  };
}

/** The overrides of a pool after one more thing was said of a backend that the file has. @param pool as in the file */
export function override(
  overrides: readonly Override[],
  pool: PoolConfig,
  backend: string,
  patch: OverridePatch,
  nowMs: number,
): readonly Override[] {
  const before = overrides.find((each) => each.backend === backend);
  const others = overrides.filter((each) => each !== before);
  const { state = before?.state, weight = before?.weight } = patch;
  return stillNeeded([...others, { backend, state, weight, sinceMs: nowMs }], pool);
}

/** Without what a file says by now, and without backends that it no longer has; sorted by name. @param pool as in the file */
export function stillNeeded(overrides: readonly Override[], pool: PoolConfig): readonly Override[] {
  const inFile = new Map(pool.backends.map((backend) => [backend.name, backend]));
  return overrides
    .flatMap(({ backend, state, weight, sinceMs }): Override[] => {
      const said = inFile.get(backend);
      if (said === undefined) return [];
      const left = {
        ...(state !== undefined && state !== said.state && { state }),
        ...(weight !== undefined && weight !== said.weight && { weight }),
      };
      return Object.keys(left).length === 0 ? [] : [{ backend, ...left, sinceMs }];
    })
    .sort((a, b) => (a.backend < b.backend ? -1 : 1));
}
