/** The tables of the page: each reads the store and shows rows. What a row says of itself (words, states) is here. */
import { lasting, percent, short } from '../../core/figures.js';
import type { EventRow } from '../../view/events.js';
import type { HereCard, NodeCard, VerdictCard } from '../wire.js';
import { byId } from './dom.js';
import { Histories } from './plot.js';
import { type Store, touches } from './store.js';
import { type Cell, Table, type TableOptions } from './table.js';
import { clock, whole } from './text.js';

/** Part of the page that shows what the store has. */
export interface Panel {
  update(store: Store, changed: ReadonlySet<string>): void;
}

/** A panel of one table. @param prefixes of the keys that its rows are made of */
function simple<R>(
  section: string,
  prefixes: readonly string[],
  options: TableOptions<R>,
  rows: (store: Store) => R[],
): Panel {
  const table = new Table(options);
  byId(section).append(table.element);
  return {
    update: (store, changed) => {
      if (touches(changed, ...prefixes)) table.show(rows(store));
    },
  };
}

export function fleet(): Panel {
  const table: TableOptions<NodeCard> = {
    caption: 'Nodes of the fleet',
    empty: 'No node has answered yet.',
    rowsMax: 64,
    columns: [
      { title: 'Node', cell: ({ name }) => name, isWhole: true },
      { title: 'State', cell: nodeState },
      {
        title: 'Packets/s',
        cell: figure(({ packetsPerSecond: { forward, answer, drop } }) => forward + answer + drop),
        isNumber: true,
      },
      {
        title: 'bit/s',
        cell: figure(({ bytesPerSecond }) => bytesPerSecond * 8),
        isNumber: true,
        isWide: true,
      },
      {
        title: 'Drops/s',
        cell: figure(({ packetsPerSecond }) => packetsPerSecond.drop),
        isNumber: true,
        isWide: true,
      },
      {
        title: 'Backends up',
        cell: ({ detail }) =>
          detail === undefined
            ? '-'
            : `${detail.backends.up} of ${detail.backends.up + detail.backends.draining + detail.backends.down}`,
        isNumber: true,
      },
      { title: 'Differs in', cell: differences, isWide: true },
      { title: 'Engine', cell: ({ detail }) => detail?.engine ?? '-', isWide: true },
      { title: 'Version', cell: ({ detail }) => detail?.version ?? '-', isWhole: true, isWide: true },
    ],
  };
  return simple('fleet', ['here', 'node/'], table, (store) =>
    (store.get<HereCard>('here')?.nodes ?? []).flatMap((label) => store.get<NodeCard>(`node/${label}`) ?? []),
  );
}

function figure(of: (detail: NonNullable<NodeCard['detail']>) => number): (card: NodeCard) => string {
  return ({ detail }) => (detail === undefined ? '-' : short(of(detail)));
}

function nodeState({ state, reasons, heardAt, detail }: NodeCard): Cell {
  const why = reasons.length === 0 ? '' : `: ${reasons.join('; ')}`;
  switch (state) {
    case 'ready':
      if (detail?.imageFailed !== undefined)
        return { text: `its tables are old: ${detail.imageFailed}`, state: 'bad' };
      if (detail?.refused !== undefined)
        return { text: `ready; refused its config file: ${detail.refused}`, state: 'warn' };
      return { text: 'ready', state: 'good' };
    case 'not_ready':
      return { text: `not ready${why}`, state: 'bad' };
    case 'silent':
      return { text: `silent${heardAt === undefined ? '' : ` since ${clock(heardAt)}`}${why}`, state: 'bad' };
    case 'unknown':
      return { text: `has not answered yet${why}`, state: 'bad' };
  }
}

const DIFFERENCES = { key: 'key', flow_hash: 'flow hash', owners: 'tables of', version: 'version' } as const;

function differences({ detail }: NodeCard): Cell {
  const found = detail?.differences ?? [];
  if (found.length === 0) return { text: '' };
  const text = found.map(({ what, pool }) => [DIFFERENCES[what], pool ?? ''].join(' ').trim()).join(', ');
  return found.every(({ what }) => what === 'version') ? { text } : { text, state: 'warn' };
}

/** Drops first, each with where it happens and how it went. */
export function verdicts(): Panel {
  const order = ['drop', 'answer', 'forward', 'pass'];
  const history = new Histories();
  const table = new Table<VerdictCard>({
    caption: 'Verdicts',
    empty: 'No packet, or no verdict that is called so.',
    rowsMax: 64,
    searched: ({ name, meaning }) => `${name} ${meaning}`,
    columns: [
      { title: 'Verdict', cell: ({ name }) => name, order: ({ name }) => name },
      {
        title: 'Packets/s',
        cell: ({ action, packetsPerSecond }) => ({
          text: short(packetsPerSecond),
          state: action === 'drop' && packetsPerSecond > 0 ? 'warn' : undefined,
        }),
        order: ({ packetsPerSecond }) => packetsPerSecond,
        isNumber: true,
      },
      {
        title: 'Last minute',
        cell: () => '',
        draw: ({ name, action }, canvas) =>
          history.draw(name, canvas, action === 'drop' ? '--bad' : '--plot'),
        isWide: true,
      },
      {
        title: 'Packets',
        cell: ({ packets }) => whole(packets),
        order: ({ packets }) => packets,
        isNumber: true,
      },
      {
        title: 'Share',
        cell: ({ share }) => percent(share),
        order: ({ share }) => share,
        isNumber: true,
        isWide: true,
      },
      { title: 'Meaning', cell: ({ meaning }) => meaning },
      { title: 'Dropped on', cell: droppedOn, isWide: true },
      { title: 'To see such packets', cell: ({ name }) => `anyhop capture 'verdict ${name}'`, isWide: true },
    ],
  });
  byId('verdicts').append(table.element);
  return {
    update: (store) => {
      const rows = store.get<VerdictCard[]>('verdicts') ?? [];
      history.add(new Map(rows.map(({ name, packetsPerSecond }) => [name, packetsPerSecond])));
      table.show(
        rows.toSorted(
          (one, other) =>
            order.indexOf(one.action) - order.indexOf(other.action) || other.packets - one.packets,
        ),
      );
    },
  };
}

function droppedOn({ on }: VerdictCard): string {
  return on.map(({ node, packetsPerSecond }) => `${node} ${short(packetsPerSecond)}/s`).join(', ');
}

export function events(): Panel {
  const states = { info: undefined, warn: 'warn', error: 'bad' } as const;
  const words = { info: 'note', warn: 'warning', error: 'error' } as const;
  const table: TableOptions<EventRow> = {
    caption: 'Events of the last hour',
    empty: 'Nothing, or nothing that is called so.',
    rowsMax: 20,
    searched: ({ event, message, level, node }) => `${words[level]} ${node} ${event} ${message}`,
    columns: [
      { title: 'Time', cell: ({ at }) => clock(at), isWhole: true },
      { title: 'Node', cell: ({ node }) => node, isWhole: true, isWide: true },
      { title: 'Level', cell: ({ level }) => ({ text: words[level], state: states[level] }) },
      { title: 'What happened', cell: ({ message }) => message },
      { title: 'Event', cell: ({ event }) => event, isWide: true },
    ],
  };
  return simple('events', ['event/'], table, (store) =>
    store
      .all<EventRow>('event/')
      .map(([, row]) => row)
      .sort((one, other) => (one.at < other.at ? 1 : one.at > other.at ? -1 : 0)),
  );
}

/** `02:05:10, 3 min ago` without the last word. @param at milliseconds; undefined is not known */
export function sinceText(at: number | undefined): string {
  return at === undefined ? 'not known' : `${clock(at)}, ${lasting(Date.now() - at)}`;
}
