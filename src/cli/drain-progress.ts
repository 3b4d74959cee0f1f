/**
 * How far the drain of a backend has come, pool by pool, from one status of the node to the next. Pure: drain.ts asks and
 * waits.
 */
import type { PoolChangeReport } from '../api/api.js';
import type { DrainStatus, NodeStatus } from '../api/status.js';
import { printable } from '../core/printable.js';
import { clockTime } from '../core/time.js';
import { amount } from './format.js';

/**
 * `waiting` for its turn; `draining`; then for good: `drained` without a connection left, `cut_off` by the deadline, or ended
 * by somebody else, who took the drain back (`undone`) or the backend out of the pool (`removed`).
 */
export type DrainStage = 'waiting' | 'draining' | 'drained' | 'cut_off' | 'undone' | 'removed';

export interface PoolDrain {
  readonly pool: string;
  readonly backend: string;
  readonly stage: DrainStage;
  /** TCP connections left; null when nobody can tell. */
  readonly connections: number | null;
  /** ISO 8601: when it begins, or ends whatever is left. */
  readonly until?: string;
  /** Why nobody can tell. */
  readonly unknown?: string;
}

/** As the node said when it was told. */
export function drainsOf(backend: string, pools: readonly PoolChangeReport[]): PoolDrain[] {
  return pools.map(({ pool, effect, dueAt }) => ({
    pool,
    backend,
    // One that is unchanged drains already, or waits already.
    stage: effect === 'in_force' ? 'draining' : 'waiting',
    connections: null,
    ...(dueAt !== undefined && { until: dueAt }),
  }));
}

export function isOver({ stage }: PoolDrain): boolean {
  return stage !== 'waiting' && stage !== 'draining';
}

/** As they stand by now; those that are over stay as they are. */
export function followDrains(before: readonly PoolDrain[], status: NodeStatus): PoolDrain[] {
  return before.map((drain) => (isOver(drain) ? drain : follow(drain, status)));
}

function follow(before: PoolDrain, status: NodeStatus): PoolDrain {
  const pool = status.pools.find(({ name }) => name === before.pool);
  const member = pool?.backends.find(({ name }) => name === before.backend);
  const { backend, pool: name } = before;
  const ended = (stage: DrainStage): PoolDrain => ({ pool: name, backend, stage, connections: null });
  if (pool === undefined || member === undefined) return ended('removed');
  if (member.drain === undefined) {
    const mayCome = before.stage === 'waiting' && pool.change.queued.length > 0;
    return mayCome ? before : ended('undone');
  }
  return drainOf(name, backend, member.drain);
}

/** As a status tells it. */
export function drainOf(
  pool: string,
  backend: string,
  { connections, unknown, deadline, done }: DrainStatus,
): PoolDrain {
  return {
    pool,
    backend,
    stage: !done ? 'draining' : connections === 0 ? 'drained' : 'cut_off',
    connections,
    until: deadline,
    ...(unknown !== undefined && { unknown }),
  };
}

/** `web/web-2: draining, 12 connections left, until 13:00:00` */
export function drawDrain(drain: PoolDrain, now = new Date()): string {
  const { pool, backend, stage, until } = drain;
  const when = until === undefined ? '' : `until ${clockTime(until, now)}`;
  const words: Record<DrainStage, string> = {
    waiting: `waits ${when}`.trimEnd(),
    draining: `draining, ${drawLeft(drain)}, ${when}`.replace(/, $/, ''),
    drained: 'drained, no connection is left',
    cut_off: `the deadline ended the drain, ${drawLeft(drain)}`,
    undone: 'is active again: the drain was cancelled',
    removed: 'is no longer in the pool',
  };
  return `${pool}/${backend}: ${words[stage]}`;
}

function drawLeft({ connections, unknown }: PoolDrain): string {
  if (connections !== null) return `${amount(connections, 'connection')} left`;
  return `connections left: unknown${unknown === undefined ? '' : ` (${printable(unknown)})`}`;
}
