/** The pool states that a pool's changes (change.ts) tell of: what is in force, the prior state, and what came between. */
import { type ChangeMember, type PoolChanges, type PriorMember, upOrDown } from './change.js';
import type { PoolState } from './state.js';

/** The pool state in force. @param isDrained whether one that drains has no connection left */
export function stateInForce(changes: PoolChanges, isDrained?: (backend: string) => boolean): PoolState {
  return stateOf(changes, changes.members, isDrained);
}

/** Members that are in force, or wait to be, with the marks that they have now. */
export function stateOf(
  { marks }: PoolChanges,
  members: readonly ChangeMember[],
  isDrained: (backend: string) => boolean = () => false,
): PoolState {
  const byName = new Map(marks.map(({ name, health }) => [name, health]));
  return members.map(({ name, weight, state }) => ({
    name,
    weight,
    state,
    health: byName.get(name)!,
    ...(state === 'draining' && isDrained(name) && { drained: true }),
  }));
}

/** The prior state with the addresses of its members, for one that is no longer in force is still sent to. */
export function priorMembers(changes: PoolChanges): readonly PriorMember[] {
  if (changes.override !== undefined) return changes.override;
  return rested(changes, changes.past[0]?.members ?? changes.members);
}

/** The prior state, for resolvePool. */
export function priorState(changes: PoolChanges): PoolState {
  return withoutAddresses(priorMembers(changes));
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

function rested({ marks }: PoolChanges, members: readonly ChangeMember[]): PriorMember[] {
  const byName = new Map(marks.map((one) => [one.name, one.rested]));
  return members.map((member) => ({ ...member, health: byName.get(member.name)! }));
}

function withoutAddresses(members: readonly PriorMember[]): PoolState {
  return members.map(({ name, weight, state, health }) => ({ name, weight, state, health }));
}
