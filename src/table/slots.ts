/** How many slots each backend owns. */
import { NONE } from './layers.js';
import type { PoolTables } from './resolve.js';

/** Counted once for each table, not for each who asks. */
const counted = new WeakMap<Pick<PoolTables, 'owners'>, Uint32Array>();

/** By the index of `tables.names`. */
export function slotsOf(tables: Pick<PoolTables, 'names' | 'owners'>): Uint32Array {
  const known = counted.get(tables);
  if (known !== undefined) return known;
  const slots = new Uint32Array(tables.names.length);
  for (const owner of tables.owners) if (owner !== NONE) slots[owner]++;
  counted.set(tables, slots);
  return slots;
}
