/** `anyhop top` where there is no terminal to draw on: the same once, as text, with all columns and all rows. */
import { printable } from '../core/printable.js';
import { countsLine, SIGNS, trafficLine, whoLine } from '../top/summary.js';
import type { FleetView } from '../view/fleet.js';
import { drawn, type Order, type TableName } from '../view/tables.js';
import { columns } from './format.js';

export function drawTop(view: FleetView, table: TableName, order: Order): string {
  const { columns: heads, rows } = drawn(view, table, order);
  const right = new Set(heads.flatMap(({ head, isNumber }) => (isNumber ? [head] : [])));
  const above = [whoLine(view), trafficLine(view), countsLine(view)].map((line) =>
    line.map(({ text }) => text).join(''),
  );
  const troubles = view.troubles.map(({ level, text }) => printable(SIGNS[level] + text, 1024));
  return `${[
    ...above,
    ...(troubles.length === 0 ? ['nothing is wrong'] : troubles),
    '',
    ...columns(
      heads.map(({ head }) => head),
      rows.map(({ cells }) => cells),
      right,
    ),
  ].join('\n')}\n`;
}
