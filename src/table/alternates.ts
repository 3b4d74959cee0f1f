/**
 * The alternates of every slot: the first two of its candidates, the backends that may hold its older connections. In order,
 * without the owner and without repeats:
 *
 *  1. the slot's owners by the remembered states, the newest first: those that are up, then those that are marked down,
 *  2. backends above the owner in the stack that are draining, not drained, and up,
 *  3. what fills up: the next eligible backends down the stack, then along the walk (walk.ts).
 *
 * A backend that is `dead` has no connections and is none, but for an owner by a state that ignored marks (eligible.ts). A machine
 * that is gone is as it was in the newest state that has it.
 *
 * Nobody knows whether one that drains ever owned the slot, so it comes after those that did. While the pool remembers the state
 * before the drain it is one of them.
 */
import { ignoresMarks } from './eligible.js';
import { NONE } from './layers.js';
import type { StateOwners } from './owners.js';
import type { Member } from './state.js';
import { Walk } from './walk.js';

/** Of each slot. */
const ALTERNATES = 2;

/** A state that was resolved, with the number (machines.ts) of each name of its stack. */
export interface PlacedOwners {
  readonly resolved: StateOwners;
  readonly numbers: Uint16Array;
}

/** Two numbers a slot, NONE for none: the first ones of all slots, then the second ones. */
type Pairs = Uint16Array<ArrayBuffer>;

/**
 * @param owners of the present state, as numbers
 * @param remembered the newest first
 * @param members by number
 */
export function resolveAlternates(
  present: PlacedOwners,
  owners: Uint16Array,
  remembered: readonly PlacedOwners[],
  members: readonly Member[],
): Pairs {
  const found = new Uint16Array(ALTERNATES * owners.length).fill(NONE);
  takeFormers(present, owners, remembered, members, found);
  takeDraining(present, members, found);
  fillUp(present, members, found);
  return found;
}

function takeFormers(
  present: PlacedOwners,
  owners: Uint16Array,
  remembered: readonly PlacedOwners[],
  members: readonly Member[],
  found: Pairs,
): void {
  const isUp = Uint8Array.from(members, ({ health }) => (health === 'up' ? 1 : 0));
  const down = found.slice();
  const take = (slot: number, former: number): void => {
    if (former !== NONE && former !== owners[slot]) put(isUp[former] === 1 ? found : down, slot, former);
  };
  for (const { resolved, numbers } of remembered) {
    if (resolved.mode === 'none') continue;
    const isForgotten = ignoresMarks(resolved.mode) ? () => false : isDead;
    const candidates = numbers.map((number) => (isForgotten(members[number]) ? NONE : number));
    if (isOneStack({ resolved, numbers }, present)) {
      // Nearly always: marks and drains leave the stack as it is, and both states have the owners of its first layer elsewhere.
      for (const slot of resolved.moved) take(slot, candidates[resolved.owners[slot]]);
      for (const slot of present.resolved.moved) take(slot, candidates[resolved.owners[slot]]);
    } else {
      const differing = slotsThatDiffer(resolved.owners, candidates, owners);
      for (const slot of differing) take(slot, candidates[resolved.owners[slot]]);
    }
  }
  if (!isUp.includes(0)) return;
  for (let slot = 0; slot < owners.length; slot++) {
    if (down[slot] === NONE) continue;
    put(found, slot, down[slot]);
    put(found, slot, down[owners.length + slot]);
  }
}

/** Whether two states have the same stack, of the same machines. */
function isOneStack(one: PlacedOwners, other: PlacedOwners): boolean {
  return (
    one.resolved.stack === other.resolved.stack &&
    one.numbers.every((number, i) => number === other.numbers[i])
  );
}

/** A loop of its own: with what is done for such a slot in it, it takes half as long again. */
function slotsThatDiffer(formers: Uint16Array, candidates: Uint16Array, owners: Uint16Array): number[] {
  const slots: number[] = [];
  for (let slot = 0; slot < owners.length; slot++) {
    if (candidates[formers[slot]] !== owners[slot]) slots.push(slot);
  }
  return slots;
}

function isDead({ health }: Member): boolean {
  return health === 'dead';
}

function takeDraining({ resolved, numbers }: PlacedOwners, members: readonly Member[], found: Pairs): void {
  const mayHold = numbers.map((number) => {
    const { state, drained, health } = members[number];
    return state === 'draining' && drained !== true && health === 'up' ? 1 : 0;
  });
  if (!mayHold.includes(1)) return;
  const { owners, moved, stack } = resolved;
  for (const slot of moved) {
    for (const layer of stack.layers) {
      const backend = layer[slot];
      if (backend === owners[slot]) break;
      if (mayHold[backend] === 1) put(found, slot, numbers[backend]);
    }
  }
}

/**
 * Who may hold the connections of each slot that were hashed with a former key: its owners by the states of that time, the newest first,
 * those that are up before those that are marked down. Nobody knows whether one that drains above the owner ever owned the slot: when
 * the pool has changed since, those that owned it since then are wanted more.
 *
 * @param states the newest first
 * @param members by number
 * @param hasChanged since the key has
 */
export function resolveHolders(
  states: readonly PlacedOwners[],
  members: readonly Member[],
  hasChanged: boolean,
): Pairs {
  const [newest] = states;
  const slots = newest.resolved.owners.length;
  const up = new Uint16Array(ALTERNATES * slots).fill(NONE);
  const down = up.slice();
  for (const { resolved, numbers } of states) {
    if (resolved.mode === 'none') continue;
    const isForgotten = ignoresMarks(resolved.mode) ? () => false : isDead;
    const pairs = Array.from(numbers, (number) => (members[number].health === 'up' ? up : down));
    const holders = numbers.map((number) => (isForgotten(members[number]) ? NONE : number));
    for (let slot = 0; slot < slots; slot++) {
      const owner = resolved.owners[slot];
      if (owner !== NONE && holders[owner] !== NONE) put(pairs[owner], slot, holders[owner]);
    }
  }
  for (let slot = 0; slot < slots; slot++) {
    if (down[slot] === NONE) continue;
    put(up, slot, down[slot]);
    put(up, slot, down[slots + slot]);
  }
  if (!hasChanged) takeDraining(newest, members, up);
  return up;
}

/** Into the first free place of two, unless it is there already. */
function put(pairs: Pairs, slot: number, number: number): void {
  const second = slot + pairs.length / ALTERNATES;
  if (pairs[slot] === NONE) pairs[slot] = number;
  else if (pairs[slot] !== number && pairs[second] === NONE) pairs[second] = number;
}

/** Gives each slot two, as far as there are any. */
function fillUp({ resolved, numbers }: PlacedOwners, members: readonly Member[], found: Pairs): void {
  const { owners, stack } = resolved;
  const { slots, layers } = stack;
  const wanted = resolved.wanted.map((each, i) => (isDead(members[numbers[i]]) ? 0 : each));
  const walk = new Walk(stack, wanted);
  const inStack = new Uint16Array(members.length).fill(NONE);
  for (let i = 0; i < numbers.length; i++) inStack[numbers[i]] = i;
  const taken = new Uint16Array(ALTERNATES);
  const [top, next, afterNext] = layers;
  for (let slot = 0; slot < slots; slot++) {
    let first = found[slot];
    let second = found[slots + slot];
    if (second !== NONE) continue;
    const owner = owners[slot];
    // What the loop below would find, for nearly every slot of a pool in good health.
    if (first === NONE && afterNext !== undefined && owner === top[slot]) {
      if (wanted[next[slot]] === 1 && wanted[afterNext[slot]] === 1) {
        found[slot] = numbers[next[slot]];
        found[slots + slot] = numbers[afterNext[slot]];
        continue;
      }
    }
    for (let k = 0; k < layers.length && second === NONE; k++) {
      const backend = layers[k][slot];
      if (backend === owner || wanted[backend] === 0) continue;
      const number = numbers[backend];
      if (first === NONE) first = number;
      else if (first !== number) second = number;
    }
    taken[0] = owner;
    while (second === NONE) {
      if (first !== NONE) taken[1] = inStack[first];
      const backend = walk.first(slot, taken, first === NONE ? 1 : 2);
      if (backend === NONE) break;
      if (first === NONE) first = numbers[backend];
      else second = numbers[backend];
    }
    found[slot] = first;
    found[slots + slot] = second;
  }
}
