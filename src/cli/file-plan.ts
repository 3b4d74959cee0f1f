/** What it would do to replace one config file by another: the plan of each pool, and other changes that move flows. */
import type { Config, PoolConfig, ServiceConfig } from '../config/types.js';
import { describeMembers, describeSettings } from '../pool/describe-change.js';
import { type PoolPlan, planPool } from '../pool/plan.js';
import { renamedPools } from '../pool/renames.js';
import { serviceChanges } from '../pool/service-changes.js';
import { shareMoved } from '../pool/share-moved.js';
import { statesOfConfig } from '../pool/states.js';

export interface FilePoolReport {
  readonly pool: string;
  readonly status: 'added' | 'removed' | 'same' | 'changed';
  readonly changes: readonly string[];
  /** Services of NEW that use the pool. */
  readonly services: readonly {
    readonly name: string;
    readonly protocol: string;
    readonly secondChance: boolean;
  }[];
  /** For a pool that is in both files. */
  readonly plan: PoolPlan | undefined;
}

export interface FileReport {
  readonly pools: readonly FilePoolReport[];
  /** Changes that move flows, other than those of tables. */
  readonly services: readonly string[];
}

export function planFiles(before: Config, after: Config): FileReport {
  const renamed = renamedPools(before, after);
  const gone = new Set(renamed.values());
  const names = [...new Set([...before.pools, ...after.pools].map((pool) => pool.name))].sort();
  return {
    pools: names
      .filter((name) => !gone.has(name))
      .map((name) => {
        const former = renamed.get(name) ?? name;
        const old = before.pools.find((pool) => pool.name === former);
        return planOne(
          name,
          old,
          after.pools.find((pool) => pool.name === name),
          after.services,
        );
      }),
    services: serviceChanges(before, after, shareMoved),
  };
}

function planOne(
  name: string,
  before: PoolConfig | undefined,
  after: PoolConfig | undefined,
  services: readonly ServiceConfig[],
): FilePoolReport {
  const both = before !== undefined && after !== undefined;
  const changes = both ? poolChanges(before, after) : [];
  return {
    pool: name,
    status:
      before === undefined
        ? 'added'
        : after === undefined
          ? 'removed'
          : changes.length > 0
            ? 'changed'
            : 'same',
    changes,
    services: services
      .filter((service) => service.pool === name)
      .map(({ name: service, protocol, secondChance }) => ({ name: service, protocol, secondChance })),
    plan: both ? planPool(statesOfConfig(before), statesOfConfig(after), after.settleMs) : undefined,
  };
}

/** The differences, in words; empty without any. */
function poolChanges(before: PoolConfig, after: PoolConfig): string[] {
  const renamed = before.name === after.name ? [] : [`renamed from ${before.name}`];
  return [
    ...renamed,
    ...describeMembers(before.backends, after.backends),
    ...describeSettings(before, after),
  ];
}
