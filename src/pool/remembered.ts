/** The pool states that a pool's changes (change.ts) tell of: what is in force, the prior state, and what came between. */
import type { BackendConfig, PriorBackendConfig } from '../config/types.js';
import type { PoolState } from '../table/state.js';
import { type PoolChanges, upOrDown } from './change.js';

/** What is known of a pool's backends beside their marks; where nothing is known, all can be reached, and none is drained. */
export interface BackendFacts {
  /** Whether one that drains has no connection left. */
  isDrained(backend: string): boolean;
  /** Whether packets get there from here, now. */
  isReachable(backend: string): boolean;
}

const NO_FACTS: BackendFacts = { isDrained: () => false, isReachable: () => true };

/** The pool state in force. */
export function stateInForce(changes: PoolChanges, facts?: BackendFacts): PoolState {
  return stateOf(changes, changes.members, facts);
}

/** Members that are in force, or wait to be, with the marks that they have now. */
export function stateOf(
  { marks }: PoolChanges,
  members: readonly BackendConfig[],
  { isDrained, isReachable } = NO_FACTS,
): PoolState {
  const byName = new Map(marks.map(({ name, health }) => [name, health]));
  return members.map(({ name, weight, state }) => ({
    name,
    weight,
    state,
    health: byName.get(name)!,
    ...(!isReachable(name) && { unreachable: true as const }),
    ...(state === 'draining' && isDrained(name) && { drained: true }),
  }));
}

/** The prior state with the addresses of its members, for one that is no longer in force is still sent to. */
export function priorMembers(changes: PoolChanges): readonly PriorBackendConfig[] {
  if (changes.override !== undefined) return changes.override;
  return rested(changes, changes.past[0]?.members ?? changes.members);
}

/**
 * The prior state, for resolvePool. Who could be reached then is not remembered: of those that were not up, most likely those that can
 * be reached now.
 */
export function priorState(changes: PoolChanges, { isReachable } = NO_FACTS): PoolState {
  return withoutAddresses(priorMembers(changes)).map((member) =>
    member.health === 'up' || isReachable(member.name) ? member : { ...member, unreachable: true },
  );
}

/** A pool state that was in force within the last settle time, or is. */
export interface Remembered {
  readonly state: PoolState;
  /** Undefined for the state in force. */
  readonly untilMs: number | undefined;
}

/** Where live flows may have been born: the prior state, what came between, the state in force; oldest first. */
export function rememberedStates(changes: PoolChanges): Remembered[] {
  const past = changes.past.map(
    ({ members, untilMs }): Remembered => ({ state: withoutAddresses(rested(changes, members)), untilMs }),
  );
  const isFlapping = changes.marks.some((one) => upOrDown(one.health) !== one.rested);
  if (past.length === 0 && isFlapping) past.push({ state: priorState(changes), untilMs: changes.nowMs });
  return [...past, { state: stateInForce(changes), untilMs: undefined }];
}

function rested({ marks }: PoolChanges, members: readonly BackendConfig[]): PriorBackendConfig[] {
  const byName = new Map(marks.map((one) => [one.name, one.rested]));
  return members.map((member) => ({ ...member, health: byName.get(member.name)! }));
}

function withoutAddresses(members: readonly PriorBackendConfig[]): PoolState {
  return members.map(({ name, weight, state, health }) => ({ name, weight, state, health }));
}
