import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { planRows, type Row, type RowChange } from '#anyhop/announce/rows.js';
import { parseAddress } from '#anyhop/packet/address.js';

const VIPS = ['192.0.2.1', '192.0.2.2', '2001:db8::1', '2001:db8::2'];

function row(vip: string, metric: number): Row {
  return { vip: parseAddress(vip)!, metric };
}

const text = ({ vip, metric }: Row): string => `${vip.text} ${metric}`;
const steps = (changes: readonly RowChange[]): string[] =>
  changes.map((each) => `${each.what} ${text(each)}`);

const wantedRows = fc
  .dictionary(fc.constantFrom(...VIPS), fc.constantFrom(100, 200))
  .map((metrics) => Object.entries(metrics).map(([vip, metric]) => row(vip, metric)));
const foundRows = fc
  .uniqueArray(fc.tuple(fc.constantFrom(...VIPS), fc.constantFrom(100, 200, 300)), {
    selector: (each) => each.join(' '),
  })
  .map((list) => list.map(([vip, metric]) => row(vip, metric)));

/** A kernel's table: rows by text, in which a change must be possible. */
function apply(
  found: readonly Row[],
  changes: readonly RowChange[],
  look: (rows: Set<string>) => void,
): Set<string> {
  const rows = new Set(found.map(text));
  for (const change of changes) {
    const key = text(change);
    assert.equal(rows.has(key), change.what === 'delete', `${change.what} ${key}`);
    if (change.what === 'add') rows.add(key);
    else rows.delete(key);
    look(rows);
  }
  return rows;
}

describe('the plan of changes to rows', () => {
  test('a change of metric adds the new row before it deletes the old one', () => {
    assert.deepEqual(steps(planRows([row('192.0.2.1', 200)], [row('192.0.2.1', 100)])), [
      'add 192.0.2.1 200',
      'delete 192.0.2.1 100',
    ]);
  });

  test('VIPs that are withdrawn go first', () => {
    const found = [row('192.0.2.1', 100), row('2001:db8::1', 100)];
    assert.deepEqual(steps(planRows([row('192.0.2.1', 200), row('192.0.2.2', 100)], found)), [
      'delete 2001:db8::1 100',
      'add 192.0.2.1 200',
      'add 192.0.2.2 100',
      'delete 192.0.2.1 100',
    ]);
  });

  test('it ends in the wanted rows, changes nothing twice, and never leaves a VIP that keeps a row without one', () => {
    fc.assert(
      fc.property(wantedRows, foundRows, (wanted, found) => {
        const kept = wanted
          .map(({ vip }) => vip.text)
          .filter((vip) => found.some((each) => each.vip.text === vip));
        const rows = apply(found, planRows(wanted, found), (now) => {
          for (const vip of kept)
            assert.ok(
              [...now].some((each) => each.startsWith(`${vip} `)),
              `${vip} has no row for a moment`,
            );
        });
        assert.deepEqual([...rows].sort(), wanted.map(text).sort());
        assert.deepEqual(planRows(wanted, wanted), []);
      }),
    );
  });
});
