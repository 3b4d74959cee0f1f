/** The pool states that a config speaks of: what it wants now, and what it says was before. */
import type { PoolConfig } from '../config/types.js';
import type { PoolState } from './state.js';

export interface ConfiguredStates {
  /** The present members; no health check has spoken yet, so all are `up`. */
  readonly state: PoolState;
  /** As written under `prior:`, with the marks written there; absent when the config has none. */
  readonly prior: PoolState | undefined;
}

export function poolStatesFromConfig(pool: PoolConfig): ConfiguredStates {
  return {
    state: pool.backends.map(({ name, weight, state }) => ({ name, weight, state, health: 'up' })),
    prior: pool.prior?.map(({ name, weight, state, health }) => ({ name, weight, state, health })),
  };
}
