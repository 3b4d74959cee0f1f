/**
 * A change of the config as it is told to whoever asked: what becomes of each pool, what it would move and break, what is
 * beside the pools, and what a running node cannot take. Pure.
 */

import type { PlanReport, PoolChangeReport, QueuedReport } from '../api/api.js';
import { describeDefence } from '../config/defend/describe-change.js';
import type { LoadedConfig, NodeConfig, PoolConfig } from '../config/types.js';
import { describeSettings } from '../pool/describe-change.js';
import { type Effect, formerOf, type QueuedStep, queuedSteps, stepId } from '../pool/effects.js';
import { keyLosses } from '../pool/key-cost.js';
import type { Membership, PoolMembership } from '../pool/membership.js';
import { type PoolPlan, planPool } from '../pool/plan.js';
import { renamedPools } from '../pool/renames.js';
import { endedServices, movedServices, serviceChanges } from '../pool/service-changes.js';
import { shareMoved } from '../pool/share-moved.js';
import { type BackendFacts, type NamedStates, stateOf, statesOf } from '../pool/states.js';
import { keyChange } from './key-change.js';
import { queuedStatus } from './pool-status.js';

export function reportOf({
  pool,
  effect,
  changes,
  step,
  came,
  takenBack,
  settlesAtMs,
}: Effect): PoolChangeReport {
  return {
    pool,
    effect,
    changes,
    ...(step !== undefined && { id: step.id, dueAt: new Date(step.dueAtMs).toISOString() }),
    ...(step !== undefined && step.waitsFor.length > 0 && { waitsFor: step.waitsFor }),
    ...(came.length > 0 && { came: came.map(queuedStatus) }),
    ...(takenBack.length > 0 && { takenBack: takenBack.map(queuedStatus) }),
    ...(settlesAtMs !== undefined && { settlesAt: new Date(settlesAtMs).toISOString() }),
  };
}

/** What is asked of one change brings no other; that it waited before itself is no news. */
export function alone({ came: _, ...report }: PoolChangeReport): PoolChangeReport {
  return report;
}

/**
 * What a change moves when it comes into force, with the health marks that backends have now. A queued one comes into force when all
 * that is before it has, and has settled.
 */
export function planOf(
  { pool, effect, step }: Effect,
  before: Membership,
  after: Membership,
  facts: BackendFacts,
): Pick<PlanReport['pools'][number], 'plan'> {
  const is = after.get(pool);
  const was = is && formerOf(before, pool, is);
  if (was === undefined || is === undefined) return {};
  // Another flow hash key: every slot stays with its owner, and nearly every flow goes to another slot.
  if (was.changes.keyId !== is.changes.keyId) return {};
  // Another threshold can begin or end panic, which moves slots as no state remembers them.
  if (effect === 'unchanged' && was.file.panicThreshold === is.file.panicThreshold) return {};
  if (effect === 'queued') return { plan: planQueued(is, step!, facts) };
  return { plan: planBetween(was, is, facts) };
}

function planBetween(was: PoolMembership, is: PoolMembership, facts: BackendFacts): PoolPlan {
  return planPool(
    statesOf(was.file, was.changes, facts),
    statesOf(is.file, is.changes, facts),
    is.file.settleMs,
    was.changes.override === undefined ? was.changes.remembered.map(({ untilMs }) => untilMs) : [],
  );
}

/** From the step before it; the drains of those that it takes out are done. */
function planQueued({ file, changes }: PoolMembership, { id }: QueuedStep, facts: BackendFacts): PoolPlan {
  const at = changes.queue.findIndex((one) => stepId(file.name, one) === id);
  const members = [changes.members, ...changes.queue.map((one) => one.members)];
  const stay = new Set(members[at + 1].map(({ name }) => name));
  const awaited = new Set(members[at].flatMap(({ name, agent }) => (agent && !stay.has(name) ? [name] : [])));
  const isDrained = (name: string): boolean => facts.isDrained(name) || awaited.has(name);
  const settled = (i: number): NamedStates => ({
    ...statesOf(file, changes),
    state: stateOf(changes, members[i], { ...facts, isDrained }),
    remembered: [],
  });
  return planPool(settled(at), settled(at + 1), file.settleMs);
}

/** What would break if the pool changed from `before` to `forced`, which waits for nothing. */
export function riskOfForce(
  pool: string,
  before: Membership,
  forced: Membership,
  facts: BackendFacts,
): PlanReport['pools'][number]['atRiskByForce'] {
  const is = forced.get(pool)!;
  const { flows } = planBetween(formerOf(before, pool, is)!, is, facts);
  return flows.map(({ bornUntil, tcpBreakWithSecondChance: share }) => ({
    ...(bornUntil !== undefined && { bornUntil }),
    share,
  }));
}

/** What waits, with what each waits for. */
export function queuedReport(pools: Membership): QueuedReport {
  return {
    changes: [...pools].flatMap(([pool, membership]) =>
      queuedSteps(membership).map((step, i, steps) => {
        const drains = step.waitsFor.map((name) => `${name} drains`);
        const first = membership.changes.formerKey === undefined ? 'one of two changes' : 'the flow hash key';
        const before = i > 0 ? [steps[i - 1].id] : [`${first} settles`];
        return { pool, ...queuedStatus(step), waitsFor: drains.length > 0 ? drains : before };
      }),
    ),
  };
}

/** What changes at once beside the members of pools. */
export function settingsChanges(before: LoadedConfig<'run'>, after: LoadedConfig<'run'>): string[] {
  const known = formerPools(before, after);
  const served = new Set(before.services.map(({ name }) => name));
  return [
    ...[keyChange(before, after)?.words ?? []].flat(),
    ...after.services.flatMap(({ name }) => (served.has(name) ? [] : [`${name}: a new service`])),
    ...serviceChanges(before, after, shareMoved),
    ...describeDefence(before, after),
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
  const known = formerPools(before, after);
  return [
    ...(keyChange(before, after) === undefined ? [] : keyLosses(after)).map((loss) => `node.key: ${loss}`),
    ...after.pools.flatMap(({ name, tableSize }) => {
      const was = known.get(name)?.tableSize ?? tableSize;
      if (was === tableSize) return [];
      return [
        `pools.${name}.table_size: ${was} -> ${tableSize} gives nearly all flows of the pool other slots, and their connections break`,
      ];
    }),
    ...movedServices(before, after, shareMoved).map(
      (moved) => `services: ${moved}, and their connections break`,
    ),
    ...endedServices(before, after).map((ended) => `services: ${ended}`),
  ];
}

/** By the name that it has in `after`, each pool as it is in `before`, under whatever name. */
function formerPools(
  before: LoadedConfig<'run'>,
  after: LoadedConfig<'run'>,
): ReadonlyMap<string, PoolConfig> {
  const byName = new Map(before.pools.map((pool) => [pool.name, pool]));
  const renamed = renamedPools(before, after);
  return new Map(
    after.pools.flatMap(({ name }) => {
      const former = byName.get(name) ?? byName.get(renamed.get(name) ?? '');
      return former === undefined ? [] : [[name, former]];
    }),
  );
}

/** Fields of the node that are fixed for the life of the process and differ. */
export function restartFields(before: NodeConfig, after: NodeConfig): string[] {
  const values = (node: NodeConfig): Record<string, string | number | undefined> => ({
    name: node.name,
    interface: node.interface,
    engine: node.engine,
    source: [node.source4?.text, node.source6?.text].join(),
    busy_poll_us: node.busyPollUs,
    bpffs: node.bpffs,
    socket: node.socket,
    state_dir: node.stateDirectory,
  });
  const [was, is] = [values(before), values(after)];
  return Object.keys(was).flatMap((field) => (was[field] === is[field] ? [] : [`node.${field}`]));
}

/** What a restart for these fields does to connections, and what to see to. */
export function restartHint(fields: readonly string[]): string {
  const place = ['node.name', 'node.state_dir'].filter((field) => fields.includes(field));
  if (place.length === 0) return 'Restart the node for that. Connections stay with their backends.';
  return (
    `Restart the node for that. With another ${place.join(' or ')} it does not find what it remembers (remembered states, drains and weights ` +
    'set at runtime, changes that wait) unless NAME.json is moved in state_dir as well, while the node is stopped.'
  );
}
