/** Arbitrary members, and a history of a pool to play: what operators, health checks and restarts do, and when. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import type { BackendConfig } from '#anyhop/config/types.js';
import type { Clocks } from '#anyhop/core/clock.js';
import { addressFromBytes, type IpAddress } from '#anyhop/packet/address.js';
import { advance, force, mark, type PoolChanges, plan } from '#anyhop/pool/change.js';
import { readMemory, writeMemory } from '#anyhop/pool/change-file.js';
import { memoryOf } from '#anyhop/pool/membership.js';

export const SETTLE_MS = 1000;
/** The pool's drain deadline. */
export const DRAIN_MS = 5000;
export const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'] as const;

/** One for each name. */
function addressOf(name: string): IpAddress {
  return addressFromBytes(Uint8Array.of(10, ...createHash('sha256').update(name).digest().subarray(0, 3)));
}

export function member(name: string, fields: Partial<BackendConfig> = {}): BackendConfig {
  return { name, address: addressOf(name), weight: 1, state: 'active', agent: true, id: 1, ...fields };
}

export const memberList: fc.Arbitrary<BackendConfig[]> = fc
  .uniqueArray(
    fc.record({
      name: fc.constantFrom(...NAMES),
      weight: fc.constantFrom(1, 1, 1, 2, 5, 0),
      state: fc.constantFrom<BackendConfig['state'][]>('active', 'active', 'active', 'draining'),
    }),
    { minLength: 1, selector: ({ name }) => name },
  )
  .map((list) => list.map(({ name, ...fields }) => member(name, fields)));

/** Both clocks where nobody has set the wall clock. */
export const clocksAt = (ms: number): Clocks => ({ nowMs: ms, wallMs: ms });

export type Action =
  | { readonly kind: 'plan' | 'force'; readonly members: readonly BackendConfig[] }
  | { readonly kind: 'mark'; readonly name: string; readonly health: 'up' | 'down' | 'dead' }
  | { readonly kind: 'restart' };

export interface Step {
  readonly afterMs: number;
  readonly action: Action;
}

export const markAction: fc.Arbitrary<Action> = fc.record({
  kind: fc.constant('mark' as const),
  name: fc.constantFrom(...NAMES),
  health: fc.constantFrom('up' as const, 'down' as const, 'dead' as const),
});

export const planAction: fc.Arbitrary<Action> = fc.record({
  kind: fc.constantFrom('plan' as const, 'plan' as const, 'force' as const),
  members: memberList,
});

export const history: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    afterMs: fc.oneof(fc.constantFrom(0, 1, 999, 1000, 1001), fc.integer({ min: 0, max: 2500 })),
    action: fc.oneof(planAction, markAction, markAction, fc.constant<Action>({ kind: 'restart' })),
  }),
  { maxLength: 25 },
);

/** What `action` makes of `changes`; a restart goes through the file. */
export function act(changes: PoolChanges, action: Action, nowMs: number): PoolChanges {
  switch (action.kind) {
    case 'plan':
      return plan(changes, action, nowMs);
    case 'force':
      return force(changes, action, nowMs);
    case 'mark':
      return mark(changes, action.name, action.health, nowMs);
    default:
      return advance(
        readMemory(
          writeMemory(new Map([['web', memoryOf(changes)]]), clocksAt(changes.nowMs)),
          clocksAt(nowMs),
        ).get('web')!.changes,
        nowMs,
      );
  }
}
