/**
 * Which live flows a pool's next state would break even with second chance: those whose backend is neither owner nor
 * alternate of their slot any more. Flows are told apart by when they were born, for a slot has one alternate and can
 * keep one former owner's flows: after a change that has not settled it is the owner before it, so what was born since
 * is at risk in the next change.
 *
 * Pure, slot by slot, over the tables that the nodes use; the one estimate is that flows spread evenly over the hash.
 */

import { NONE } from '../table/layers.js';
import { type PoolTables, resolvePool } from '../table/resolve.js';
import type { PoolState } from '../table/state.js';
import type { PoolChanges } from './change.js';
import { type BackendFacts, priorState, rememberedStates, stateInForce } from './remembered.js';

export interface RiskInput {
  /** M, prime. */
  readonly slots: number;
  readonly panicThreshold?: number | undefined;
  /** Pool states that live flows were born in: `rememberedStates` of pool/change.ts, oldest first. */
  readonly born: readonly PoolState[];
  /** The state that would come into force, and the prior state beside it. */
  readonly next: PoolState;
  readonly prior: PoolState;
}

/** For each of `born`, the share of its flows (0 to 1) that `next` would break; 0 for a state in which nobody owned. */
export function shareAtRisk(input: RiskInput): number[] {
  const { slots, panicThreshold, born, next, prior } = input;
  const after = resolvePool({ slots, panicThreshold, state: next, prior });
  return born.map((state) => {
    const tables = resolvePool({
      slots,
      panicThreshold,
      state,
      stack: after.stack,
      priorStack: after.priorStack,
    });
    return shareLost(tables, after);
  });
}

export interface FlowsAtRisk {
  /** Those born in a state that was in force until then, the oldest first; undefined for the state in force. */
  readonly bornUntilMs: number | undefined;
  /** Of the flows of that age, 0 to 1. */
  readonly share: number;
}

/**
 * What the change of a pool from `before` to `after` would break, by the age of the flows; where nothing is settling nothing is at
 * risk.
 *
 * @param slots M, prime
 */
export function riskOf(
  before: PoolChanges,
  after: PoolChanges,
  { slots, panicThreshold }: Pick<RiskInput, 'slots' | 'panicThreshold'>,
  facts?: BackendFacts,
): FlowsAtRisk[] {
  const remembered = rememberedStates(before);
  const shares = shareAtRisk({
    slots,
    panicThreshold,
    born: remembered.map(({ state }) => state),
    next: stateInForce(after, facts),
    prior: priorState(after, facts),
  });
  return remembered.map(({ untilMs }, i) => ({ bornUntilMs: untilMs, share: shares[i] }));
}

function shareLost(before: PoolTables, after: PoolTables): number {
  const index = new Map(after.names.map((name, i) => [name, i]));
  const places = before.names.map((name) => index.get(name) ?? NONE);
  let alive = 0;
  let lost = 0;
  for (let slot = 0; slot < before.owners.length; slot++) {
    const owner = before.owners[slot];
    if (owner === NONE) continue;
    alive++;
    const place = places[owner];
    if (place === NONE || (place !== after.owners[slot] && place !== after.alternates[slot])) lost++;
  }
  return alive === 0 ? 0 : lost / alive;
}
