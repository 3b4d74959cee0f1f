/** What a config leads to, with health marks, drains and paths as a test makes them up. */
import type { BackendConfig, Config, NodeConfig, PoolConfig } from '#anyhop/config/types.js';
import { type AssembleOptions, type Assembly, assemble } from '#anyhop/node/assemble.js';
import { statesOfConfig } from '#anyhop/pool/states.js';
import type { Health } from '#anyhop/table/state.js';

export interface Situation extends AssembleOptions {
  /** Of a present member; up when not given. */
  readonly health?: (pool: PoolConfig, backend: BackendConfig) => Health;
  /** Of a present member that drains. */
  readonly drained?: (backend: string) => boolean;
}

export function assembleConfig(
  { services, pools, defend }: Pick<Config, 'services' | 'pools'> & Partial<Pick<Config, 'defend'>>,
  node: NodeConfig,
  { health = () => 'up', drained = () => false, ...options }: Situation,
): Assembly {
  const facts = {
    isDrained: drained,
    isReachable: (backend: Parameters<typeof options.path>[0] | BackendConfig) =>
      options.path({ health: 'up', ...backend }) !== undefined,
  };
  const states = pools.map((pool) => statesOfConfig(pool, (backend) => health(pool, backend), facts));
  return assemble({ services, pools: states, defend }, node, options);
}
