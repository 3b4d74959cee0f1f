/** What differs between two configs of one pool, in words: for plans, reports and the log. */

import { isDeepStrictEqual } from 'node:util';
import { checkNames } from '../config/check-names.js';
import type { BackendConfig, PoolConfig } from '../config/types.js';
import { listed } from '../core/listed.js';
import { formatDuration } from '../core/time.js';

type Member = Omit<BackendConfig, 'address'> & { readonly address: { readonly text: string } };

/** So many names are spelled out. */
const NAMED = { most: 5 };
const BY_AGENT = { draining: ' (asked by its agent)', active: ' (its agent asks no longer)' } as const;

/**
 * Members, weights, admin states, addresses, agents, ids; empty when they are the same in any order.
 * @param isByAgent whether an agent alone is the reason for the new state of a member
 */
export function describeMembers(
  before: readonly Member[],
  after: readonly Member[],
  isByAgent: (name: string, state: BackendConfig['state']) => boolean = () => false,
): string[] {
  const old = new Map(before.map((backend) => [backend.name, backend]));
  const next = new Map(after.map((backend) => [backend.name, backend]));
  const added = [...next.keys()].filter((name) => !old.has(name));
  const removed = [...old.keys()].filter((name) => !next.has(name));
  const changes: string[] = [];
  if (added.length > 0) changes.push(`${listed(added, NAMED)} added`);
  if (removed.length > 0) changes.push(`${listed(removed, NAMED)} removed`);
  const differing = (
    what: string,
    value: (member: Member) => string,
    why: (member: Member) => string = () => '',
  ): void => {
    const list = [...next.values()].flatMap((backend) => {
      const was = old.get(backend.name);
      if (was === undefined || value(was) === value(backend)) return [];
      return [`${backend.name} ${what} ${value(was)} -> ${value(backend)}${why(backend)}`];
    });
    if (list.length > 0) changes.push(listed(list, NAMED));
  };
  differing(
    'state',
    ({ state }) => state,
    ({ name, state }) => (isByAgent(name, state) ? BY_AGENT[state] : ''),
  );
  differing('weight', ({ weight }) => String(weight));
  differing('address', ({ address }) => address.text);
  differing('agent', ({ agent }) => String(agent));
  differing('id', ({ id }) => String(id));
  return changes;
}

/** What a pool has beside its members, and takes at once. */
export function describeSettings(before: PoolConfig, after: PoolConfig): string[] {
  const changes: string[] = [];
  const differing = (what: string, value: (pool: PoolConfig) => unknown, so = ''): void => {
    const [was, is] = [value(before), value(after)];
    if (was !== is) changes.push(`${what} ${was} -> ${is}${so}`);
  };
  differing('table size', ({ tableSize }) => tableSize, ': all its flows get other slots');
  differing('panic threshold', ({ panicThreshold }) => panicThreshold);
  differing('settle time', ({ settleMs }) => formatDuration(settleMs));
  differing('drain deadline', ({ drainDeadlineMs }) => formatDuration(drainDeadlineMs));
  differing('dead after', ({ deadAfterMs }) => formatDuration(deadAfterMs));
  if (!isDeepStrictEqual(before.health, after.health)) {
    const [was, is] = [before, after].map(({ health }) => checkNames(health).join(', ') || 'none');
    changes.push(was === is ? 'health checks' : `health checks ${was} -> ${is}`);
  }
  if (!isDeepStrictEqual(before.prior, after.prior)) changes.push('prior state');
  return changes;
}
