/**
 * A change of the config as it is told to whoever asked: what becomes of each pool, what it would move and break, what is
 * beside the pools, and what a running node cannot take. Pure.
 */
import type { LoadedConfig, NodeConfig } from '../config/types.js';
import { planPool } from '../maglev/plan.js';
import { riskOfForce } from '../maglev/risk.js';
import { changeFromConfig, queuedConfigs } from '../pool/change-config.js';
import { describeSettings } from '../pool/describe-change.js';
import type { Effect, Membership } from '../pool/membership.js';
import { overridden } from '../pool/override.js';
import { endedServices, movedServices, serviceChanges } from '../pool/service-changes.js';
import type { PlanReport, PoolChangeReport } from './api.js';

export function reportOf({
  pool,
  effect,
  changes,
  dueAtMs,
  waitsFor,
  settlesAtMs,
}: Effect): PoolChangeReport {
  return {
    pool,
    effect,
    changes,
    ...(dueAtMs !== undefined && { dueAt: new Date(dueAtMs).toISOString() }),
    ...(waitsFor !== undefined && waitsFor.length > 0 && { waitsFor }),
    ...(settlesAtMs !== undefined && { settlesAt: new Date(settlesAtMs).toISOString() }),
  };
}

/** What a change moves when it comes into force; a queued one comes into force when what is in force now has settled. */
export function planOf(
  { pool, effect, waitsFor = [] }: Effect,
  before: Membership,
  after: Membership,
  isDrained: (backend: string) => boolean,
): Pick<PlanReport['pools'][number], 'plan'> {
  const was = before.get(pool);
  const is = after.get(pool);
  if (was === undefined || is === undefined || effect === 'unchanged') return {};
  const settled = { ...was.inForce, prior: undefined };
  if (effect === 'queued') {
    const wanted = { ...queuedConfigs(is.inForce, is.changes).at(-1)!, prior: undefined };
    const willBeDrained = (backend: string): boolean => isDrained(backend) || waitsFor.includes(backend);
    return { plan: planPool(settled, wanted, willBeDrained) };
  }
  const isSettled = was.changes.past.length === 0;
  return { plan: planPool(isSettled ? settled : was.inForce, is.inForce, isDrained) };
}

export function riskOf(
  pool: string,
  before: Membership,
  after: Membership,
  nowMs: number,
): PlanReport['pools'][number]['atRiskByForce'] {
  const { changes } = before.get(pool)!;
  const { file, overrides, inForce } = after.get(pool)!;
  const { tableSize: slots, panicThreshold } = inForce;
  const change = changeFromConfig(overridden(file, overrides));
  return riskOfForce(changes, change, nowMs, { slots, panicThreshold }).map(({ bornUntilMs, share }) => ({
    ...(bornUntilMs !== undefined && { bornUntil: new Date(bornUntilMs).toISOString() }),
    share,
  }));
}

/** What changes at once beside the members of pools. */
export function settingsChanges(before: LoadedConfig<'run'>, after: LoadedConfig<'run'>): string[] {
  const known = new Map(before.pools.map((pool) => [pool.name, pool]));
  const served = new Set(before.services.map(({ name }) => name));
  return [
    ...after.services.flatMap(({ name }) => (served.has(name) ? [] : [`${name}: a new service`])),
    ...serviceChanges(before.services, after.services),
    ...after.pools.flatMap((pool) => {
      const was = known.get(pool.name);
      return was === undefined ? [] : describeSettings(was, pool).map((what) => `${pool.name}: ${what}`);
    }),
  ];
}

/**
 * What a change of the config breaks for good, one sentence for each: nobody remembers who had the flows where another key, table
 * size, hash or pool gives them other slots, and what is no longer served has nobody to go to. Such a change is taken with
 * `force` only, by a reload and by a restart.
 */
export function losses(before: LoadedConfig<'run'>, after: LoadedConfig<'run'>): string[] {
  const known = new Map(before.pools.map((pool) => [pool.name, pool.tableSize]));
  const otherKey = keyOf(before.node) !== keyOf(after.node);
  return [
    ...(otherKey ? ['node.key: another key gives all flows other slots, and their connections break'] : []),
    ...after.pools.flatMap(({ name, tableSize }) => {
      const was = known.get(name) ?? tableSize;
      if (was === tableSize) return [];
      return [
        `pools.${name}.table_size: ${was} -> ${tableSize} gives nearly all flows of the pool other slots, and their connections break`,
      ];
    }),
    ...movedServices(before.services, after.services).map(
      (moved) => `services: ${moved}, and their connections break`,
    ),
    ...endedServices(before.services, after.services).map((ended) => `services: ${ended}`),
  ];
}

function keyOf({ key }: NodeConfig): string {
  return Buffer.from(key.reveal()).toString('hex');
}

/** Fields of the node that are fixed for the life of the process and differ. */
export function restartFields(before: NodeConfig, after: NodeConfig): string[] {
  const values = (node: NodeConfig): Record<string, string | number | undefined> => ({
    name: node.name,
    interface: node.interface,
    engine: node.engine,
    source: [node.source4?.text, node.source6?.text].join(),
    second_chance_prefix: node.secondChancePrefix?.text,
    busy_poll_us: node.busyPollUs,
    bpffs: node.bpffs,
    socket: node.socket,
    state_dir: node.stateDirectory,
  });
  const [was, is] = [values(before), values(after)];
  return Object.keys(was).flatMap((field) => (was[field] === is[field] ? [] : [`node.${field}`]));
}
