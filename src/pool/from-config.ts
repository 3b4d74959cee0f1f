/** The pool states that a config speaks of: what it wants now, and what it says was before. */
import type { BackendConfig, PoolConfig } from '../config/types.js';
import type { Health, Member, PoolState } from '../table/state.js';

/** A pool at one moment. */
export interface PoolStates {
  /** Has the addresses of both states' members, and what else the tables come from. */
  readonly config: PoolConfig;
  /** The present members, with the marks that they were given. */
  readonly state: PoolState;
  /** Undefined when all has settled. */
  readonly prior: PoolState | undefined;
}

/**
 * Its prior state is the one written under `prior:`, with the marks written there.
 *
 * @param healthOf the health mark of a present member; not `up` for one that cannot be reached
 * @param isDrained whether one that drains has no connection left
 * @param isReachable whether packets get there from here, now
 */
export function poolStatesFromConfig(
  pool: PoolConfig,
  healthOf: (backend: BackendConfig) => Health = () => 'up',
  isDrained: (backend: BackendConfig) => boolean = () => false,
  isReachable: (backend: BackendConfig) => boolean = () => true,
): PoolStates {
  const reach = (backend: BackendConfig): Pick<Member, 'unreachable'> =>
    isReachable(backend) ? {} : { unreachable: true };
  return {
    config: pool,
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
