import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { eligibility, ignoresMarks } from '#anyhop/table/eligible.js';
import { buildStack } from '#anyhop/table/layers.js';
import { type PoolTables, resolvePool } from '#anyhop/table/resolve.js';
import { type Member, machineOf, type PoolState } from '#anyhop/table/state.js';
import {
  alternateMachines,
  alternateNames,
  change,
  edit,
  history,
  members,
  ownerMachines,
  ownerNames,
  poolState,
  smallSlots,
} from './pools.js';

test('no member that cannot be reached owns a slot while an active one can be reached, in panic and with all down too', () => {
  const threshold = fc.constantFrom(0, 0.5, 1);
  fc.assert(
    fc.property(poolState(), smallSlots, threshold, (state, slots, panicThreshold) => {
      const tables = resolvePool({ slots, state, panicThreshold, remembered: [] });
      const isReachable = new Map(state.map(({ name, unreachable }) => [name, unreachable !== true]));
      const some = state.some(
        (one) => one.weight > 0 && one.state === 'active' && isReachable.get(one.name) === true,
      );
      const owners = new Set(ownerNames(tables));
      for (const owner of owners) if (some && owner !== undefined) assert.ok(isReachable.get(owner), owner);
      if (some) assert.ok(!owners.has(undefined) && owners.size > 0);
    }),
    { numRuns: 300 },
  );
});

test('who cannot be reached changes the digest of the owners where marks are ignored, and nowhere else', () => {
  const digest = (state: PoolState): string =>
    resolvePool({ slots: 251, state, remembered: [] }).ownersDigest;
  const pool = (health: Member['health'], unreachable: boolean): PoolState =>
    members(3, (i) =>
      i === 0 ? { health: 'down', ...(unreachable && { unreachable: true as const }) } : { health },
    );
  assert.equal(digest(pool('up', true)), digest(pool('up', false)));
  assert.notEqual(digest(pool('down', true)), digest(pool('down', false)));
});

test('the order of members never matters, in the present state or in a remembered one', () => {
  const shuffled = (state: PoolState) => fc.shuffledSubarray([...state], { minLength: state.length });
  const pair = history.chain((states) => fc.tuple(fc.constant(states), fc.tuple(...states.map(shuffled))));
  fc.assert(
    fc.property(pair, ([given, [state, ...remembered]]) => {
      const a = resolvePool({ slots: 251, state: given[0], remembered: given.slice(1) });
      const b = resolvePool({ slots: 251, state, remembered });
      assert.deepEqual([b.names, b.owners, b.alternates, b.mode], [a.names, a.owners, a.alternates, a.mode]);
      assert.equal(b.ownersDigest, a.ownersDigest);
      assert.equal(b.alternatesDigest, a.alternatesDigest);
    }),
  );
});

test('a health mark or a drain moves no slot between two eligible backends, and moves back exactly', () => {
  const marks = fc.array(
    fc.tuple(fc.nat(), fc.constantFrom<Partial<Member>>({ health: 'down' }, { state: 'draining' })),
    {
      minLength: 1,
      maxLength: 3,
    },
  );
  fc.assert(
    fc.property(poolState({ minLength: 2 }), smallSlots, marks, (state, slots, edits) => {
      const after = edits.reduce<PoolState>((changed, [n, fields]) => edit(n, fields)(changed), state);
      const [was, is] = [eligibility(state), eligibility(after)];
      fc.pre(was.mode === 'normal' && is.mode === 'normal');
      const before = ownerNames(resolvePool({ slots, state, remembered: [] }));
      const now = ownerNames(resolvePool({ slots, state: after, remembered: [] }));
      const stillIn = new Set(is.members.map(({ name }) => name));
      for (let slot = 0; slot < slots; slot++) {
        if (stillIn.has(before[slot]!)) assert.equal(now[slot], before[slot], `slot ${slot}`);
      }
      assert.deepEqual(ownerNames(resolvePool({ slots, state, remembered: [after] })), before);
    }),
  );
});

test('after any two changes within a settle time the holder of every flow, born before, between or after them, is owner or alternate', () => {
  fc.assert(
    fc.property(poolState(), smallSlots, change, change, (settled, slots, first, second) => {
      const between = first(settled);
      const state = second(between);
      const tables = resolvePool({ slots, state, remembered: [between, settled] });
      for (const born of [settled, between]) assertHolders(born, tables, [state, between, settled]);
    }),
    { numRuns: 300 },
  );
});

/** The owners by `born` are found by `tables`, but those that are dead: they have no connections where marks were believed. */
function assertHolders(born: PoolState, tables: PoolTables, states: readonly PoolState[]): void {
  const slots = tables.owners.length;
  const before = resolvePool({ slots, state: born, remembered: [] });
  const latest = (machine: string) => states.flat().find((member) => machineOf(member) === machine)!;
  const [holders, owners, alternates] = [
    ownerMachines(before),
    ownerMachines(tables),
    alternateMachines(tables),
  ];
  for (const [slot, holder] of holders.entries()) {
    if (holder === undefined || holder === owners[slot] || alternates[slot].includes(holder)) continue;
    if (latest(holder).health === 'dead' && !ignoresMarks(before.mode)) continue;
    assert.fail(
      `slot ${slot}: ${holder} is not among ${owners[slot]}, ${alternates[slot]} by ${JSON.stringify(states)}`,
    );
  }
}

test('in a settled state the alternate is the backend that takes over when the owner goes down', () => {
  fc.assert(
    fc.property(poolState({ minLength: 2 }), smallSlots, fc.nat(), (given, slots, n) => {
      const state = given.map((member): Member => ({ ...member, state: 'active' }));
      const index = n % state.length;
      fc.pre(state[index].health === 'up');
      const after = edit(index, { health: 'down' })(state);
      fc.pre(eligibility(after).mode === 'normal');
      const before = resolvePool({ slots, state, remembered: [] });
      const [owners, alternates, now] = [
        ownerNames(before),
        alternateNames(before),
        ownerNames(resolvePool({ slots, state: after, remembered: [state] })),
      ];
      for (let slot = 0; slot < slots; slot++) {
        if (owners[slot] === state[index].name) assert.equal(now[slot], alternates[slot][0], `slot ${slot}`);
      }
    }),
  );
});

test('a flap leaves whoever stood in as alternate, unless a backend that drains still has connections', () => {
  const eligible = fc.nat();
  fc.assert(
    fc.property(smallSlots, poolState({ minLength: 2 }), eligible, (slots, given, n) => {
      const settled = given.map(
        (member): Member => (member.state === 'draining' ? { ...member, drained: true } : member),
      );
      const { mode, members: able } = eligibility(settled);
      fc.pre(mode === 'normal' && able.length > 1);
      const { name } = able[n % able.length];
      const down = settled.map(
        (member): Member => (member.name === name ? { ...member, health: 'down' } : member),
      );
      const during = ownerNames(resolvePool({ slots, state: down, remembered: [settled] }));
      const tables = resolvePool({ slots, state: settled, remembered: [] });
      const [owners, alternates] = [ownerNames(tables), alternateNames(tables)];
      for (let slot = 0; slot < slots; slot++) {
        const stoodIn = during[slot];
        assert.ok(stoodIn === owners[slot] || stoodIn === alternates[slot][0], `slot ${slot}: ${stoodIn}`);
      }
    }),
  );
});

test('alternates are never the owner, one backend twice, or a dead one that was no owner while marks were ignored', () => {
  fc.assert(
    fc.property(history, smallSlots, ([state, ...remembered], slots) => {
      const tables = resolvePool({ slots, state, remembered });
      const dead = new Set(state.flatMap((member) => (member.health === 'dead' ? [machineOf(member)] : [])));
      const former = remembered
        .map((each) => resolvePool({ slots, state: each, remembered: [] }))
        .filter(({ mode }) => ignoresMarks(mode))
        .map(ownerMachines);
      const [owners, alternates] = [ownerMachines(tables), alternateMachines(tables)];
      for (const [slot, list] of alternates.entries()) {
        assert.equal(new Set([owners[slot], ...list]).size, list.length + 1, `slot ${slot}`);
        for (const machine of list) {
          if (dead.has(machine))
            assert.ok(
              former.some((table) => table[slot] === machine),
              `slot ${slot}`,
            );
        }
      }
    }),
  );
});

test('no candidate that is marked down stands before an owner of a remembered state that is up', () => {
  fc.assert(
    fc.property(history, smallSlots, ([state, ...remembered], slots) => {
      const tables = resolvePool({ slots, state, remembered });
      const formers = remembered.map((each) =>
        ownerMachines(resolvePool({ slots, state: each, remembered: [] })),
      );
      const up = new Set(tables.members.flatMap((one) => (one.health === 'up' ? [machineOf(one)] : [])));
      const [owners, alternates] = [ownerMachines(tables), alternateMachines(tables)];
      for (const [slot, [first, second]] of alternates.entries()) {
        const held = formers
          .map((table) => table[slot])
          .filter((one) => one !== owners[slot] && up.has(one!));
        if (held.length === 0) continue;
        assert.equal(first, held[0], `slot ${slot}: the newest that is up comes first`);
        if (!up.has(second))
          assert.equal(new Set(held).size, 1, `slot ${slot}: ${second} comes before another`);
      }
    }),
    { numRuns: 300 },
  );
});

test('a backend that another has replaced under its name is found at its own address, and one with another name once', () => {
  const place = (i: number, host = i): Partial<Member> => ({ address: { text: `10.1.0.${host}` } });
  const former = members(3, (i) => place(i));
  const replaced = members(3, (i) => place(i, i === 1 ? 9 : i));
  const moved = resolvePool({ slots: 251, state: replaced, remembered: [former] });
  const [owners, alternates] = [ownerMachines(moved), alternateMachines(moved)];
  assert.ok(owners.includes('10.1.0.9') && !owners.includes('10.1.0.1'));
  for (const [slot, owner] of owners.entries())
    assert.equal(alternates[slot][0] === '10.1.0.1', owner === '10.1.0.9', `slot ${slot}`);
  assert.equal(moved.members[3].address, former[1].address);

  const renamed = members(3, (i) => ({ ...place(i), ...(i === 1 && { name: 'www' }) }));
  const { members: machines } = resolvePool({ slots: 251, state: renamed, remembered: [former] });
  assert.deepEqual(
    machines.map(({ name }) => name),
    ['b0', 'b2', 'www'],
  );
});

test('a member without weight owns nothing and is the alternate of nobody', () => {
  fc.assert(
    fc.property(poolState(), (state) => {
      const tables = resolvePool({ slots: 251, state, remembered: [] });
      const weightless = new Set(state.filter((member) => member.weight === 0).map(({ name }) => name));
      for (const name of [...ownerNames(tables), ...alternateNames(tables).flat()]) {
        assert.ok(name === undefined || !weightless.has(name));
      }
    }),
  );
});

test('one backend owns everything and has no alternate; of two each is that of the other', () => {
  const one = resolvePool({ slots: 65537, state: members(1), remembered: [] });
  assert.equal(one.layers, 1);
  assert.ok(one.owners.every((owner) => owner === 0));
  assert.ok(one.alternates.every((alternate) => alternate === 0xffff));
  const two = resolvePool({ slots: 65537, state: members(2), remembered: [] });
  assert.equal(two.layers, 2);
  for (const [slot, list] of alternateNames(two).entries())
    assert.deepEqual(list, [two.names[1 - two.owners[slot]]]);
});

test('of three backends, whichever two are down, the third owns everything', () => {
  for (const left of [0, 1, 2]) {
    const state = members(3, (i) => (i === left ? {} : { health: 'down' }));
    const tables = resolvePool({ slots: 65537, state, remembered: [members(3)] });
    assert.equal(tables.layers, 3);
    assert.ok(tables.owners.every((owner) => owner === left));
    const settled = resolvePool({ slots: 65537, state: members(3), remembered: [] });
    assert.ok(settled.owners.every((owner, slot) => owner === left || tables.alternates[slot] === owner));
  }
});

test('an empty pool, or one without weight, has no owners and no layers', () => {
  for (const state of [[], members(3, () => ({ weight: 0 }))]) {
    const tables = resolvePool({ slots: 251, state, remembered: [] });
    assert.deepEqual([tables.mode, tables.layers], ['none', 0]);
    assert.ok(tables.owners.every((owner) => owner === 0xffff));
    assert.ok(tables.alternates.every((alternate) => alternate === 0xffff));
  }
});

test('with no active backend up, those that drain and are up own; with none of these, all active ones', () => {
  const draining = members(4, (i) => (i === 3 ? { state: 'draining' } : { health: 'down' }));
  const one = resolvePool({ slots: 251, state: draining, remembered: [] });
  assert.equal(one.mode, 'draining');
  assert.ok(one.owners.every((owner) => owner === 3));

  const down = members(4, (i) => ({ health: 'down', state: i === 3 ? 'draining' : 'active' }));
  const all = resolvePool({ slots: 251, state: down, remembered: [] });
  assert.equal(all.mode, 'all_down');
  const active = members(4, (i) => (i === 3 ? { state: 'draining' } : {}));
  assert.deepEqual(all.owners, resolvePool({ slots: 251, state: active, remembered: [] }).owners);
});

test('when every backend goes down at once no slot moves', () => {
  const settled = members(20);
  const down = settled.map((member): Member => ({ ...member, health: 'down' }));
  const tables = resolvePool({ slots: 65537, state: down, remembered: [settled] });
  assert.equal(tables.mode, 'all_down');
  assert.deepEqual(tables.owners, resolvePool({ slots: 65537, state: settled, remembered: [] }).owners);
});

test('panic starts below the threshold, not at it, and counts active members with weight alone', () => {
  const state = (up: number): PoolState => [
    ...members(10, (i) => ({ health: i < up ? 'up' : 'dead' })),
    { name: 'drains', weight: 1, state: 'draining', health: 'up' },
    { name: 'weightless', weight: 0, state: 'active', health: 'up' },
  ];
  for (const [up, threshold, mode] of [
    [7, 0.7, 'normal'],
    [6, 0.7, 'panic'],
    [1, 0, 'normal'],
    [9, 1, 'panic'],
    [10, 1, 'normal'],
    [0, 0.5, 'draining'],
  ] as const) {
    assert.equal(eligibility(state(up), threshold).mode, mode, `${up} of 10 up, threshold ${threshold}`);
  }
  const panic = resolvePool({ slots: 251, state: state(3), panicThreshold: 0.5, remembered: [] });
  assert.deepEqual(panic.owners, resolvePool({ slots: 251, state: state(10), remembered: [] }).owners);
});

test('at M = 65537 one backend down of 1000 moves only its own slots and is their alternate', () => {
  const settled = members(1000);
  const stack = buildStack(settled, 65537);
  const state = edit(500, { health: 'down' })(settled);
  const before = resolvePool({ slots: 65537, state: settled, stack, remembered: [] });
  const after = resolvePool({ slots: 65537, state, remembered: [settled], stack });
  const downed = after.names.indexOf('b500');
  let moved = 0;
  for (let slot = 0; slot < 65537; slot++) {
    if (before.owners[slot] !== downed) {
      if (after.owners[slot] !== before.owners[slot])
        assert.fail(`slot ${slot} moved between healthy backends`);
      continue;
    }
    moved++;
    if (after.alternates[slot] !== downed) assert.fail(`slot ${slot} forgot b500`);
    if (after.owners[slot] !== before.alternates[slot])
      assert.fail(`slot ${slot} went to another than its alternate`);
  }
  assert.ok(moved === 65 || moved === 66, String(moved));
});
