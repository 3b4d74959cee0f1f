/** The largest packet that arrives: found for every path, and never too large when some are lost by chance. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { largestArriving } from '#anyhop/trace/path-mtu.js';

const LOW = 576;
const range = fc.record({
  high: fc.integer({ min: LOW, max: 9_216 }),
  path: fc.integer({ min: 0, max: 9_500 }),
});

test('is the path, or all that was asked for, and takes few rounds', async () => {
  await fc.assert(
    fc.asyncProperty(range, async ({ high, path }) => {
      let rounds = 0;
      const found = await largestArriving(LOW, high, async (sizes) => {
        rounds++;
        assert.ok(sizes.length <= 16 && sizes.every((size) => size >= LOW && size <= high));
        return new Set(sizes.filter((size) => size <= path));
      });
      assert.equal(found, path < LOW ? undefined : Math.min(path, high));
      assert.ok(rounds <= 5, `${rounds} rounds`);
    }),
  );
});

test('is no more than the path when some packets are lost by chance, and ends', async () => {
  await fc.assert(
    fc.asyncProperty(range, fc.infiniteStream(fc.boolean()), async ({ high, path }, luck) => {
      const found = await largestArriving(LOW, high, async (sizes) => {
        return new Set(sizes.filter((size) => size <= path && luck.next().value === true));
      });
      assert.ok(found === undefined || found <= path);
    }),
  );
});
