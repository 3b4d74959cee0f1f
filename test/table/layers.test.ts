import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { quotas } from '#anyhop/core/apportion.js';
import { buildStack, stackFits } from '#anyhop/table/layers.js';
import { nameWords } from '#anyhop/table/name-words.js';
import { inverse, mod } from '#anyhop/table/permutation.js';
import { turnOrder } from '#anyhop/table/turns.js';
import { oracleLayers, oracleTurns, paperTable } from './oracle.js';
import { assertSameTable, backendName, layerNames, members, smallSlots, weight } from './pools.js';

const weighted = fc.uniqueArray(fc.record({ name: backendName, weight }), {
  minLength: 1,
  maxLength: 20,
  selector: (member) => member.name,
});

test('all layers equal a literal implementation of the layered rule, whatever the weights', () => {
  fc.assert(
    fc.property(weighted, smallSlots, (pool, slots) => {
      assert.deepEqual(layerNames(buildStack(pool, slots)), oracleLayers(pool, slots));
    }),
    { numRuns: 150 },
  );
});

test('all layers equal the literal rule where most slots are walked to, at M = 5003', () => {
  const mixed = members(40, (i) => ({ weight: i % 7 === 0 ? 65535 : 1 + (i % 5) }));
  const few = [3, 2, 65535, 1, 1].map((w, i) => ({ name: `few-${i}`, weight: w }));
  for (const pool of [members(40), mixed, members(2), few]) {
    const layers = layerNames(buildStack(pool, 5003));
    for (const [k, expected] of oracleLayers(pool, 5003).entries())
      assertSameTable(layers[k], expected, `layers ${k}`);
  }
});

test("with equal weights layer 1 is the Maglev paper's table", () => {
  fc.assert(
    fc.property(fc.uniqueArray(backendName, { minLength: 1, maxLength: 30 }), smallSlots, (names, slots) => {
      const pool = names.map((name) => ({ name, weight: 7 }));
      assert.deepEqual(layerNames(buildStack(pool, slots))[0], paperTable(names, slots));
    }),
    { numRuns: 100 },
  );
});

test("with equal weights layer 1 is the Maglev paper's table at M = 65537", () => {
  for (const count of [3, 100]) {
    const pool = members(count);
    const names = pool.map((member) => member.name);
    assertSameTable(layerNames(buildStack(pool, 65537))[0], paperTable(names, 65537));
  }
});

test('the order in which members are given never matters', () => {
  fc.assert(
    fc.property(
      weighted.chain((pool) =>
        fc.tuple(fc.constant(pool), fc.shuffledSubarray(pool, { minLength: pool.length })),
      ),
      ([pool, shuffled]) => assert.deepEqual(buildStack(shuffled, 251), buildStack(pool, 251)),
    ),
    { numRuns: 50 },
  );
});

test('n backends with weight give min(4, n) layers, and none stands twice in the stack of a slot', () => {
  fc.assert(
    fc.property(weighted, smallSlots, (pool, slots) => {
      const stack = buildStack(pool, slots);
      assert.equal(stack.layers.length, Math.min(4, pool.filter((member) => member.weight > 0).length));
      for (let slot = 0; slot < slots; slot++) {
        const here = stack.layers.map((layer) => layer[slot]);
        assert.equal(new Set(here).size, here.length);
        for (const backend of here) assert.ok(backend < stack.names.length);
      }
    }),
  );
});

test("each backend's slots in layer 1 are within 1 of its share", () => {
  fc.assert(
    fc.property(weighted, smallSlots, (pool, slots) => {
      const { names, weights, layers } = buildStack(pool, slots);
      const sum = weights.reduce((a, b) => a + b, 0);
      for (const [i, w] of weights.entries()) {
        const owned = layers[0].filter((backend) => backend === i).length;
        assert.ok(Math.abs(owned - (slots * w) / sum) < 1, `${names[i]} owns ${owned} of ${slots}`);
      }
    }),
  );
});

test('turns equal exact rational arithmetic, up to the largest table and weights', () => {
  const big = fc.uniqueArray(
    fc.record({ name: backendName, weight: fc.oneof(weight, fc.integer({ min: 1, max: 65535 })) }),
    { minLength: 1, maxLength: 40, selector: (member) => member.name },
  );
  fc.assert(
    fc.property(big, fc.constantFrom(1, 2, 100, 251, 9973), (pool, count) => {
      if (pool.every((member) => member.weight === 0)) return;
      const order = turnOrder(
        quotas(
          pool.map((member) => member.weight),
          count,
        ),
        count,
      );
      assert.deepEqual(
        Array.from(order, (i) => pool[i].name),
        oracleTurns(pool, count),
      );
    }),
  );
  const heavy = [65535, 65534, 3, 1].map((w, i) => ({ name: `h${i}`, weight: w }));
  const order = turnOrder(quotas([65535, 65534, 3, 1], 655373), 655373);
  assertSameTable(
    Array.from(order, (i) => heavy[i].name),
    oracleTurns(heavy, 655373),
  );
});

test('mod and inverse agree with BigInt at the edges of their ranges', () => {
  fc.assert(
    fc.property(fc.constantFrom(3, 251, 65537, 655373), fc.nat(), fc.nat(), (m, x, y) => {
      const a = 1 + (x % (m - 1));
      const b = y % m;
      assert.equal(mod(a * inverse(a, m), m), 1);
      assert.equal(mod(a * b, m), Number((BigInt(a) * BigInt(b)) % BigInt(m)));
      assert.equal(mod((m - 1) * (m - 1), m), 1);
    }),
  );
});

test('the largest table builds, and its last layer is complete', () => {
  const stack = buildStack(members(50), 655373);
  const owned = new Int32Array(50);
  for (const backend of stack.layers[3]) owned[backend]++;
  assert.equal(
    owned.reduce((a, b) => a + b, 0),
    655373,
  );
  for (const count of owned) assert.ok(Math.abs(count - 655373 / 50) < 1000);
});

test('weights of 65535 beside 1 build about as fast as equal ones', () => {
  const equal = buildMs(() => 1);
  for (const heavies of [1, 3, 30, 500]) {
    const uneven = buildMs((i) => (i < heavies ? 65535 : 1));
    assert.ok(uneven < 5 * equal, `${heavies} heavy: ${uneven.toFixed(1)} ms, equal: ${equal.toFixed(1)} ms`);
  }

  function buildMs(weightOf: (i: number) => number): number {
    const pool = members(1000, (i) => ({ weight: weightOf(i) }));
    const times = Array.from({ length: 5 }, () => {
      const start = performance.now();
      buildStack(pool, 65537);
      return performance.now() - start;
    });
    return Math.min(...times);
  }
});

test('what no validated config holds is refused', () => {
  assert.throws(() => buildStack(members(3), 252), /prime/);
  assert.throws(() => buildStack(members(3), 655379), /655373/);
  assert.throws(() => buildStack([...members(2), ...members(1)], 251), /two members are named b0/);
  for (const bad of [-1, 1.5, 65536, Number.NaN]) {
    assert.throws(() => buildStack([{ name: 'a', weight: bad }], 251), /integer from 0 to 65535/);
  }
});

test('a stack fits the members that it was built from, and no others', () => {
  const pool = members(5, (i) => ({ weight: i }));
  const stack = buildStack(pool, 251);
  assert.ok(stackFits(stack, [...pool].reverse(), 251));
  assert.ok(stackFits(stack, pool.slice(1), 251), 'a member without weight makes no difference');
  assert.ok(!stackFits(stack, pool, 257));
  assert.ok(!stackFits(stack, pool.slice(0, 4), 251));
  assert.ok(!stackFits(stack, [...pool, { name: 'new', weight: 1 }], 251));
  assert.ok(
    !stackFits(
      stack,
      pool.map((member) => ({ ...member, weight: member.weight + 1 })),
      251,
    ),
  );
});

test('name words are SHA-256 as big-endian words', () => {
  // FIPS 180-2, appendix B.1: SHA-256("abc").
  assert.deepEqual(
    [...nameWords('abc')],
    [0xba7816bf, 0x8f01cfea, 0x414140de, 0x5dae2223, 0xb00361a3, 0x96177a9c, 0xb410ff61, 0xf20015ad],
  );
});
