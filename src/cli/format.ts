/** Formats figures and lines for people; a value from elsewhere always becomes one safe line. */
import { listed } from '../core/listed.js';
import { printable } from '../core/printable.js';

/** Some of `names`, for a sentence (core/listed.ts). */
export function someOf(names: readonly string[], max = 6): string {
  if (names.length === 0) return 'none';
  return listed(names, { most: max, text: printable });
}

/** Limit of a value on its own line: a few sentences. */
const VALUE_CHARS_MAX = 4096;

/** Lines of label and value, with the values aligned. */
export function labelled(rows: readonly (readonly [label: string, value: string])[], indent = '  '): string {
  const width = rows.reduce((most, [label]) => Math.max(most, label.length), 0);
  return rows
    .map(([label, value]) => `${indent}${label.padEnd(width)}  ${printable(value, VALUE_CHARS_MAX)}\n`)
    .join('');
}

/** Lines of a table: a heading, then rows, in aligned columns; those in `right` are flush right. */
export function columns(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: ReadonlySet<string> = new Set(),
): string[] {
  return aligned([head, ...rows], (column) => right.has(head[column]));
}

/** Rows as lines, every column as wide as its widest cell. */
export function aligned(
  rows: readonly (readonly string[])[],
  isRight: (column: number) => boolean = () => false,
): string[] {
  const cells = rows.map((row) => row.map((cell) => printable(cell)));
  const widths = (rows[0] ?? []).map((_, column) =>
    cells.reduce((most, row) => Math.max(most, row[column].length), 0),
  );
  return cells.map((row) =>
    row
      .map((cell, column) => (isRight(column) ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
      .join('  ')
      .trimEnd(),
  );
}
