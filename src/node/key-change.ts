/** Another flow hash key for a running node (pool/rekey.ts): what it moves, what it waits for. */
import { keyFingerprint } from '../config/key-fingerprint.js';
import type { LoadedConfig } from '../config/types.js';
import { listed } from '../core/listed.js';
import { clockTime } from '../core/time.js';
import { keyMoves } from '../pool/key-cost.js';
import { type Membership, passTime } from '../pool/membership.js';
import { rekeyWaitsUntilMs } from '../pool/rekey.js';

type Node = Pick<LoadedConfig<'run'>, 'node'>;

export function keyIdOf({ node }: Node): string {
  return keyFingerprint(node.key.reveal());
}

/** Undefined where the key stays. */
export function keyChange(before: Node, after: LoadedConfig<'run'>): { readonly words: string } | undefined {
  const [was, is] = [keyIdOf(before), keyIdOf(after)];
  if (was === is) return undefined;
  const moves = keyMoves(after);
  const cost =
    moves.length === 0
      ? ''
      : `: another owner for ${listed(moves)}; for a settle time the former owner of a flow is its first alternate`;
  return { words: `flow hash key ${was} -> ${is}${cost}` };
}

/** Which pools another flow hash key has to wait for, and until when, in words. */
export function keyWaits(pools: Membership, file: Node, nowMs: number): string[] {
  const id = keyIdOf(file);
  return [...passTime(pools, nowMs)].flatMap(([pool, { changes }]) => {
    const untilMs = rekeyWaitsUntilMs(changes, id);
    if (untilMs === undefined) return [];
    return [`pool ${pool}: at the latest until ${clockTime(new Date(untilMs).toISOString())}`];
  });
}
