/** What somebody who looks at the screen has chosen, and what keys make of it. Pure: the screen follows from this and the view. */
import { type Order, TABLES, type TableName } from '../view/tables.js';

export interface Chosen {
  readonly table: TableName;
  /** Of each table, so that it is as it was left. */
  readonly orders: Readonly<Record<TableName, Order>>;
  readonly filter: string;
  /** Text of a filter that is being typed; undefined when none is. */
  readonly typed: string | undefined;
  /** First row shown. May be more than there is; the picture says where it ended up. */
  readonly offset: number;
  readonly isPaused: boolean;
  readonly isHelp: boolean;
}

/** As `node:readline` tells them. */
export interface Key {
  readonly name?: string | undefined;
  readonly sequence?: string | undefined;
  readonly ctrl?: boolean | undefined;
  readonly meta?: boolean | undefined;
}

/** What is to be done beside showing the state. */
export type Effect = 'quit' | 'redraw' | 'suspend';

export const TABLE_NAMES = Object.keys(TABLES) as readonly TableName[];
const FILTER_CHARS_MAX = 64;

export function chosen(table: TableName, order?: Order): Chosen {
  const orders = Object.fromEntries(
    TABLE_NAMES.map((name) => [name, { by: TABLES[name].sortedBy, isReversed: false }]),
  ) as Record<TableName, Order>;
  if (order !== undefined) orders[table] = order;
  return { table, orders, filter: '', typed: undefined, offset: 0, isPaused: false, isHelp: false };
}

/** @param page rows that show at once */
export function pressed(state: Chosen, key: Key, page: number): { state: Chosen; effect?: Effect } {
  const { name = '', sequence = '', ctrl = false } = key;
  if (ctrl) {
    if (name === 'c') return { state, effect: 'quit' };
    if (name === 'l') return { state, effect: 'redraw' };
    if (name === 'z') return { state, effect: 'suspend' };
    if (name === 'u' && state.typed !== undefined) return { state: { ...state, typed: '' } };
    return { state };
  }
  if (state.typed !== undefined) return { state: typing(state, state.typed, name, sequence) };
  // Any key ends the help; q means the help and not the program.
  if (state.isHelp) return { state: { ...state, isHelp: false } };
  if (sequence === 'q' || sequence === 'Q') return { state, effect: 'quit' };
  return { state: { ...state, ...(BY_NAME.get(name) ?? BY_SIGN.get(sequence))?.(state, page) } };
}

function typing(state: Chosen, typed: string, name: string, sequence: string): Chosen {
  if (name === 'return' || name === 'enter') return { ...state, filter: typed, typed: undefined, offset: 0 };
  if (name === 'escape') return { ...state, typed: undefined };
  if (name === 'backspace') return { ...state, typed: [...typed].slice(0, -1).join('') };
  if (!/^[^\p{C}]$/u.test(sequence) || typed.length >= FILTER_CHARS_MAX) return state;
  return { ...state, typed: typed + sequence };
}

type Change = (state: Chosen, page: number) => Partial<Chosen>;

const BY_NAME: ReadonlyMap<string, Change> = new Map(
  Object.entries({
    up: scroll(-1),
    down: scroll(1),
    pageup: (state, page) => scroll(-page)(state, page),
    pagedown: (state, page) => scroll(page)(state, page),
    home: () => ({ offset: 0 }),
    end: () => ({ offset: Number.MAX_SAFE_INTEGER }),
    left: (state) => sortByNext(state, -1),
    right: (state) => sortByNext(state, 1),
    escape: () => ({ filter: '', offset: 0 }),
  } satisfies Record<string, Change>),
);

const BY_SIGN: ReadonlyMap<string, Change> = new Map(
  Object.entries({
    '1': show('service'),
    s: show('service'),
    '2': show('backend'),
    b: show('backend'),
    '3': show('verdict'),
    v: show('verdict'),
    '4': show('node'),
    n: show('node'),
    '\t': ({ table }) => ({
      table: TABLE_NAMES[(TABLE_NAMES.indexOf(table) + 1) % TABLE_NAMES.length],
      offset: 0,
    }),
    k: scroll(-1),
    j: scroll(1),
    ' ': (state, page) => scroll(page)(state, page),
    g: () => ({ offset: 0 }),
    G: () => ({ offset: Number.MAX_SAFE_INTEGER }),
    '/': ({ filter }) => ({ typed: filter }),
    o: (state) => sortByNext(state, 1),
    '>': (state) => sortByNext(state, 1),
    '<': (state) => sortByNext(state, -1),
    r: ({ orders, table }) => ({
      orders: { ...orders, [table]: { ...orders[table], isReversed: !orders[table].isReversed } },
    }),
    p: ({ isPaused }) => ({ isPaused: !isPaused }),
    '?': () => ({ isHelp: true }),
    h: () => ({ isHelp: true }),
  } satisfies Record<string, Change>),
);

function show(table: TableName): Change {
  return () => ({ table, offset: 0 });
}

function scroll(rows: number): Change {
  return ({ offset }) => ({ offset: Math.max(0, offset + rows) });
}

function sortByNext({ orders, table }: Chosen, step: number): Partial<Chosen> {
  const ids = TABLES[table].columns.map(({ id }) => id);
  const next = ids[(ids.indexOf(orders[table].by) + step + ids.length) % ids.length];
  return { orders: { ...orders, [table]: { by: next, isReversed: false } } };
}
