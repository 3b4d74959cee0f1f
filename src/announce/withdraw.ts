/** Takes rows away while no `anyhop announce` runs, and lets the next one know. */
import type { AnnouncePlace } from '../config/announce/types.js';
import { lockTableLeftovers } from '../underlay/lock.js';
import { monotonicMs } from './clock.js';
import { type Kept, readKept, writeKept } from './kept.js';
import { networkNamespace } from './place.js';
import { changeRows, type Row, readRows } from './rows.js';
import type { HeldBy } from './status.js';
import { writeNotReady } from './track-file.js';

/**
 * @returns the rows that were there
 * @param trackFile announce.track_file
 * @throws AnyhopError ERR_ROUTE when a process owns the table, or the kernel cannot be asked; ERR_CAPABILITY
 */
export async function withdrawWithoutProcess(
  { socket }: Pick<AnnouncePlace, 'socket'>,
  table: number,
  by: HeldBy,
  trackFile?: string,
): Promise<readonly Row[]> {
  const lock = await lockTableLeftovers(table);
  try {
    const before = lastKept(socket);
    const hold = before?.hold?.by === 'withdraw' ? before.hold : { by, sinceMs: monotonicMs() };
    // First: if this is interrupted, rows without a reason are better than a process that makes them anew.
    await writeKept(socket, { ...before, table, namespace: networkNamespace(), hold });
    const rows = readRows(table);
    changeRows(
      table,
      rows.map((row) => ({ ...row, what: 'delete' })),
    );
    if (trackFile !== undefined) await writeNotReady(trackFile);
    return rows;
  } finally {
    await lock.release();
  }
}

/** @returns false when nothing was held back */
export async function forgetHold({ socket }: Pick<AnnouncePlace, 'socket'>): Promise<boolean> {
  const before = lastKept(socket);
  if (before?.hold === undefined) return false;
  const { hold: _, ...rest } = before;
  await writeKept(socket, rest);
  return true;
}

/** What cannot be used says nothing. */
function lastKept(socket: string): Kept | undefined {
  try {
    return readKept(socket);
  } catch {
    return undefined;
  }
}
