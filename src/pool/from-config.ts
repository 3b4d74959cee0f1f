/** The pool states that a config speaks of: what it wants now, and what it says was before. */
import type { BackendConfig, PoolConfig } from '../config/types.js';
import type { Health, Member, PoolState } from './state.js';

export interface ConfiguredStates {
  /** The present members, with the marks that they were given. */
  readonly state: PoolState;
  /** As written under `prior:`, with the marks written there; absent when the config has none. */
  readonly prior: PoolState | undefined;
}

/**
 * @param healthOf the health mark of a present member; not `up` for one that cannot be reached
 * @param isDrained whether one that drains has no connection left
 * @param isReachable whether packets get there from here, now
 */
export function poolStatesFromConfig(
  pool: PoolConfig,
  healthOf: (backend: BackendConfig) => Health = () => 'up',
  isDrained: (backend: BackendConfig) => boolean = () => false,
  isReachable: (backend: BackendConfig) => boolean = () => true,
): ConfiguredStates {
  const reach = (backend: BackendConfig): Pick<Member, 'unreachable'> =>
    isReachable(backend) ? {} : { unreachable: true };
  return {
    state: pool.backends.map((backend) => {
      const { name, weight, state } = backend;
      const member = { name, weight, state, health: healthOf(backend), ...reach(backend) };
      return state === 'draining' && isDrained(backend) ? { ...member, drained: true } : member;
    }),
    // Who could be reached then is not remembered: most likely those that can be reached now.
    prior: pool.prior?.map((backend) => {
      const { name, weight, state, health } = backend;
      return { name, weight, state, health, ...(health === 'up' ? {} : reach(backend)) };
    }),
  };
}
