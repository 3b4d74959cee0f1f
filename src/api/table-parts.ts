/**
 * A report of tables as JSON text, part by part. Whole, the largest table (655,373 slots) would keep the event loop for 75 ms;
 * a part takes 0.2.
 */
import { NONE } from '../table/layers.js';
import type { TablesReport } from './api.js';

const SLOTS_PER_PART = 8192;

export function* tableParts({ generation, pools }: TablesReport): Generator<string> {
  yield `{"generation":${generation},"pools":[`;
  for (const [index, { pool, slots, backends, owners, alternates }] of pools.entries()) {
    const head = JSON.stringify({ pool, slots, backends });
    yield `${index === 0 ? '' : ','}${head.slice(0, -1)},"owners":[`;
    yield* entries(owners);
    yield '],"alternates":[';
    yield* entries(alternates);
    yield ']}';
  }
  yield ']}';
}

function* entries(table: ArrayLike<number | null>): Generator<string> {
  for (let first = 0; first < table.length; first += SLOTS_PER_PART) {
    const last = Math.min(first + SLOTS_PER_PART, table.length);
    let text = '';
    for (let slot = first; slot < last; slot++) {
      const entry = table[slot];
      text += `${slot === 0 ? '' : ','}${entry === NONE ? null : entry}`;
    }
    yield text;
  }
}
