/**
 * The alternates of every slot: the first two of its candidates, the backends that may hold its older connections. In order,
 * without the owner and without repeats:
 *
 *  1. the slot's owners by the remembered states, the newest first,
 *  2. backends above the owner in the stack that are draining, not drained, and up,
 *  3. what fills up: the next eligible backends down the stack, then along the walk (walk.ts).
 *
 * A backend that is `dead` has no connections and is none, but for an owner by a state that ignored marks (eligible.ts). A machine
 * that is gone is as it was in the newest state that has it.
 *
 * It takes 0.5 ms at M = 65537, and 0.1 ms more for each remembered state.
 */
import { ignoresMarks } from './eligible.js';
import { NONE } from './layers.js';
import type { StateOwners } from './owners.js';
import type { Member } from './state.js';
import { Walk } from './walk.js';

/** Of each slot. */
export const ALTERNATES = 2;

/** A state that was resolved, with the number (machines.ts) of each name of its stack. */
export interface PlacedOwners {
  readonly resolved: StateOwners;
  readonly numbers: Uint16Array;
}

/** @returns numbers, NONE for none: the first ones of all slots, then the second ones */
export function resolveAlternates(
  present: PlacedOwners,
  remembered: readonly PlacedOwners[],
  members: readonly Member[],
): Uint16Array {
  const found = new Uint16Array(ALTERNATES * present.resolved.stack.slots).fill(NONE);
  for (const former of remembered) takeOwners(former, present, members, found);
  takeDraining(present, members, found);
  fillUp(present, members, found);
  return found;
}

/** Adds each slot's owner by a remembered state. */
function takeOwners(
  { resolved, numbers }: PlacedOwners,
  present: PlacedOwners,
  members: readonly Member[],
  found: Uint16Array,
): void {
  const isForgotten = ignoresMarks(resolved.mode) ? () => false : isDead;
  const candidates = numbers.map((number) => (isForgotten(members[number]) ? NONE : number));
  const { owners } = resolved;
  const now = present.resolved.owners;
  const slots = owners.length;
  const isOneList = isSameList(numbers, present.numbers);
  for (let slot = 0; slot < slots; slot++) {
    const owner = owners[slot];
    // Most slots have the owner that they had.
    if (isOneList && owner === now[slot]) continue;
    if (owner === NONE) continue;
    const former = candidates[owner];
    if (former === NONE || (now[slot] !== NONE && former === present.numbers[now[slot]])) continue;
    put(found, slots, slot, former);
  }
}

function isSameList(some: Uint16Array, others: Uint16Array): boolean {
  return some.length === others.length && some.every((number, i) => number === others[i]);
}

function isDead({ health }: Member): boolean {
  return health === 'dead';
}

/** Adds those that drain above the owner. */
function takeDraining(
  { resolved, numbers }: PlacedOwners,
  members: readonly Member[],
  found: Uint16Array,
): void {
  const { owners, stack } = resolved;
  const mayHold = Uint8Array.from(numbers, (number) => {
    const { state, drained, health } = members[number];
    return state === 'draining' && drained !== true && health === 'up' ? 1 : 0;
  });
  if (!mayHold.includes(1)) return;
  const { slots, layers } = stack;
  for (let slot = 0; slot < slots; slot++) {
    for (let k = 0; k < layers.length && layers[k][slot] !== owners[slot]; k++) {
      const backend = layers[k][slot];
      if (mayHold[backend] === 1) put(found, slots, slot, numbers[backend]);
    }
  }
}

/** Into the first free place of two, unless it is there already. */
function put(table: Uint16Array, slots: number, slot: number, number: number): void {
  if (table[slot] === NONE) table[slot] = number;
  else if (table[slot] !== number && table[slots + slot] === NONE) table[slots + slot] = number;
}

/** Gives each slot two candidates, as far as there are any. */
function fillUp({ resolved, numbers }: PlacedOwners, members: readonly Member[], found: Uint16Array): void {
  const { owners, stack } = resolved;
  const { slots, layers } = stack;
  const height = layers.length;
  const wanted = resolved.wanted.map((each, i) => (isDead(members[numbers[i]]) ? 0 : each));
  const walk = new Walk(stack, wanted);
  const inStack = new Uint16Array(members.length).fill(NONE);
  for (let i = 0; i < numbers.length; i++) inStack[numbers[i]] = i;
  const taken = new Uint16Array(ALTERNATES);
  for (let slot = 0; slot < slots; slot++) {
    let first = found[slot];
    let second = found[slots + slot];
    if (second !== NONE) continue;
    const owner = owners[slot];
    for (let k = 0; k < height && second === NONE; k++) {
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
