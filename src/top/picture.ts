/** The whole screen, as lines: a summary, what is wrong, one table, and the keys. */
import type { FleetView } from '../view/fleet.js';
import { type Drawn, drawn, TABLES } from '../view/tables.js';
import { GAP, type Place, placed } from './columns.js';
import { type Chosen, TABLE_NAMES } from './state.js';
import type { Line, Span } from './style.js';
import { clockSpan, countsLine, trafficLine, troubleLines, whoLine } from './summary.js';
import { fit, safe, widthOf } from './text.js';

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

export interface Picture {
  /** As many as the screen has rows. */
  readonly lines: readonly Line[];
  /** First row that shows: that of the state, or less where there are not so many. */
  readonly offset: number;
  /** Rows of the table that show at once. */
  readonly page: number;
}

const KEYS = 'q quit  ? help  1-4 table  / filter  < > sort  r reverse  p pause';
/** Share of the screen that troubles may take. */
const TROUBLES_SHARE = 1 / 6;

export function picture(view: FleetView, state: Chosen, size: Size): Picture {
  const { columns: width, rows: height } = size;
  const order = state.orders[state.table];
  const table = drawn(view, state.table, order, state.typed ?? state.filter);
  const above = [
    ends(whoLine(view), clockSpan(view, state.isPaused), width),
    trafficLine(view),
    countsLine(view),
    ...troubleLines(view, Math.max(1, Math.floor(height * TROUBLES_SHARE))),
  ];
  // Below stand the tabs, the heads and the keys.
  const page = Math.max(0, height - above.length - 3);
  const offset = Math.max(0, Math.min(state.offset, table.rows.length - page));
  const body = state.isHelp ? helpLines() : tableLines(table, order.by, offset, page, width);
  const all = [...above, tabsLine(state, table, offset, page, width), ...body];
  const lines = Array.from({ length: height - 1 }, (_, row): Line => all[row] ?? []);
  return { lines: [...lines, keysLine(state, width)].slice(-height), offset, page };
}

function tabsLine(state: Chosen, table: Drawn, offset: number, page: number, width: number): Line {
  const tabs = TABLE_NAMES.flatMap((name, i): Span[] => [
    { text: ` ${i + 1} ${name}s `, style: name === state.table ? 'reverse' : 'dim' },
  ]);
  const { length } = table.rows;
  const range =
    length <= page ? `${length}` : `${offset + 1}-${Math.min(length, offset + page)} of ${length}`;
  const filter = state.filter === '' ? '' : `  /${state.filter}`;
  return ends(tabs, { text: `${range}${filter}`, style: 'dim' }, width);
}

function tableLines(table: Drawn, sortedBy: string, offset: number, page: number, width: number): Line[] {
  const places = placed(table, width);
  const gap = { text: ' '.repeat(GAP) };
  const head = places.flatMap((place, i): Span[] => {
    const { id, head: text } = table.columns[place.column];
    return [
      ...(i > 0 ? [gap] : []),
      { text: cell(table, place, text), style: id === sortedBy ? 'reverse' : 'bold' },
    ];
  });
  const rows = table.rows
    .slice(offset, offset + page)
    .map(
      ({ cells, level }): Line => [
        { text: places.map((place) => cell(table, place, cells[place.column])).join(gap.text), style: level },
      ],
    );
  return [head, ...rows];
}

function cell({ columns }: Drawn, { column, width }: Place, text: string): string {
  return fit(text, width, columns[column].isNumber === true);
}

function keysLine({ typed, filter }: Chosen, width: number): Line {
  if (typed !== undefined)
    return [
      { text: `filter: ${typed}_`, style: 'bold' },
      { text: '   Enter keeps it, Escape does not', style: 'dim' },
    ];
  const undo = filter === '' ? '' : '  Esc no filter';
  return [{ text: fit(KEYS + undo, width), style: 'dim' }];
}

/** One part on the left and one on the right. The right one goes where both do not fit. */
function ends(left: readonly Span[], right: Span, width: number): Line {
  const used = left.reduce((sum, { text }) => sum + widthOf(safe(text)), 0);
  const spare = width - used - widthOf(safe(right.text));
  return spare < 1 ? left : [...left, { text: ' '.repeat(spare) }, right];
}

function helpLines(): Line[] {
  const columns = TABLE_NAMES.map(
    (name) => `${name}s: ${TABLES[name].columns.map(({ id }) => id).join(' ')}`,
  );
  return [
    [],
    ...HELP.map(([keys, what]): Line => [{ text: `  ${keys.padEnd(18)}`, style: 'bold' }, { text: what }]),
    [],
    ...columns.map((text): Line => [{ text: `  ${text}`, style: 'dim' }]),
  ];
}

const HELP = [
  ['1 2 3 4, s b v n', 'services, backends, verdicts, nodes; Tab shows the next'],
  ['up down j k', 'scroll; also PgUp, PgDn, Space, Home, End'],
  ['/', 'show only rows with this text; Escape shows all again'],
  ['< > o', 'sort by another column'],
  ['r', 'reverse the order'],
  ['p', 'pause, and go on'],
  ['Ctrl-L, Ctrl-Z', 'draw again, suspend'],
  ['q, Ctrl-C', 'quit'],
] as const;
