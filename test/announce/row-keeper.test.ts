/** What becomes of rows when the kernel refuses changes, or cannot be asked: the status never says more than the table has. */
import assert from 'node:assert/strict';
import { afterEach, describe, it, mock } from 'node:test';
import { RowKeeper, type RowTable } from '#anyhop/announce/row-keeper.js';
import type { RefusedChange, Row, RowChange } from '#anyhop/announce/rows.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { keptLog } from './region/fixture.js';

const LOOK_MS = 1_000;
const ONE: Row = { vip: parseAddress('203.0.113.1')!, metric: 100 };
const TWO: Row = { vip: parseAddress('2001:db8::2')!, metric: 100 };

/** A table that works until it is told otherwise. */
class Table implements RowTable {
  rows: readonly Row[] = [];
  /** What it says instead of reading, or of changing. */
  readFault: string | undefined;
  changeFault: string | undefined;
  refuses: RowChange['what'] | undefined;

  read(): readonly Row[] {
    if (this.readFault !== undefined) throw new Error(this.readFault);
    return this.rows;
  }

  change(changes: readonly RowChange[]): RefusedChange[] {
    if (this.changeFault !== undefined) throw new Error(this.changeFault);
    const isRefused = ({ what }: RowChange): boolean => what === this.refuses;
    for (const change of changes.filter((each) => !isRefused(each))) {
      const { what, vip, metric } = change;
      if (what === 'add') this.rows = [...this.rows, { vip, metric }];
      else this.rows = this.rows.filter((row) => row.vip.text !== vip.text || row.metric !== metric);
    }
    return changes.filter(isRefused).map((change) => ({ change, reason: `no ${change.what}`, taken: false }));
  }

  hiding(): ReadonlyMap<string, string> {
    return new Map();
  }
}

describe('rows that the kernel does not change', () => {
  const keepers: RowKeeper[] = [];
  afterEach(() => {
    for (const keeper of keepers.splice(0)) keeper.close();
    mock.timers.reset();
  });

  function setUp() {
    mock.timers.enable({ apis: ['setInterval'] });
    const table = new Table();
    let told = 0;
    const log = keptLog();
    const keeper = new RowKeeper(table, log, () => told++);
    keepers.push(keeper);
    const events = (): string[] => log.lines.map(({ event }) => event);
    return { table, keeper, told: () => told, events };
  }

  it('leave a VIP that should go as one that has its row, until it has gone', () => {
    const { table, keeper, told, events } = setUp();
    keeper.keep([ONE, TWO]);
    table.refuses = 'delete';
    keeper.keep([TWO]);
    assert.deepEqual([...keeper.left], [['203.0.113.1', { metric: 100, reason: 'no delete' }]]);
    assert.deepEqual([...keeper.refusals], []);
    mock.timers.tick(LOOK_MS);
    table.refuses = undefined;
    mock.timers.tick(LOOK_MS);
    assert.deepEqual(events(), ['rows_unknown'], 'it is our own row, and not one that somebody made');
    assert.deepEqual([...keeper.left], []);
    assert.deepEqual(table.rows, [TWO]);
    assert.equal(told(), 1);
  });

  it('leave a VIP that should come as one that has none, when the kernel takes no change at all', () => {
    const { table, keeper, told } = setUp();
    table.changeFault = 'it is busy';
    keeper.keep([ONE]);
    assert.deepEqual([...keeper.refusals], [['203.0.113.1', 'it is busy']]);
    table.changeFault = undefined;
    mock.timers.tick(LOOK_MS);
    assert.deepEqual([...keeper.refusals], []);
    assert.equal(told(), 1);
  });

  it('count as they were seen last while the table cannot be read', () => {
    const { table, keeper } = setUp();
    keeper.keep([ONE]);
    table.readFault = 'it cannot be read';
    keeper.keep([ONE, TWO]);
    assert.deepEqual([...keeper.refusals], [['2001:db8::2', 'it cannot be read']]);
    keeper.keep([]);
    assert.deepEqual([...keeper.left], [['203.0.113.1', { metric: 100, reason: 'it cannot be read' }]]);
    table.readFault = undefined;
    mock.timers.tick(LOOK_MS);
    assert.deepEqual([[...keeper.left], [...keeper.refusals], table.rows], [[], [], []]);
  });
});
