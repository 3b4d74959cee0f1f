/**
 * The pool states that a pool's tables come from (table/state.ts), with what is sent where: the one value that node, simulator,
 * plans and commands make tables of, by resolvePool.
 *
 *   a running pool   statesOf: members in force and before (change.ts), their marks, drains and reach
 *   a config file    statesOfConfig: what it wants, and what it says was before
 */
import type { BackendConfig, PoolConfig, PriorBackendConfig } from '../config/types.js';
import type { Health, Member, PoolStates } from '../table/state.js';
import { type PoolChanges, upOrDown } from './change.js';

/** A member of a pool state, and where it is reached. */
export interface StateMember extends BackendConfig, Omit<Member, 'address'> {}

export interface NamedStates extends PoolStates<StateMember> {
  readonly name: string;
}

/** What is known of backends beside their health marks. */
export interface BackendFacts {
  /** Whether one that drains has no connection left. */
  isDrained(backend: string): boolean;
  /** Whether packets get there from here, now. */
  isReachable(backend: BackendConfig): boolean;
}

/** Where nothing is known. */
export const NO_FACTS: BackendFacts = { isDrained: () => false, isReachable: () => true };

type Settings = Pick<PoolConfig, 'name' | 'tableSize' | 'panicThreshold'>;

/** Of a pool whose changes are remembered. */
export function statesOf(pool: Settings, changes: PoolChanges, facts?: BackendFacts): NamedStates {
  return { ...named(pool), state: stateInForce(changes, facts), remembered: [priorState(changes, facts)] };
}

/** As a file has it. @param healthOf the mark of a present member */
export function statesOfConfig(
  pool: PoolConfig,
  healthOf: (backend: BackendConfig) => Health = () => 'up',
  facts = NO_FACTS,
): NamedStates {
  const state = pool.backends.map((backend) => present(backend, healthOf(backend), facts));
  const prior = pool.prior?.map((backend) => past(backend, facts));
  return { ...named(pool), state, remembered: prior === undefined ? [] : [prior] };
}

function named({ name, tableSize, panicThreshold }: Settings): Omit<NamedStates, 'state' | 'remembered'> {
  return { name, slots: tableSize, panicThreshold };
}

export function stateInForce(changes: PoolChanges, facts?: BackendFacts): StateMember[] {
  return stateOf(changes, changes.members, facts);
}

/** Members that are in force, or wait to be, with the marks that they have now. */
export function stateOf(
  { marks }: PoolChanges,
  members: readonly BackendConfig[],
  facts = NO_FACTS,
): StateMember[] {
  const byName = new Map(marks.map(({ name, health }) => [name, health]));
  return members.map((member) => present(member, byName.get(member.name)!, facts));
}

export function priorState(changes: PoolChanges, facts = NO_FACTS): StateMember[] {
  return priorMembers(changes).map((member) => past(member, facts));
}

/** The members of the prior state, with their marks. */
export function priorMembers(changes: PoolChanges): readonly PriorBackendConfig[] {
  return changes.override ?? rested(changes, changes.past[0]?.members ?? changes.members);
}

/** A pool state that was in force within the last settle time, or is. */
export interface Remembered {
  readonly state: readonly StateMember[];
  /** Undefined for the state in force. */
  readonly untilMs: number | undefined;
}

/** Where live flows may have been born: the prior state, what came between, the state in force; oldest first. */
export function rememberedStates(changes: PoolChanges): Remembered[] {
  const past = changes.past.map(
    ({ members, untilMs }): Remembered => ({ state: rested(changes, members), untilMs }),
  );
  const isFlapping = changes.marks.some((one) => upOrDown(one.health) !== one.rested);
  if (past.length === 0 && isFlapping) past.push({ state: priorState(changes), untilMs: changes.nowMs });
  return [...past, { state: stateInForce(changes), untilMs: undefined }];
}

function rested({ marks }: PoolChanges, members: readonly BackendConfig[]): PriorBackendConfig[] {
  const byName = new Map(marks.map((one) => [one.name, one.rested]));
  return members.map(({ name, address, weight, state, agent, id }) => {
    return { name, address, weight, state, agent, id, health: byName.get(name)! };
  });
}

/** Of one shape and without a spread: with one, a health change of 1000 backends takes 8 ms of CPU time, and 4 without. */
function present(
  backend: BackendConfig,
  mark: Health,
  { isDrained, isReachable }: BackendFacts,
): StateMember {
  const { name, address, weight, state, agent, id } = backend;
  const unreachable = isReachable(backend) ? undefined : true;
  const health = mark === 'up' && unreachable ? 'down' : mark;
  const drained = state === 'draining' && isDrained(name) ? true : undefined;
  return { name, address, weight, state, agent, id, health, unreachable, drained };
}

/** Who could be reached then is not remembered: of those that were not up, most likely those that can be reached now. */
function past(member: PriorBackendConfig, { isReachable }: BackendFacts): StateMember {
  return member.health === 'up' || isReachable(member) ? member : { ...member, unreachable: true };
}
