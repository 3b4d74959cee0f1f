/** Figures and lines as the commands print them for people. */

/** `66 slots`, `1 slot`: the number with thousands apart by nothing, at most one decimal. */
export function amount(count: number, unit: string): string {
  const rounded = Number(count.toFixed(1));
  return `${rounded} ${unit}${rounded === 1 ? '' : 's'}`;
}

/** A share from 0 to 1 as a percentage; something that is not nothing never reads as 0 %. */
export function percent(share: number): string {
  if (share === 0) return '0 %';
  if (share < 0.00005) return '< 0.01 %';
  if (share < 1 && share >= 0.99995) return '> 99.99 %';
  return `${Number((share * 100).toFixed(share < 0.1 ? 2 : 1))} %`;
}

/** Some of `names`, for a sentence: all of a few, the first of many and how many more. */
export function someOf(names: readonly string[], max = 6): string {
  if (names.length === 0) return 'none';
  if (names.length <= max) return names.join(', ');
  return `${names.slice(0, max).join(', ')} and ${names.length - max} more`;
}

/** Lines of label and value, the values below each other. */
export function labelled(rows: readonly (readonly [label: string, value: string])[], indent = '  '): string {
  const width = rows.reduce((most, [label]) => Math.max(most, label.length), 0);
  return rows.map(([label, value]) => `${indent}${label.padEnd(width)}  ${value}\n`).join('');
}
