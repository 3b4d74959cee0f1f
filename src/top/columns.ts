/** Which columns of a table fit on a screen, and how wide each is. */
import type { Drawn } from '../view/tables.js';
import { safe, widthOf } from './text.js';

export interface Place {
  /** Index of the column in the table. */
  readonly column: number;
  readonly width: number;
}

/** Names are cut before they push out other columns. */
const WIDTH_MAX = 32;
/** Of the last column, which holds sentences and takes what is left. */
const SENTENCE_WIDTH_MIN = 16;
export const GAP = 2;

/**
 * Widths depend on all rows, also on those that do not show now, so that scrolling moves no column.
 * @param width of the screen
 */
export function placed({ columns, rows }: Drawn, width: number): Place[] {
  const last = columns.length - 1;
  const isSentence = (column: number): boolean => column === last && columns[column].isNumber === undefined;
  const natural = columns.map(({ head }, column) => {
    const cells = rows.reduce(
      (most, { cells: row }) => Math.max(most, widthOf(safe(row[column]))),
      widthOf(head),
    );
    return isSentence(column) ? cells : Math.min(cells, WIDTH_MAX);
  });
  const needed = natural.map((most, column) =>
    isSentence(column) ? Math.min(most, SENTENCE_WIDTH_MIN) : most,
  );
  let kept = columns.map((_, column) => column);
  const total = (): number => kept.reduce((sum, column) => sum + needed[column], 0) + GAP * (kept.length - 1);
  while (kept.length > 1 && total() > width) {
    const rank = Math.max(...kept.map((column) => columns[column].rank));
    if (rank === 0) break;
    const least = kept.findLast((column) => columns[column].rank === rank);
    kept = kept.filter((column) => column !== least);
  }
  const spare = Math.max(0, width - total());
  return kept.map((column) => ({
    column,
    width: isSentence(column) ? Math.min(natural[column], needed[column] + spare) : needed[column],
  }));
}
