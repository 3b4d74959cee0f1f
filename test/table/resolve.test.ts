import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { buildStack } from '#anyhop/table/layers.js';
import { resolvePool } from '#anyhop/table/resolve.js';
import { assertSameTable, candidateNames, members, ownerNames, poolState, smallSlots } from './pools.js';
import { oracleResolve } from './resolve-oracle.js';

const threshold = fc.constantFrom(0, 0, 0.3, 0.5, 1);

test('owners and all candidates equal a literal implementation of the rule, whatever the two states', () => {
  fc.assert(
    fc.property(smallSlots, poolState(), poolState(), threshold, (slots, state, prior, panicThreshold) => {
      const candidates = 6;
      const tables = resolvePool({ slots, state, prior, panicThreshold, candidates });
      const expected = oracleResolve(slots, state, prior, panicThreshold);
      assertSameTable(ownerNames(tables), expected.owners, 'owners');
      for (let which = 0; which < candidates; which++) {
        const wanted = expected.candidates.map((list) => list[which]);
        assertSameTable(candidateNames(tables, which), wanted, `candidates ${which}`);
      }
    }),
    { numRuns: 150 },
  );
});

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
    const tables = resolvePool({ slots: 1009, state, candidates: 3 });
    const expected = oracleResolve(1009, state, state, 0);
    assertSameTable(ownerNames(tables), expected.owners, 'owners');
    for (const which of [0, 1, 2]) {
      const wanted = expected.candidates.map((list) => list[which]);
      assertSameTable(candidateNames(tables, which), wanted, `candidates ${which}`);
    }
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
  const tables = resolvePool({ slots: 251, state });
  for (let slot = 0; slot < 251; slot++) {
    assert.equal(tables.names[tables.owners[slot]], `b${5 + (slot % 3)}`);
    assert.equal(tables.names[tables.alternates[slot]], `b${5 + ((slot + 1) % 3)}`);
  }
});

test('stacks that do not fit are built anew, those that fit are used', () => {
  const state = members(6);
  const prior = members(5);
  const right = resolvePool({ slots: 251, state, prior });
  const wrong = buildStack(members(7), 251);
  const tables = resolvePool({ slots: 251, state, prior, stack: wrong, priorStack: wrong });
  assertSameTable(tables.owners, right.owners, 'owners');
  assertSameTable(tables.alternates, right.alternates, 'alternates');
  assert.equal(resolvePool({ slots: 251, state, stack: right.stack }).stack, right.stack);
});
