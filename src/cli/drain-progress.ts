/** The progress of a backend's drain in each pool, from one status of the node to the next. Pure: drain.ts asks and waits. */
import type { PoolChangeReport } from '../api/api.js';
import type { DrainStatus, NodeStatus } from '../api/status.js';
import { amount } from '../core/figures.js';
import { printable } from '../core/printable.js';
import { clockTime } from '../core/time.js';

/**
 * `waiting` in the queue, then `draining`. The end is one of: `drained` without a connection left, `cut_off` by the deadline,
 * `undone` by another command, `removed` from the pool.
 */
export type DrainStage = 'waiting' | 'draining' | 'drained' | 'cut_off' | 'undone' | 'removed';

export interface PoolDrain {
  readonly pool: string;
  readonly backend: string;
  readonly stage: DrainStage;
  /** TCP connections left; null if unknown. */
  readonly connections: number | null;
  /** ISO 8601: when it begins, or ends at the latest. */
  readonly until?: string;
  /** Why the number of connections is unknown. */
  readonly unknown?: string;
  /** The backend's own agent asks for it. */
  readonly byAgent?: true;
}

/** The drains in the answer to the request. */
export function drainsOf(backend: string, pools: readonly PoolChangeReport[]): PoolDrain[] {
  return pools.map(({ pool, effect, dueAt }) => ({
    pool,
    backend,
    // Unchanged means that it already drains or waits.
    stage: effect === 'in_force' ? 'draining' : 'waiting',
    connections: null,
    ...(dueAt !== undefined && { until: dueAt }),
  }));
}

export function isOver({ stage }: PoolDrain): boolean {
  return stage !== 'waiting' && stage !== 'draining';
}

/** Updates the drains from a status; those that have ended stay the same. */
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

export function drainOf(
  pool: string,
  backend: string,
  { connections, unknown, deadline, done, askedBy = [] }: DrainStatus,
): PoolDrain {
  return {
    pool,
    backend,
    stage: !done ? 'draining' : connections === 0 ? 'drained' : 'cut_off',
    connections,
    until: deadline,
    ...(unknown !== undefined && { unknown }),
    ...(askedBy.includes('agent') && { byAgent: true }),
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
  return `${pool}/${backend}: ${words[stage]}${drain.byAgent ? ', asked by its agent' : ''}`;
}

function drawLeft({ connections, unknown }: PoolDrain): string {
  if (connections !== null) return `${amount(connections, 'connection')} left`;
  return `connections left: unknown${unknown === undefined ? '' : ` (${printable(unknown)})`}`;
}
