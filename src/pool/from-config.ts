/** The pool states that a config speaks of: what it wants now, and what it says was before. */
import type { BackendConfig, PoolConfig } from '../config/types.js';
import type { Health, PoolState } from './state.js';

export interface ConfiguredStates {
  /** The present members, with the marks that they were given. */
  readonly state: PoolState;
  /** As written under `prior:`, with the marks written there; absent when the config has none. */
  readonly prior: PoolState | undefined;
}

/** @param healthOf the health mark of a present member; @param isDrained whether one that drains has no connection left */
export function poolStatesFromConfig(
  pool: PoolConfig,
  healthOf: (backend: BackendConfig) => Health = () => 'up',
  isDrained: (backend: BackendConfig) => boolean = () => false,
): ConfiguredStates {
  return {
    state: pool.backends.map((backend) => {
      const { name, weight, state } = backend;
      const member = { name, weight, state, health: healthOf(backend) };
      return state === 'draining' && isDrained(backend) ? { ...member, drained: true } : member;
    }),
    prior: pool.prior?.map(({ name, weight, state, health }) => ({ name, weight, state, health })),
  };
}
