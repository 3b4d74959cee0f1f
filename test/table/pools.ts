/** Arbitrary pools for the property tests, and small helpers to read tables by name. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { NONE, type Stack } from '#anyhop/table/layers.js';
import type { PoolTables } from '#anyhop/table/resolve.js';
import type { Health, Member, PoolState } from '#anyhop/table/state.js';

/** Small primes: the laws do not depend on M, and a failing case can be read. */
export const smallSlots = fc.constantFrom(251, 257, 509);

export const backendName = fc.stringMatching(/^[a-z][a-z0-9-]{0,6}$/);

export const weight = fc.oneof(
  { weight: 4, arbitrary: fc.constant(1) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 10 }) },
  { weight: 1, arbitrary: fc.constantFrom(1, 2, 100, 65535) },
  { weight: 1, arbitrary: fc.constant(0) },
);

export const health = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Health>('up') },
  { weight: 2, arbitrary: fc.constant<Health>('down') },
  { weight: 1, arbitrary: fc.constant<Health>('dead') },
);

export const admin = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Member['state']>('active') },
  { weight: 1, arbitrary: fc.constant<Member['state']>('draining') },
);

export function poolState(
  constraints: { minLength?: number; maxLength?: number } = {},
): fc.Arbitrary<PoolState> {
  const member = fc
    .record({ name: backendName, weight, state: admin, health, drained: fc.boolean(), reach: fc.boolean() })
    .map(
      ({ drained, reach, ...rest }): Member => ({
        ...rest,
        ...(rest.state === 'draining' && drained && { drained }),
        ...(rest.health !== 'up' && !reach && { unreachable: true }),
      }),
    );
  return fc.uniqueArray(member, {
    minLength: 1,
    maxLength: 12,
    selector: ({ name }) => name,
    ...constraints,
  });
}

/** `count` active members that are up, named b0, b1 ..., changed by `change`. */
export function members(count: number, change: (i: number) => Partial<Member> = () => ({})): Member[] {
  return Array.from({ length: count }, (_, i) => ({
    name: `b${i}`,
    weight: 1,
    state: 'active',
    health: 'up',
    ...change(i),
  }));
}

export function layerNames(stack: Stack): string[][] {
  return stack.layers.map((layer) => Array.from(layer, (backend) => stack.names[backend]));
}

export function ownerNames(tables: PoolTables): (string | undefined)[] {
  return Array.from(tables.owners, (owner) => (owner === NONE ? undefined : tables.names[owner]));
}

/** Candidate `which` (from 0; 0 is the alternate) of every slot. */
export function candidateNames(tables: PoolTables, which = 0): (string | undefined)[] {
  const slots = tables.owners.length;
  return Array.from(tables.alternates.subarray(which * slots, (which + 1) * slots), (candidate) =>
    candidate === NONE ? undefined : tables.names[candidate],
  );
}

/** Like deepEqual for two tables, but says where they differ first instead of printing 65537 entries. */
export function assertSameTable<T>(actual: ArrayLike<T>, expected: ArrayLike<T>, what = 'tables'): void {
  assert.equal(actual.length, expected.length, `${what}: lengths`);
  for (let slot = 0; slot < actual.length; slot++) {
    if (actual[slot] !== expected[slot]) {
      assert.fail(`${what} differ first at slot ${slot}: ${actual[slot]}, expected ${expected[slot]}`);
    }
  }
}
