/** Figures for people: few digits, and never one that reads as more or less than it is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { lasting, short, took } from '#anyhop/core/figures.js';

test('how long something lasts has at least two of its unit, seconds aside', () => {
  const cases: [number, string][] = [
    [-5, '0 s'],
    [999, '0 s'],
    [4_000, '4 s'],
    [119_999, '119 s'],
    [120_000, '2 min'],
    [7_199_999, '119 min'],
    [7_200_000, '2 h'],
    [172_800_000, '2 d'],
  ];
  for (const [ms, text] of cases) assert.equal(lasting(ms), text);
});

test('how long something took has two digits', () => {
  assert.deepEqual([0.3125, 12.25, 994, 1500].map(took), ['0.31 ms', '12 ms', '990 ms', '1.5 s']);
});

test('law: a short figure is within half a percent of its value, and takes five characters at most', () => {
  const scale = { '': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15 } as Readonly<Record<string, number>>;
  fc.assert(
    fc.property(fc.double({ min: 1, max: 9e17, noNaN: true }), (value) => {
      const [, digits, prefix] = /^([\d.]+)([kMGTP]?)$/.exec(short(value))!;
      const read = Number(digits) * scale[prefix];
      assert.ok(Math.abs(read - value) <= value * 0.005 + Number.EPSILON, `${value} reads ${short(value)}`);
      assert.ok(short(value).length <= 5);
    }),
  );
});
