/** Arbitrary members, and a history of a pool to play: what operators, checks, links, connections and restarts do, and when. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import type { BackendConfig } from '#anyhop/config/types.js';
import type { Clocks } from '#anyhop/core/clock.js';
import { addressFromBytes, type IpAddress } from '#anyhop/packet/address.js';
import { advance, force, hold, markEach, type PoolChanges, plan } from '#anyhop/pool/change.js';
import { readMemory, writeMemory } from '#anyhop/pool/change-file.js';
import { memoryOf } from '#anyhop/pool/membership.js';
import { standing } from '#anyhop/pool/standing.js';
import type { Health } from '#anyhop/table/state.js';

export const SETTLE_MS = 1000;
/** The pool's drain deadline. */
export const DRAIN_MS = 5000;
export const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'] as const;

/** One for each name. */
function addressOf(name: string): IpAddress {
  return addressFromBytes(Uint8Array.of(10, ...createHash('sha256').update(name).digest().subarray(0, 3)));
}

export function member(name: string, fields: Partial<BackendConfig> = {}): BackendConfig {
  return {
    name,
    address: addressOf(name),
    weight: 1,
    state: 'active',
    agent: true,
    id: idOf(name),
    ...fields,
  };
}

const ids = new Map<string, number>();

/** One for each name, as one for each address. */
function idOf(name: string): number {
  const id = ids.get(name) ?? ids.size + 1;
  ids.set(name, id);
  return id;
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
  | {
      readonly kind: 'mark';
      readonly name: string;
      readonly health: Health;
      readonly isReachable?: boolean;
    }
  | { readonly kind: 'hold'; readonly names: readonly string[] }
  | { readonly kind: 'restart' };

export interface Step {
  readonly afterMs: number;
  readonly action: Action;
}

export const markAction: fc.Arbitrary<Action> = fc.record({
  kind: fc.constant('mark' as const),
  name: fc.constantFrom(...NAMES),
  health: fc.constantFrom('up' as const, 'down' as const, 'dead' as const),
  isReachable: fc.constantFrom(true, true, false),
});

/** Who still has connections, as far as they drain. */
const holdAction: fc.Arbitrary<Action> = fc.record({
  kind: fc.constant('hold' as const),
  names: fc.subarray([...NAMES]),
});

export const planAction: fc.Arbitrary<Action> = fc.record({
  kind: fc.constantFrom('plan' as const, 'plan' as const, 'force' as const),
  members: memberList,
});

export const history: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    afterMs: fc.oneof(fc.constantFrom(0, 1, 999, 1000, 1001), fc.integer({ min: 0, max: 2500 })),
    action: fc.oneof(
      planAction,
      markAction,
      markAction,
      holdAction,
      fc.constant<Action>({ kind: 'restart' }),
    ),
  }),
  { maxLength: 25 },
);

/** As a check and the way to a backend say. */
export function mark(
  changes: PoolChanges,
  name: string,
  health: Health,
  nowMs: number,
  isReachable = true,
): PoolChanges {
  return markEach(changes, (one) => (one.name === name ? standing(health, isReachable) : undefined), nowMs);
}

/** What `action` makes of `changes`; a restart goes through the file. */
export function act(changes: PoolChanges, action: Action, nowMs: number): PoolChanges {
  switch (action.kind) {
    case 'plan':
      return plan(changes, action, nowMs);
    case 'force':
      return force(changes, action, nowMs);
    case 'mark':
      return advance(mark(changes, action.name, action.health, nowMs, action.isReachable), nowMs);
    case 'hold': {
      const holds = action.names.map((name) => ({ name, untilMs: nowMs + DRAIN_MS }));
      return hold(advance(changes, nowMs), holds, nowMs);
    }
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
