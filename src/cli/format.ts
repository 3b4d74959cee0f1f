/** Formats figures and lines for people; a value from elsewhere always becomes one safe line. */
import { listed } from '../core/listed.js';
import { printable } from '../core/printable.js';

/** `66 slots`, `1 slot`: the number without separators, at most one decimal. */
export function amount(count: number, unit: string): string {
  const rounded = Number(count.toFixed(1));
  return `${rounded} ${unit}${rounded === 1 ? '' : 's'}`;
}

/** A share from 0 to 1 as a percentage; only nothing reads as 0 %. */
export function percent(share: number): string {
  if (share === 0) return '0 %';
  if (share < 0.00005) return '< 0.01 %';
  if (share < 1 && share >= 0.99995) return '> 99.99 %';
  return `${Number((share * 100).toFixed(share < 0.1 ? 2 : 1))} %`;
}

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

const PREFIXES = ['', 'k', 'M', 'G', 'T', 'P'] as const;

/** `0`, `950`, `12.3k`, `4.56M`: three significant digits and an SI prefix. */
export function short(value: number): string {
  let scaled = value;
  let prefix = 0;
  // 999.5 would round to 1000.
  while (scaled >= 999.5 && prefix < PREFIXES.length - 1) {
    scaled /= 1000;
    prefix++;
  }
  return `${Number(scaled.toPrecision(3))}${PREFIXES[prefix]}`;
}
