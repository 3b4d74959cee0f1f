/**
 * The pool states that a pool's tables come from (table/state.ts), with what is sent where: the one value that node, simulator,
 * plans and commands make tables of, by resolvePool.
 *
 *   a running pool   statesOf: members in force and before (change.ts), their marks, drains and reach
 *   a config file    statesOfConfig: what it wants, and what it says was before
 */
import type { BackendConfig, PoolConfig } from '../config/types.js';
import type { Health, Member, PoolStates } from '../table/state.js';
import type { PoolChanges } from './change.js';
import type { PoolMoment } from './remembered.js';
import { type Standing, standing } from './standing.js';

/** A member of a pool state, and where it is reached. */
export interface StateMember extends BackendConfig, Omit<Member, 'address'> {}

export interface NamedStates extends PoolStates<StateMember> {
  readonly name: string;
  /** While the flow hash key changes: the fingerprint of the secret before. */
  readonly formerKey?: string;
}

/** What is known of backends beside their checks. */
export interface BackendFacts {
  /** Whether one that drains has no connection left. */
  isDrained(backend: string): boolean;
  /** Whether packets get there from here, now. */
  isReachable(backend: BackendConfig): boolean;
}

/** Where nothing is known. */
export const NO_FACTS: BackendFacts = { isDrained: () => false, isReachable: () => true };

type Settings = Pick<PoolConfig, 'name' | 'tableSize' | 'panicThreshold'>;

/** Of a pool whose changes are remembered. @param facts who is drained; who can be reached is in the marks */
export function statesOf(pool: Settings, changes: PoolChanges, facts?: BackendFacts): NamedStates {
  return {
    ...named(pool),
    state: stateInForce(changes, facts),
    remembered: rememberedStates(changes),
    ...underFormerKey(changes),
  };
}

/** As a file has it. @param healthOf the mark of a present member */
export function statesOfConfig(
  pool: PoolConfig,
  healthOf: (backend: BackendConfig) => Health = () => 'up',
  facts = NO_FACTS,
): NamedStates {
  const state = pool.backends.map((backend) =>
    present(backend, standing(healthOf(backend), facts.isReachable(backend)), facts),
  );
  return { ...named(pool), state, remembered: pool.prior === undefined ? [] : [pool.prior] };
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
  const byName = new Map(marks.map((mark) => [mark.name, mark]));
  return members.map((member) => present(member, byName.get(member.name)!, facts));
}

/** The states before the present one that connections may be from, the newest first. */
export function rememberedStates({ override, remembered }: PoolChanges): (readonly StateMember[])[] {
  return override === undefined ? remembered.map(membersOf) : [override];
}

/** While the flow hash key changes: the former one, and the states that its connections may be from, the newest first. */
function underFormerKey({
  formerKey,
  override,
}: PoolChanges): Pick<NamedStates, 'formerKey' | 'underFormerKey'> {
  if (formerKey === undefined) return {};
  const [newest, ...others] = formerKey.states.map(membersOf);
  return {
    formerKey: formerKey.id,
    underFormerKey: [newest, ...(override === undefined ? others : [override])],
  };
}

const known = new WeakMap<PoolMoment, readonly StateMember[]>();

/** The same list for the same state, which tables need not be made of again. */
function membersOf(moment: PoolMoment): readonly StateMember[] {
  const before = known.get(moment);
  if (before !== undefined) return before;
  const [down, unreachable] = [new Set(moment.down), new Set(moment.unreachable)];
  const list = moment.members.map((member) =>
    present(member, standing(down.has(member.name) ? 'down' : 'up', !unreachable.has(member.name)), NO_FACTS),
  );
  known.set(moment, list);
  return list;
}

/** Who is of another state alone, one for each machine: the newest. */
export function formerMembers(changes: PoolChanges): readonly BackendConfig[] {
  const { members, override, remembered, formerKey } = changes;
  const ofFormerKey = formerKey?.states.map((one) => one.members) ?? [];
  const lists = [
    ...(override === undefined ? remembered.map((one) => one.members) : [override]),
    ...ofFormerKey,
  ];
  const others = new Set(lists.filter((list) => list !== members));
  if (others.size === 0) return [];
  const machines = new Set(members.map(({ address }) => address.text));
  return [...others].flat().filter(({ address: { text } }) => !machines.has(text) && machines.add(text));
}

/** Of one shape and without a spread: with one, a health change of 1000 backends takes 8 ms of CPU time, and 4 without. */
function present(
  backend: BackendConfig,
  { health, unreachable }: Standing,
  { isDrained }: BackendFacts,
): StateMember {
  const { name, address, weight, state, agent, id } = backend;
  const drained = state === 'draining' && isDrained(name) ? true : undefined;
  return { name, address, weight, state, agent, id, health, unreachable, drained };
}
