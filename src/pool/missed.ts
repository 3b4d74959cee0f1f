/**
 * What a pool was elsewhere while this node had something else in force, or nothing: a forwarder that comes back to its fleet remembers the
 * states in between, so that connections that the others have opened by them keep their backends here. They count as of the times at which the
 * others left them; who was down then is not known, and taken to be who is down here now.
 */
import type { BackendConfig, PoolConfig } from '../config/types.js';
import { wantedPool } from './agent-drain.js';
import { advance, type PoolChanges, sorted } from './change.js';
import { type Membership, mapPools, type PoolMembership } from './membership.js';
import { type RememberedState, rememberAlso, withStates } from './remembered.js';

export interface MissedPools {
  readonly pools: readonly PoolConfig[];
  /** Fingerprint of the secret whose keys hashed flows then. */
  readonly keyId: string | undefined;
  /** When something else came into force, as in change.ts. */
  readonly untilMs: number;
}

/** The same object when nothing is to be remembered. */
export function recall(before: Membership, missed: readonly MissedPools[], nowMs: number): Membership {
  return mapPools(before, (pool, name) => {
    const changes = advance(pool.changes, nowMs);
    const of = missed.flatMap(({ pools, keyId, untilMs }) => {
      const file = pools.find((one) => one.name === name);
      const isRemembered = untilMs < changes.nowMs && changes.nowMs < untilMs + changes.settleMs;
      return file && isRemembered ? [{ keyId, state: stateOf({ ...pool, changes }, file, untilMs) }] : [];
    });
    return of.length === 0 ? pool : { ...pool, changes: withMissed(changes, of) };
  });
}

function withMissed(
  changes: PoolChanges,
  missed: readonly { readonly keyId: string | undefined; readonly state: RememberedState }[],
): PoolChanges {
  const by = (id: string | undefined): RememberedState[] =>
    missed.flatMap(({ keyId, state }) => (keyId === id ? [state] : []));
  const { formerKey, keyId } = changes;
  const now = rememberAlso(changes, by(keyId));
  if (formerKey !== undefined) {
    const [newest, ...others] = formerKey.states;
    return {
      ...now,
      formerKey: { ...formerKey, states: [newest!, ...withStates(others, by(formerKey.id))] },
    };
  }
  // A node that begins while the key changes.
  const [last] = missed
    .filter((one) => one.keyId !== undefined && one.keyId !== keyId)
    .sort((a, b) => b.state.untilMs - a.state.untilMs);
  if (last === undefined || keyId === undefined) return now;
  const { untilMs } = last.state;
  return { ...now, formerKey: { id: last.keyId!, untilMs, states: withStates([], by(last.keyId)) } };
}

function stateOf(pool: PoolMembership, file: PoolConfig, untilMs: number): RememberedState {
  const members: BackendConfig[] = sorted(wantedPool({ ...pool, file }).backends);
  const names = new Set(members.map(({ name }) => name));
  const down = pool.changes.marks.filter(({ name, health }) => health !== 'up' && names.has(name));
  return {
    members,
    down: down.map(({ name }) => name),
    unreachable: down.flatMap(({ name, unreachable }) => (unreachable === true ? [name] : [])),
    untilMs,
  };
}
