/**
 * Another flow hash key for a pool. With it nearly every flow has another slot, so the states that connections of the former key may be
 * from are set aside, and what is remembered begins anew: the packet path asks both keys until no connection is left of the former one.
 *
 *   remembered, in force --rekey--> formerKey.states       one settle time, and as long as drains from before are not done
 *
 * It is a planned change of its own: it comes when fewer than two are open, and no other comes while it lasts.
 */
import { CHANGES_OPEN_MAX } from '../core/limits.js';
import type { PoolChanges } from './change.js';
import { openChanges, opensAtMs, unfinishedDrains } from './open-changes.js';
import { isRemembered, momentOf, type RememberedState } from './remembered.js';

/** The key that a pool had before, while connections live that were hashed with it. */
export interface FormerKey {
  /** Fingerprint of its secret. */
  readonly id: string;
  /** When another one came into force. */
  readonly untilMs: number;
  /** The state in force then, and those remembered by then, the newest first. */
  readonly states: readonly RememberedState[];
}

/**
 * Hashes flows with the key of a secret from now on.
 * @param id the secret's fingerprint; a pool that had none yet takes it for the one that it always had
 */
export function rekey(changes: PoolChanges, id: string): PoolChanges {
  const { keyId, formerKey, remembered, nowMs } = changes;
  if (keyId === id) return changes;
  if (keyId === undefined) return { ...changes, keyId: id };
  const states = [{ ...momentOf(changes), untilMs: nowMs }, ...remembered];
  return {
    ...changes,
    keyId: id,
    formerKey: { id: keyId, untilMs: nowMs, states },
    // Back to the key before: who has its connections was remembered.
    remembered: formerKey?.id === id ? formerKey.states : [],
  };
}

/** When another key may come at the latest, if no drain lasts longer; undefined when it may come now. */
export function rekeyWaitsUntilMs(changes: PoolChanges, id: string): number | undefined {
  const { keyId, formerKey, settleMs, nowMs } = changes;
  if (keyId === undefined || keyId === id) return undefined;
  if (formerKey !== undefined && formerKey.id !== id)
    return Math.max(nowMs + 1, formerKey.untilMs + settleMs);
  if (openChanges(changes).length < CHANGES_OPEN_MAX) return undefined;
  return Math.min(...opensAtMs(changes));
}

/** Without a former key whose connections are over. */
export function withoutFormerKey(changes: PoolChanges): PoolChanges {
  const { formerKey, settleMs, nowMs } = changes;
  if (formerKey === undefined) return changes;
  const isOver =
    nowMs >= formerKey.untilMs + settleMs &&
    unfinishedDrains(changes).every(({ atMs = 0 }) => atMs > formerKey.untilMs);
  if (isOver) return { ...changes, formerKey: undefined };
  const isLeft = isRemembered(changes);
  const states = formerKey.states.filter((state, i) => i === 0 || isLeft(state));
  return states.length === formerKey.states.length
    ? changes
    : { ...changes, formerKey: { ...formerKey, states } };
}
