import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { buildStack } from '#anyhop/table/layers.js';
import { type PoolTables, resolvePool } from '#anyhop/table/resolve.js';
import {
  alternateMachines,
  assertSameTable,
  history,
  members,
  ownerMachines,
  poolState,
  smallSlots,
} from './pools.js';
import { type OracleTables, oracleResolve } from './resolve-oracle.js';

const threshold = fc.constantFrom(0, 0, 0.3, 0.5, 1);

/** Most often of states that have come from each other, at times of any. */
const someStates = fc.oneof(
  { weight: 3, arbitrary: history },
  fc.tuple(poolState(), poolState(), poolState()),
);

test('owners and alternates equal a literal implementation of the rule, whatever the states', () => {
  fc.assert(
    fc.property(smallSlots, someStates, threshold, (slots, [state, ...remembered], panicThreshold) => {
      const tables = resolvePool({ slots, state, remembered, panicThreshold });
      assertOracle(tables, oracleResolve(slots, state, remembered, panicThreshold));
    }),
    { numRuns: 60 },
  );
});

function assertOracle(tables: PoolTables, { owners, candidates }: OracleTables): void {
  assertSameTable(ownerMachines(tables), owners, 'owners');
  const alternates = alternateMachines(tables);
  for (const which of [0, 1]) {
    const [actual, expected] = [alternates, candidates].map((lists) => lists.map((list) => list[which]));
    assertSameTable(actual, expected, `alternates ${which + 1}`);
  }
}

test('few backends left of many are found as the plain walk finds them', () => {
  for (const [count, left] of [
    [60, 1],
    [60, 2],
    [60, 5],
    [60, 20],
  ]) {
    const state = members(count, (i) => ({
      health: i < left ? 'up' : 'down',
      weight: i === 0 && left > 2 ? 30 : 1,
    }));
    assertOracle(resolvePool({ slots: 1009, state, remembered: [] }), oracleResolve(1009, state, [], 0));
  }
});

test('backends that own no slot of layer 1 still take over when all others are down', () => {
  const state = members(8, (i) => (i < 5 ? { weight: 65535, health: 'down' } : {}));
  const stack = buildStack(state, 251);
  const light = new Set([5, 6, 7]);
  assert.ok(
    stack.layers.every((layer) => layer.every((backend) => !light.has(backend))),
    'the case is the one meant',
  );
  const tables = resolvePool({ slots: 251, state, remembered: [] });
  for (let slot = 0; slot < 251; slot++) {
    assert.equal(tables.names[tables.owners[slot]], `b${5 + (slot % 3)}`);
    assert.equal(tables.names[tables.alternates[slot]], `b${5 + ((slot + 1) % 3)}`);
  }
});

test('tables are the same whatever was resolved before them', () => {
  fc.assert(
    fc.property(smallSlots, history, history, threshold, (slots, first, second, panicThreshold) => {
      let before: PoolTables | undefined;
      for (const [state, ...remembered] of [first, second, first, second.slice(1), first.slice(-1)]) {
        if (state === undefined) continue;
        const input = { slots, panicThreshold, state, remembered };
        const alone = resolvePool(input);
        before = resolvePool({ ...input, before });
        assert.deepEqual(before.members, alone.members);
        assertSameTable(before.owners, alone.owners, 'owners');
        assertSameTable(before.alternates, alone.alternates, 'alternates');
        assert.equal(before.mode, alone.mode);
      }
    }),
    { numRuns: 60 },
  );
});

test('what was resolved before is not resolved again: states that come back, and stacks of a health change', () => {
  const down = (...gone: number[]) => members(6, (i) => (gone.includes(i) ? { health: 'down' } : {}));
  const first = resolvePool({ slots: 251, state: down(), remembered: [] });
  const second = resolvePool({ slots: 251, state: down(1), remembered: [down()], before: first });
  assert.equal(second.resolved[1], first.resolved[0]);
  assert.equal(second.stack, first.stack);
  const third = resolvePool({ slots: 251, state: down(), remembered: [down(1), down(2)], before: second });
  assert.deepEqual([third.resolved[0], third.resolved[1]], [first.resolved[0], second.resolved[0]]);
  assert.equal(third.resolved.length, 3, 'what is remembered no more is not kept');
});

test('stacks that do not fit are built anew, those that fit are used', () => {
  const state = members(6);
  const remembered = [members(5)];
  const right = resolvePool({ slots: 251, state, remembered });
  const wrong = buildStack(members(7), 251);
  const tables = resolvePool({ slots: 251, state, remembered, stack: wrong });
  assertSameTable(tables.owners, right.owners, 'owners');
  assertSameTable(tables.alternates, right.alternates, 'alternates');
  assert.equal(resolvePool({ slots: 251, state, stack: right.stack, remembered: [] }).stack, right.stack);
});
