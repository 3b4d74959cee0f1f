/** The order of rows: by one column, and otherwise as they came, so that equal rows keep their places from one look to the next. */

export type Key = number | string | undefined;

/**
 * A new array. Names with numbers in them sort as people count: web-2 before web-10. Rows without a value stand last, whatever the
 * direction.
 */
export function sorted<Row>(rows: readonly Row[], key: (row: Row) => Key, isDescending = false): Row[] {
  const keyed = rows.map((row) => ({ row, key: key(row) }));
  const direction = isDescending ? -1 : 1;
  return keyed
    .toSorted((one, other) => {
      if (one.key === undefined || other.key === undefined)
        return Number(one.key === undefined) - Number(other.key === undefined);
      return direction * compare(one.key, other.key);
    })
    .map(({ row }) => row);
}

const COUNTING = new Intl.Collator('en', { numeric: true });

function compare(one: number | string, other: number | string): number {
  if (typeof one === 'number' && typeof other === 'number') return one - other;
  return COUNTING.compare(String(one), String(other));
}
