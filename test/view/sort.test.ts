/** The order of rows. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fleetView } from '#anyhop/view/fleet.js';
import { sorted } from '#anyhop/view/sort.js';
import { drawn, TABLES, type TableName } from '#anyhop/view/tables.js';
import { backendStatus, poolStatus } from '../node/node-status.js';
import { NOW, seen } from './seen.js';

const keys = fc.array(fc.option(fc.integer({ min: -3, max: 3 }), { nil: undefined }), { maxLength: 30 });

test('law: sorting keeps every row once, puts them in order, and equal ones stay in theirs', () => {
  fc.assert(
    fc.property(keys, fc.boolean(), (all, isDescending) => {
      const rows = all.map((key, place) => ({ key, place }));
      const result = sorted(rows, ({ key }) => key, isDescending);
      assert.deepEqual(new Set(result), new Set(rows));
      assert.equal(result.length, rows.length);
      for (let i = 1; i < result.length; i++) {
        const [one, other] = [result[i - 1], result[i]];
        if (one.key === other.key) assert.ok(one.place < other.place, 'stable');
        else if (one.key === undefined) assert.fail('a row without a value stands before one with it');
        else if (other.key !== undefined) assert.ok(one.key < other.key !== isDescending);
      }
    }),
  );
});

test('names sort as people count', () => {
  const names = ['web-10', 'web-9', 'db-1'];
  assert.deepEqual(
    sorted(names, (name) => name),
    ['db-1', 'web-9', 'web-10'],
  );
});

const VIEW = fleetView(
  [
    seen('edge-1', {
      pools: [
        poolStatus('web', [
          backendStatus('web-1', { packetsPerSecond: 5 }),
          backendStatus('web-2', { health: 'down', healthReason: 'Connection refused' }),
          backendStatus('web-10', { packetsPerSecond: 50 }),
        ]),
      ],
    }),
  ],
  NOW,
);
const first = (by: string, isReversed = false, filter = ''): string[] =>
  drawn(VIEW, 'backend', { by, isReversed }, filter).rows.map(({ cells }) => cells[0]);

test('numbers are sorted from the largest at first, names from the first, the worst state on top', () => {
  assert.deepEqual(first('pps'), ['web-10', 'web-1', 'web-2']);
  assert.deepEqual(first('pps', true), ['web-2', 'web-1', 'web-10']);
  assert.deepEqual(first('backend'), ['web-1', 'web-2', 'web-10']);
  assert.deepEqual(first('state'), ['web-2', 'web-1', 'web-10']);
});

test('a filter finds part of any cell, in any case', () => {
  assert.deepEqual(first('state', false, 'connection REF'), ['web-2']);
  assert.deepEqual(first('state', false, 'no such thing'), []);
});

test('every table has the column that it is sorted by, columns of different names, and one that never goes', () => {
  for (const name of Object.keys(TABLES) as TableName[]) {
    const { columns, sortedBy } = TABLES[name];
    const ids = columns.map(({ id }) => id);
    assert.ok(ids.includes(sortedBy), name);
    assert.equal(new Set(ids).size, ids.length, name);
    assert.equal(columns[0].rank, 0, name);
    assert.equal(drawn(VIEW, name, { by: sortedBy, isReversed: false }).rows[0].cells.length, ids.length);
  }
});

test('a backend that is down is bad', () => {
  const [top] = drawn(VIEW, 'backend', { by: 'state', isReversed: false }).rows;
  assert.deepEqual([top.cells[2], top.level], ['DOWN', 'bad']);
});
