/** Services and backends: what arrives for them, who is down and why, and who drains. */
import { lasting, percent, short } from '../../core/figures.js';
import type { BackendCard, HereCard, PoolCard, ServiceCard } from '../wire.js';
import { byId } from './dom.js';
import { type Panel, sinceText } from './panels.js';
import { Histories } from './plot.js';
import { type Store, touches } from './store.js';
import { type Cell, Table } from './table.js';
import { clock, whole } from './text.js';

export interface BackendLine {
  readonly pool: string;
  readonly name: string;
  readonly card: BackendCard;
  /** Of the pool's slots. */
  readonly share: number;
  /** Packets a second, bytes a second, connections; the newest that were told. */
  readonly rate: (which: 0 | 1 | 2) => number;
}

interface ServiceLine {
  readonly name: string;
  readonly card: ServiceCard;
  readonly packets: number;
  readonly bytes: number;
}

/** Three tables of one list. */
export class Backends implements Panel {
  readonly #down = new Table<BackendLine>({
    caption: 'Backends that are down',
    empty: 'Nobody.',
    rowsMax: 20,
    columns: [
      { title: 'Backend', cell: nameOf, isWhole: true },
      { title: 'State', cell: ({ card }) => stateOf(card) },
      { title: 'Why', cell: ({ card }) => `${whereDown(card)}${card.reason ?? 'no reason is known'}` },
      { title: 'Since', cell: ({ card }) => sinceText(card.since), isWhole: true, isWide: true },
      { title: 'Address', cell: ({ card }) => card.address, isWhole: true, isWide: true },
    ],
  });
  readonly #draining = new Table<BackendLine>({
    caption: 'Backends that drain',
    empty: 'Nobody.',
    rowsMax: 20,
    columns: [
      { title: 'Backend', cell: nameOf, isWhole: true },
      { title: 'Connections', cell: leftText, isNumber: true },
      { title: 'For', cell: ({ card }) => drainingFor(card), isWhole: true },
      {
        title: 'Ends by',
        cell: ({ card }) => (card.drain ? clock(card.drain.deadline) : ''),
        isWhole: true,
        isWide: true,
      },
    ],
  });
  readonly #all = new Table<BackendLine>({
    caption: 'All backends',
    empty: 'Nobody, or nobody that is called so.',
    rowsMax: 25,
    searched: (line) => `${nameOf(line)} ${line.card.address} ${line.card.state}`,
    columns: [
      { title: 'Backend', cell: nameOf, order: nameOf, isWhole: true },
      { title: 'State', cell: ({ card }) => stateOf(card), order: rank },
      {
        title: 'Packets/s',
        cell: ({ rate }) => short(rate(0)),
        order: ({ rate }) => rate(0),
        isNumber: true,
      },
      {
        title: 'bit/s',
        cell: ({ rate }) => short(rate(1) * 8),
        order: ({ rate }) => rate(1),
        isNumber: true,
        isWide: true,
      },
      { title: 'Slots', cell: ({ share }) => percent(share), order: ({ share }) => share, isNumber: true },
      {
        title: 'Connections',
        cell: ({ rate }) => (rate(2) < 0 ? '-' : whole(rate(2))),
        order: ({ rate }) => rate(2),
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
      { title: 'Agent', cell: ({ card }) => agentOf(card), isWide: true },
      {
        title: 'Address',
        cell: ({ card }) => card.address,
        order: ({ card }) => card.address,
        isWhole: true,
        isWide: true,
      },
    ],
  });
  #lines: readonly BackendLine[] = [];

  constructor() {
    byId('trouble').append(this.#down.element);
    byId('drains').append(this.#draining.element);
    byId('backends').append(this.#all.element);
  }

  /** Rates change each second, and only those on the screen are read; the list changes seldom. */
  update(store: Store, changed: ReadonlySet<string>): void {
    const isOther = touches(changed, 'here', 'pool/', 'backend/');
    if (isOther) this.#lines = backendLines(store);
    const troubled = this.#lines.filter(({ card }) => card.downOn.length > 0);
    const draining = this.#lines.filter(({ card }) => card.isDraining);
    // These tell ages.
    this.#down.show(troubled);
    this.#draining.show(draining);
    this.#all.show(this.#lines);
  }
}

/** Those in trouble first. */
export function backendLines(store: Store): BackendLine[] {
  const lines = (store.get<HereCard>('here')?.pools ?? []).flatMap((pool) => {
    const { members = [], slots = 1 } = store.get<PoolCard>(`pool/${pool}`) ?? {};
    return members.flatMap((name, index) => {
      const card = store.get<BackendCard>(`backend/${pool}/${name}`);
      if (card === undefined) return [];
      const rate = (which: number): number =>
        store.get<number[]>(`rates/pool/${pool}`)?.[3 * index + which] ?? -1;
      return [{ pool, name, card, share: card.slots / slots, rate }];
    });
  });
  return lines.sort((one, other) => rank(one) - rank(other));
}

function rank({ card }: BackendLine): number {
  return card.downOn.length > 0 ? 0 : card.isDraining ? 1 : card.agentSilent !== undefined ? 2 : 3;
}

function stateOf({ state, downOn, isDraining }: BackendCard): Cell {
  const text = state === 'dead' ? 'down for long' : state;
  return { text, state: downOn.length > 0 ? 'bad' : isDraining ? 'warn' : 'good' };
}

function agentOf({ agentSilent }: BackendCard): Cell {
  return agentSilent === undefined ? { text: '' } : { text: agentSilent, state: 'warn' };
}

/** Nothing when every node says so. */
function whereDown({ downOn, nodes }: BackendCard): string {
  return downOn.length < nodes ? `on ${downOn.join(', ')}: ` : '';
}

function nameOf({ pool, name }: BackendLine): string {
  return `${pool}/${name}`;
}

function leftText({ card: { drain }, rate }: BackendLine): string {
  const left = drain?.connections ?? rate(2);
  if (left < 0) return `unknown: ${drain?.unknown ?? 'nobody can tell'}`;
  return drain?.done ? `${whole(left)}, done` : whole(left);
}

function drainingFor({ drain }: BackendCard): string {
  return drain === undefined ? '' : lasting(Date.now() - Date.parse(drain.since));
}

export class Services implements Panel {
  readonly #history = new Histories();
  readonly #table = new Table<ServiceLine>({
    caption: 'Services',
    empty: 'None, or none that is called so.',
    rowsMax: 20,
    searched: ({ name, card }) => `${name} ${card.vip} ${card.pool}`,
    columns: [
      { title: 'Service', cell: ({ name }) => name, order: ({ name }) => name, isWhole: true },
      { title: 'State', cell: ({ card }) => serviceState(card), order: ({ card }) => Number(card.ready) },
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
        draw: ({ name }, canvas) => this.#history.draw(name, canvas),
        isWide: true,
      },
      {
        title: 'Backends up',
        cell: ({ card: { backends } }) => `${backends.up} of ${backends.total}`,
        isNumber: true,
        isWide: true,
      },
      {
        title: 'Address',
        cell: ({ card }) => `${card.protocol} ${card.vip} ${card.ports}`,
        isWhole: true,
        isWide: true,
      },
      {
        title: 'Pool',
        cell: ({ card }) => card.pool,
        order: ({ card }) => card.pool,
        isWhole: true,
        isWide: true,
      },
    ],
  });

  constructor() {
    byId('services').append(this.#table.element);
  }

  /** Each update is a point of every line. */
  update(store: Store): void {
    const names = store.get<HereCard>('here')?.services ?? [];
    const rates = store.get<number[]>('rates/services') ?? [];
    const lines = names.flatMap((name, index) => {
      const card = store.get<ServiceCard>(`service/${name}`);
      if (card === undefined) return [];
      const packets = rates[2 * index] ?? 0;
      const bytes = rates[2 * index + 1] ?? 0;
      return [{ name, card, packets, bytes }];
    });
    this.#history.add(new Map(lines.map(({ name, packets }) => [name, packets])));
    this.#table.show(lines.sort((one, other) => Number(one.card.ready) - Number(other.card.ready)));
  }
}

function serviceState({ ready, notReadyOn, missingOn, differs }: ServiceCard): Cell {
  if (!ready) {
    const [{ node, reason }] = notReadyOn;
    return { text: `not ready on ${node}: ${reason}`, state: 'bad' };
  }
  if (missingOn.length > 0) return { text: `not on ${missingOn.join(', ')}`, state: 'bad' };
  return differs ? { text: 'differs between nodes', state: 'bad' } : { text: 'ready', state: 'good' };
}
