/** Arbitrary pools for the property tests, and small helpers to read tables by name. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { NONE, type Stack } from '#anyhop/table/layers.js';
import type { PoolTables } from '#anyhop/table/resolve.js';
import { type Health, type Member, machineOf, type PoolState } from '#anyhop/table/state.js';

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

/** A change of one member: what an operator or a health check does in one step. */
export type Change = (state: PoolState) => PoolState;

/** Most often of the first of those that a state has. */
const which = fc.oneof(fc.nat({ max: 2 }), fc.nat());

const anyChange: fc.Arbitrary<Change> = fc.oneof(
  which.map(
    (n): Change =>
      (state) =>
        state.filter((_, i) => i !== n % Math.max(1, state.length)),
  ),
  fc.record({ name: backendName, weight, state: admin, health }).map(
    (member): Change =>
      (state) =>
        state.some(({ name }) => name === member.name) ? state : [...state, member],
  ),
  editOf({ state: 'draining' }),
  editOf({ state: 'active' }),
  editOf({ health: 'down' }),
  editOf({ health: 'up' }),
  fc.tuple(which, weight).map(([n, w]): Change => edit(n, { weight: w })),
  // Another machine under the same name; another name for the same machine.
  fc
    .tuple(which, fc.integer({ min: 1, max: 3 }))
    .map(([n, host]): Change => edit(n, ({ name }) => ({ address: { text: `${name}@${host}` } }))),
  fc.tuple(which, fc.constantFrom('other', 'another')).map(
    ([n, name]): Change =>
      (state) =>
        state.some((member) => member.name === name)
          ? state
          : edit(n, (member) => ({ name, address: { text: machineOf(member) } }))(state),
  ),
);

/** One that would give two members one address is none. */
export const change: fc.Arbitrary<Change> = anyChange.map((apply) => (state) => {
  const changed = apply(state);
  return new Set(changed.map(machineOf)).size === changed.length ? changed : state;
});

function editOf(fields: Partial<Member>): fc.Arbitrary<Change> {
  return which.map((n) => edit(n, fields));
}

export function edit(n: number, fields: Partial<Member> | ((member: Member) => Partial<Member>)): Change {
  return (state) =>
    state.map((member, i) =>
      i === n % state.length
        ? edited(member, typeof fields === 'function' ? fields(member) : fields)
        : member,
    );
}

/** One that is up can be reached. */
function edited(member: Member, fields: Partial<Member>): Member {
  const { unreachable, ...changed } = { ...member, ...fields };
  return unreachable === true && changed.health !== 'up' ? { ...changed, unreachable } : changed;
}

/** A pool state and those that it came from by single changes, the newest first. */
export const history: fc.Arbitrary<readonly [PoolState, ...PoolState[]]> = fc
  .tuple(poolState(), fc.array(change, { maxLength: 4 }))
  .map(([first, changes]) => {
    const states: [PoolState, ...PoolState[]] = [first];
    for (const apply of changes) states.unshift(apply(states[0]));
    return states;
  });

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

export function ownerMachines({ owners, members }: PoolTables): (string | undefined)[] {
  return Array.from(owners, (owner) => (owner === NONE ? undefined : machineOf(members[owner])));
}

/** Of every slot, in order. */
export function alternateNames(tables: PoolTables): string[][] {
  return alternatesOf(tables, ({ name }) => name);
}

export function alternateMachines(tables: PoolTables): string[][] {
  return alternatesOf(tables, machineOf);
}

function alternatesOf(
  { owners, alternates, members }: PoolTables,
  textOf: (member: Member) => string,
): string[][] {
  return Array.from(owners, (_, slot) =>
    [alternates[slot], alternates[owners.length + slot]].flatMap((one) =>
      one === NONE ? [] : [textOf(members[one])],
    ),
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
