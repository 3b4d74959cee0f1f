/** The tables of the page: each reads the store and shows rows. */
import type {
  BackendCard,
  EventCard,
  NodeCard,
  PeerCard,
  PoolCard,
  ServiceCard,
  VerdictCard,
} from '../wire.js';
import { byId } from './dom.js';
import { drawLine, Series } from './plot.js';
import { type Store, touches } from './store.js';
import { type Cell, Table, type TableOptions } from './table.js';
import { clock, lasting, percent, short, whole } from './text.js';

const SPARK_POINTS = 60;

/** Part of the page that shows what the store has. */
export interface Panel {
  update(store: Store, changed: ReadonlySet<string>): void;
}

interface BackendRow {
  readonly pool: string;
  readonly name: string;
  readonly card: BackendCard;
  readonly packets: number;
  readonly bytes: number;
  readonly share: number;
}

interface ServiceRow {
  readonly name: string;
  readonly card: ServiceCard;
  readonly packets: number;
  readonly bytes: number;
  readonly series: Series;
}

export function panels(): Panel[] {
  return [new Backends(), new Services(), fleet(), verdicts(), events()];
}

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

function stateOf({ state, health }: BackendCard): Cell {
  if (health !== 'up') return { text: health === 'dead' ? 'down for long' : health, state: 'bad' };
  return state === 'draining' ? { text: 'draining', state: 'warn' } : { text: 'up', state: 'good' };
}

/** Who is down, who drains, and all backends: one list, told apart. */
class Backends implements Panel {
  readonly #down = new Table<BackendRow>({
    caption: 'Backends that are down',
    empty: 'Nobody: every backend is up.',
    rowsMax: 20,
    columns: [
      { title: 'Backend', cell: nameOf },
      { title: 'State', cell: ({ card }) => stateOf(card) },
      { title: 'Why', cell: ({ card }) => card.reason ?? 'no reason is known' },
      { title: 'Since', cell: ({ card }) => sinceText(card.since), isWide: true },
      { title: 'Address', cell: ({ card }) => card.address, isWide: true },
    ],
  });
  readonly #draining = new Table<BackendRow>({
    caption: 'Backends that drain',
    empty: 'No backend drains.',
    rowsMax: 20,
    columns: [
      { title: 'Backend', cell: nameOf },
      { title: 'Connections left', cell: ({ card }) => leftText(card), isNumber: true },
      { title: 'Since', cell: ({ card }) => sinceText(card.drain?.since ?? card.since) },
      {
        title: 'Ends at the latest',
        cell: ({ card }) => (card.drain ? clock(card.drain.deadline) : ''),
        isWide: true,
      },
    ],
  });
  readonly #all = new Table<BackendRow>({
    caption: 'All backends',
    empty: 'No backend, or none that is called so.',
    rowsMax: 25,
    searched: ({ pool, name, card }) => `${pool}/${name} ${card.address} ${card.health} ${card.state}`,
    columns: [
      { title: 'Backend', cell: nameOf, order: nameOf },
      { title: 'State', cell: ({ card }) => stateOf(card), order: rank },
      {
        title: 'Packets/s',
        cell: ({ packets }) => short(packets),
        order: ({ packets }) => packets,
        isNumber: true,
      },
      {
        title: 'bit/s',
        cell: ({ bytes }) => short(bytes * 8),
        order: ({ bytes }) => bytes,
        isNumber: true,
        isWide: true,
      },
      { title: 'Slots', cell: ({ share }) => percent(share), order: ({ share }) => share, isNumber: true },
      {
        title: 'Connections',
        cell: ({ card }) => (card.connections === null ? '-' : whole(card.connections)),
        order: ({ card }) => card.connections ?? -1,
        isNumber: true,
        isWide: true,
      },
      {
        title: 'Weight',
        cell: ({ card }) => `${card.weight}`,
        order: ({ card }) => card.weight,
        isNumber: true,
        isWide: true,
      },
      { title: 'Address', cell: ({ card }) => card.address, order: ({ card }) => card.address, isWide: true },
    ],
  });

  constructor() {
    byId('trouble').append(this.#down.element);
    byId('drains').append(this.#draining.element);
    byId('backends').append(this.#all.element);
  }

  update(store: Store, changed: ReadonlySet<string>): void {
    if (!touches(changed, 'node', 'pool/', 'backend/', 'rates/pool/')) return;
    const rows = backendRows(store);
    if (touches(changed, 'node', 'pool/', 'backend/')) {
      this.#down.show(rows.filter(({ card }) => card.health !== 'up'));
      this.#draining.show(rows.filter(({ card }) => card.state === 'draining'));
    }
    this.#all.show(rows);
  }
}

/** Those in trouble first. */
export function backendRows(store: Store): BackendRow[] {
  const rows = (store.get<NodeCard>('node')?.pools ?? []).flatMap((pool) => {
    const { backends = [], slots = 1 } = store.get<PoolCard>(`pool/${pool}`) ?? {};
    const rates = store.get<number[]>(`rates/pool/${pool}`) ?? [];
    return backends.flatMap((name, index) => {
      const card = store.get<BackendCard>(`backend/${pool}/${name}`);
      if (card === undefined) return [];
      const [packets = 0, bytes = 0] = rates.slice(2 * index, 2 * index + 2);
      return [{ pool, name, card, packets, bytes, share: card.slots / slots }];
    });
  });
  return rows.sort((one, other) => rank(one) - rank(other));
}

function rank({ card }: BackendRow): number {
  return card.health !== 'up' ? 0 : card.state === 'draining' ? 1 : 2;
}

function nameOf({ pool, name }: BackendRow): string {
  return `${pool}/${name}`;
}

function sinceText(iso: string): string {
  return `${clock(iso)}, ${lasting(Date.now() - Date.parse(iso))}`;
}

function leftText({ drain, connections }: BackendCard): string {
  if (drain === undefined) return connections === null ? 'nobody can tell' : whole(connections);
  if (drain.left === null) return `unknown: ${drain.unknown ?? 'nobody can tell'}`;
  return drain.done ? `${whole(drain.left)}, done` : whole(drain.left);
}

class Services implements Panel {
  readonly #series = new Map<string, Series>();
  readonly #table = new Table<ServiceRow>({
    caption: 'Services',
    empty: 'No service, or none that is called so.',
    rowsMax: 20,
    searched: ({ name, card }) => `${name} ${card.vip} ${card.pool}`,
    columns: [
      { title: 'Service', cell: ({ name }) => name, order: ({ name }) => name },
      {
        title: 'State',
        cell: ({ card }) =>
          card.ready ? { text: 'ready', state: 'good' } : { text: card.reason ?? 'not ready', state: 'bad' },
        order: ({ card }) => Number(card.ready),
      },
      {
        title: 'Packets/s',
        cell: ({ packets }) => short(packets),
        order: ({ packets }) => packets,
        isNumber: true,
      },
      { title: 'bit/s', cell: ({ bytes }) => short(bytes * 8), order: ({ bytes }) => bytes, isNumber: true },
      {
        title: 'Last minute',
        cell: () => '',
        draw: ({ series }, canvas) => drawLine(canvas, series, SPARK_POINTS, getComputedStyle(canvas).color),
      },
      { title: 'Address', cell: ({ card }) => `${card.protocol} ${card.vip} ${card.ports}`, isWide: true },
      { title: 'Pool', cell: ({ card }) => card.pool, order: ({ card }) => card.pool, isWide: true },
    ],
  });

  constructor() {
    byId('services').append(this.#table.element);
  }

  update(store: Store): void {
    const names = store.get<NodeCard>('node')?.services ?? [];
    const rates = store.get<number[]>('rates/services') ?? [];
    const rows = names.flatMap((name, index) => {
      const card = store.get<ServiceCard>(`service/${name}`);
      if (card === undefined) return [];
      const [packets = 0, bytes = 0] = rates.slice(2 * index, 2 * index + 2);
      const series = this.#series.get(name) ?? new Series();
      this.#series.set(name, series);
      series.add(packets);
      return [{ name, card, packets, bytes, series }];
    });
    for (const name of this.#series.keys()) if (!names.includes(name)) this.#series.delete(name);
    this.#table.show(rows.sort((one, other) => Number(one.card.ready) - Number(other.card.ready)));
  }
}

function fleet(): Panel {
  const table: TableOptions<PeerCard> = {
    caption: 'Nodes of the fleet',
    empty: 'No node has answered yet.',
    rowsMax: 64,
    columns: [
      { title: 'Node', cell: ({ name, isSelf }) => (isSelf ? `${name} (this one)` : name) },
      { title: 'State', cell: peerState },
      {
        title: 'Packets/s',
        cell: ({ glance }) => (glance ? short(glance.packetsPerSecond) : '-'),
        isNumber: true,
      },
      {
        title: 'bit/s',
        cell: ({ glance }) => (glance ? short(glance.bytesPerSecond * 8) : '-'),
        isNumber: true,
        isWide: true,
      },
      {
        title: 'Drops/s',
        cell: ({ glance }) => (glance ? short(glance.dropsPerSecond) : '-'),
        isNumber: true,
      },
      {
        title: 'Backends up',
        cell: ({ glance }) => (glance ? `${glance.backends.up} of ${glance.backends.total}` : '-'),
        isNumber: true,
      },
      {
        title: 'Tables',
        cell: ({ differs, glance, isSelf }) =>
          isSelf || glance === undefined
            ? ''
            : differs.length > 0
              ? { text: `differ: ${differs.join(', ')}`, state: 'warn' }
              : 'the same as here',
      },
      { title: 'Engine', cell: ({ glance }) => glance?.engine ?? '-', isWide: true },
      { title: 'Version', cell: ({ glance }) => glance?.version ?? '-', isWide: true },
    ],
  };
  return simple('fleet', ['peer/'], table, (store) => {
    const cards = store.all<PeerCard>('peer/').map(([, card]) => card);
    return cards.sort(
      (one, other) => Number(other.isSelf) - Number(one.isSelf) || (one.name < other.name ? -1 : 1),
    );
  });
}

function peerState({ silent, glance, heardAt }: PeerCard): Cell {
  if (silent !== undefined)
    return {
      text: `silent since ${clock(silent.since)}: ${silent.why}${heardAt === undefined ? '' : `; figures of ${clock(heardAt)}`}`,
      state: 'bad',
    };
  if (glance === undefined) return { text: 'not asked yet', state: 'warn' };
  return glance.ready
    ? { text: 'ready', state: 'good' }
    : { text: `not ready: ${glance.reasons.join('; ')}`, state: 'bad' };
}

function verdicts(): Panel {
  const ranks = ['drop', 'answer', 'forward', 'pass'];
  const table: TableOptions<VerdictCard> = {
    caption: 'Verdicts',
    empty: 'No packet yet.',
    rowsMax: 64,
    columns: [
      { title: 'Verdict', cell: ({ name }) => name },
      {
        title: 'Packets/s',
        cell: ({ action, packetsPerSecond }) =>
          action === 'drop' && packetsPerSecond > 0
            ? { text: short(packetsPerSecond), state: 'warn' }
            : short(packetsPerSecond),
        order: ({ packetsPerSecond }) => packetsPerSecond,
        isNumber: true,
      },
      {
        title: 'Packets',
        cell: ({ packets }) => whole(packets),
        order: ({ packets }) => packets,
        isNumber: true,
      },
      { title: 'Meaning', cell: ({ meaning }) => meaning },
      { title: 'See the packets', cell: ({ name }) => `anyhop capture 'verdict ${name}'`, isWide: true },
    ],
  };
  return simple('verdicts', ['verdicts'], table, (store) =>
    [...(store.get<VerdictCard[]>('verdicts') ?? [])].sort(
      (one, other) => ranks.indexOf(one.action) - ranks.indexOf(other.action) || other.packets - one.packets,
    ),
  );
}

function events(): Panel {
  const states = { info: undefined, warn: 'warn', error: 'bad' } as const;
  const words = { info: 'note', warn: 'warning', error: 'error' } as const;
  const table: TableOptions<EventCard> = {
    caption: 'Events of the last hour',
    empty: 'Nothing happened in the last hour.',
    rowsMax: 20,
    searched: ({ event, message, level }) => `${level} ${event} ${message}`,
    columns: [
      { title: 'Time', cell: ({ at }) => clock(at) },
      { title: 'Level', cell: ({ level }) => ({ text: words[level], state: states[level] }) },
      { title: 'What happened', cell: ({ message }) => message },
      { title: 'Event', cell: ({ event }) => event, isWide: true },
    ],
  };
  return simple('events', ['event/'], table, (store) =>
    store
      .all<EventCard>('event/')
      .map(([, card]) => card)
      .sort((one, other) => (one.at < other.at ? 1 : -1)),
  );
}
