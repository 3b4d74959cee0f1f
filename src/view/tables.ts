/** The tables of a view: their columns, what a cell says, what it is sorted by, and how bad a row is. */
import { amount, lasting, percent, short, took } from '../core/figures.js';
import { listed } from '../core/listed.js';
import { BACKEND_STATES, type BackendRow } from './backends.js';
import type { Difference } from './compare.js';
import type { FleetView } from './fleet.js';
import { NODE_STATES, type NodeRow } from './nodes.js';
import type { ServiceRow } from './services.js';
import { type Key, sorted } from './sort.js';
import type { Level } from './troubles.js';
import type { VerdictRow } from './verdicts.js';

export interface Column<Row> {
  /** What `--sort` takes. */
  readonly id: string;
  readonly head: string;
  /** Numbers stand flush right. */
  readonly isNumber?: true;
  /** Sorted from the largest at first: the busiest, the worst. */
  readonly isLargestFirst?: true;
  /** Where room is short, columns go in the order of this number, the largest first; 0 never goes. */
  readonly rank: number;
  readonly key: (row: Row) => Key;
  /** May hold text of other machines. */
  readonly text: (row: Row) => string;
}

export interface Table<Row> {
  readonly columns: readonly Column<Row>[];
  readonly rows: (view: FleetView) => readonly Row[];
  /** Undefined for what is as it should be. */
  readonly level: (row: Row) => Level | undefined;
  /** What it is called, for a filter. */
  readonly sortedBy: string;
}

function name<Row>(id: string, head: string, text: (row: Row) => string, rank = 0): Column<Row> {
  return { id, head, rank, key: text, text };
}

function figure<Row>(
  id: string,
  head: string,
  rank: number,
  key: (row: Row) => number | undefined,
  text: (value: number) => string = short,
): Column<Row> {
  return {
    id,
    head,
    isNumber: true,
    isLargestFirst: true,
    rank,
    key,
    text: (row) => {
      const value = key(row);
      return value === undefined ? '-' : text(value);
    },
  };
}

const services: Table<ServiceRow> = {
  columns: [
    name('service', 'SERVICE', (row) => row.name),
    {
      id: 'state',
      head: 'STATE',
      isLargestFirst: true,
      rank: 1,
      key: (row) => Number(!row.ready),
      text: (row) => (row.ready ? 'ready' : 'NOT READY'),
    },
    name('vip', 'VIP', (row) => row.vip, 3),
    name('ports', 'PORTS', (row) => `${row.protocol} ${row.ports}`, 4),
    name('pool', 'POOL', (row) => row.pool, 6),
    {
      id: 'up',
      head: 'UP',
      isNumber: true,
      rank: 2,
      key: (row) => row.backends.up / row.backends.total || 0,
      text: ({ backends: { up, total } }) => `${up}/${total}`,
    },
    figure('pps', 'PACKETS/S', 0, (row) => row.packetsPerSecond),
    figure('bps', 'BITS/S', 1, (row) => row.bytesPerSecond * 8),
    figure('packets', 'PACKETS', 5, (row) => row.packets),
    name('why', 'WHY', ({ notReadyOn }) => notReadyOn[0]?.reason ?? '', 7),
  ],
  rows: (view) => view.services,
  level: (row) => (!row.ready || row.differs || row.missingOn.length > 0 ? 'bad' : undefined),
  sortedBy: 'pps',
};

const backends: Table<BackendRow> = {
  columns: [
    name('backend', 'BACKEND', (row) => row.name),
    name('pool', 'POOL', (row) => row.pool, 2),
    {
      id: 'state',
      head: 'STATE',
      isLargestFirst: true,
      rank: 0,
      key: (row) => BACKEND_STATES.indexOf(row.state),
      text: (row) => (row.downOn.length > 0 ? row.state.toUpperCase() : row.state),
    },
    figure('since', 'SINCE', 4, (row) => row.sinceMs, lasting),
    figure('pps', 'PACKETS/S', 0, (row) => row.packetsPerSecond),
    figure('bps', 'BITS/S', 2, (row) => row.bytesPerSecond * 8),
    figure('connections', 'CONNS', 3, (row) => row.drain?.connections ?? row.agent?.connections, String),
    figure('check', 'CHECK', 9, (row) => row.check?.tookMs, took),
    figure('slots', 'SLOTS', 6, (row) => row.slots, String),
    figure('weight', 'WEIGHT', 8, (row) => row.weight, String),
    name('address', 'ADDRESS', (row) => row.address, 7),
    name('why', 'WHY', whyOf, 5),
  ],
  rows: (view) => view.backends,
  level: (row) =>
    row.downOn.length > 0
      ? 'bad'
      : row.agent?.reachable === false
        ? 'warn'
        : row.isDraining
          ? 'note'
          : undefined,
  sortedBy: 'state',
};

function whyOf({ downOn, nodes, reason, drain, agent }: BackendRow): string {
  const on = downOn.length > 0 && downOn.length < nodes ? `on ${listed(downOn)}: ` : '';
  if (reason !== undefined || on !== '') return `${on}${reason ?? ''}`;
  if (drain !== undefined)
    return drain.done
      ? 'no connection left, or its time is over'
      : drain.connections === null
        ? `connections left: ${drain.unknown ?? 'unknown'}`
        : `${amount(drain.connections, 'connection')} left`;
  return agent?.reachable === false ? `its agent: ${agent.why ?? 'no answer'}` : '';
}

const verdicts: Table<VerdictRow> = {
  columns: [
    name('verdict', 'VERDICT', (row) => row.name),
    name('action', 'ACTION', (row) => row.action, 2),
    figure('pps', 'PACKETS/S', 0, (row) => row.packetsPerSecond),
    figure('share', 'SHARE', 1, (row) => row.share, percent),
    figure('packets', 'PACKETS', 1, (row) => row.packets),
    name('meaning', 'MEANING', (row) => row.meaning, 3),
  ],
  rows: (view) => view.verdicts,
  level: (row) => (row.action === 'drop' && row.packetsPerSecond > 0 ? 'warn' : undefined),
  sortedBy: 'pps',
};

const nodes: Table<NodeRow> = {
  columns: [
    name('node', 'NODE', (row) => row.name),
    {
      id: 'state',
      head: 'STATE',
      isLargestFirst: true,
      rank: 0,
      key: (row) => NODE_STATES.indexOf(row.state),
      text: ({ state, ageMs }) =>
        state === 'ready'
          ? 'ready'
          : state === 'not_ready'
            ? 'NOT READY'
            : state === 'unknown'
              ? 'NO ANSWER'
              : `SILENT ${lasting(ageMs ?? 0)}`,
    },
    figure('pps', 'PACKETS/S', 0, ({ detail }) => {
      const rates = detail?.packetsPerSecond;
      return rates && rates.forward + rates.answer + rates.drop;
    }),
    figure('bps', 'BITS/S', 2, ({ detail }) => detail && detail.bytesPerSecond * 8),
    figure('drops', 'DROPS/S', 1, ({ detail }) => detail?.packetsPerSecond.drop),
    figure('down', 'DOWN', 3, ({ detail }) => detail?.backends.down, String),
    figure('draining', 'DRAINING', 6, ({ detail }) => detail?.backends.draining, String),
    figure('waiting', 'WAITING', 7, ({ detail }) => detail?.changesWaiting, String),
    name('engine', 'ENGINE', ({ detail }) => detail?.engine ?? '-', 4),
    figure('uptime', 'UPTIME', 5, ({ detail }) => detail?.upMs, lasting),
    name('version', 'VERSION', ({ detail }) => detail?.version ?? '-', 9),
    name('why', 'SAYS', saysOf, 8),
  ],
  rows: (view) => view.nodes,
  level: ({ state, detail }) =>
    state !== 'ready' || detail?.imageFailed !== undefined
      ? 'bad'
      : detail?.refused !== undefined || detail?.differences.some(({ what }) => what !== 'version')
        ? 'warn'
        : undefined,
  sortedBy: 'node',
};

function saysOf({ reasons, detail }: NodeRow): string {
  return [
    ...reasons,
    ...(detail?.refused === undefined ? [] : ['config refused']),
    ...(detail?.differences ?? []).map(({ what, pool }) => DIFFERS[what](pool)),
  ].join('; ');
}

const DIFFERS: Readonly<Record<Difference['what'], (pool?: string) => string>> = {
  key: () => 'its key differs',
  flow_hash: () => 'its flow hash differs',
  owners: (pool) => `owners of ${pool} differ`,
  version: () => 'its version differs',
};

/** By what `--by` takes. */
export const TABLES = { service: services, backend: backends, verdict: verdicts, node: nodes } as const;
export type TableName = keyof typeof TABLES;

/** One that can be drawn without knowing what its rows are. */
export interface Drawn {
  readonly columns: readonly Pick<Column<never>, 'id' | 'head' | 'isNumber' | 'isLargestFirst' | 'rank'>[];
  readonly rows: readonly { readonly cells: readonly string[]; readonly level: Level | undefined }[];
}

export interface Order {
  /** Of a column. */
  readonly by: string;
  readonly isReversed: boolean;
}

/**
 * @param filter part of any cell, in any case; empty for all rows
 */
export function drawn(view: FleetView, table: TableName, order: Order, filter = ''): Drawn {
  return drawnTable(TABLES[table] as Table<unknown>, view, order, filter);
}

function drawnTable(
  table: Table<unknown>,
  view: FleetView,
  { by, isReversed }: Order,
  filter: string,
): Drawn {
  const { columns, level } = table;
  const column = columns.find(({ id }) => id === by) ?? columns[0];
  const wanted = filter.toLowerCase();
  const isDescending = (column.isLargestFirst === true) !== isReversed;
  const rows = sorted(table.rows(view), column.key, isDescending)
    .map((row) => ({ cells: columns.map(({ text }) => text(row)), level: level(row) }))
    .filter(({ cells }) => wanted === '' || cells.some((cell) => cell.toLowerCase().includes(wanted)));
  return { columns, rows };
}
