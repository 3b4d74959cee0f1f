/**
 * Which live flows a pool's next state would break even with second chance: those whose backend is neither owner nor
 * alternate of their slot any more. Flows are told apart by when they were born, for a slot has two alternates and can
 * keep the flows of two former owners.
 *
 * Pure, slot by slot, over the tables that the nodes use; the one estimate is that flows spread evenly over the hash.
 */

import { NONE } from '../table/layers.js';
import { type PoolTables, resolvePool } from '../table/resolve.js';
import { machineOf, type PoolState, type PoolStates } from '../table/state.js';
import type { PoolChanges } from './change.js';
import { rememberedStates } from './states.js';

/** For each of `born`, the share of its flows (0 to 1) that `next` would break; 0 for a state in which nobody owned. */
export function shareAtRisk(born: readonly PoolState[], next: PoolStates): number[] {
  const after = resolvePool(next);
  return born.map((state) =>
    shareLost(resolvePool({ ...next, state, remembered: [], before: after }), after),
  );
}

export interface FlowsAtRisk {
  /** Those born in a state that was in force until then, the oldest first; undefined for the state in force. */
  readonly bornUntilMs: number | undefined;
  /** Of the flows of that age, 0 to 1. */
  readonly share: number;
}

/**
 * What the change of a pool from `before` to `next` would break, by the age of the flows; where nothing is settling nothing is at
 * risk.
 */
export function riskOf(before: PoolChanges, next: PoolStates): FlowsAtRisk[] {
  const remembered = rememberedStates(before);
  const born = remembered.map(({ state }) => state);
  const shares = shareAtRisk(born, next);
  return remembered.map(({ untilMs }, i) => ({ bornUntilMs: untilMs, share: shares[i] }));
}

function shareLost(before: PoolTables, after: PoolTables): number {
  const numbers = new Map(after.members.map((member, i) => [machineOf(member), i]));
  const places = before.members.map((member) => numbers.get(machineOf(member)) ?? NONE);
  let alive = 0;
  let lost = 0;
  for (let slot = 0; slot < before.owners.length; slot++) {
    const owner = before.owners[slot];
    if (owner === NONE) continue;
    alive++;
    const place = places[owner];
    if (place === NONE || !isReached(place, after, slot)) lost++;
  }
  return alive === 0 ? 0 : lost / alive;
}

function isReached(place: number, { owners, alternates }: PoolTables, slot: number): boolean {
  return owners[slot] === place || alternates[slot] === place || alternates[owners.length + slot] === place;
}
