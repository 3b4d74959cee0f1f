/** Takes rows away while no `anyhop announce` runs, and lets the next one know. */
import type { AnnouncePlace } from '../config/announce/types.js';
import { monotonicMs } from '../core/clock.js';
import { AnyhopError } from '../core/errors.js';
import { reasonOf } from '../core/reason.js';
import { type InterfaceLock, lockTableLeftovers } from '../underlay/lock.js';
import { type Kept, keptPath, readKeptOrHold, writeKept } from './kept.js';
import { networkNamespace } from './place.js';
import { changeRows, type Row, readRows } from './rows.js';
import type { HeldBy } from './status.js';
import { writeNotReady } from './track-file.js';

/**
 * @returns the rows that were there
 * @param trackFile announce.track_file
 * @throws AnyhopError ERR_ROUTE when a process owns the table, or the kernel cannot be asked; ERR_CAPABILITY; ERR_STATE_FILE when rows are
 * gone, and the next process cannot be told
 */
export async function withdrawWithoutProcess(
  { socket }: Pick<AnnouncePlace, 'socket'>,
  table: number,
  by: HeldBy,
  trackFile?: string,
): Promise<readonly Row[]> {
  const lock = await lockTableLeftovers(table);
  try {
    const before = readKeptOrHold(socket);
    const hold = before?.hold?.by === 'withdraw' ? before.hold : { by, sinceMs: monotonicMs() };
    const former = await removeFormerRows(before, table);
    // Before the rows go: if this is interrupted, rows without a reason are better than a process that makes them anew.
    const unkept = await writeKept(socket, { ...before, table, namespace: networkNamespace(), hold }).then(
      () => undefined,
      (error: unknown) => reasonOf(error), // a full disk must not keep rows
    );
    const rows = [...former, ...removeRows(table)];
    if (trackFile !== undefined) await writeNotReady(trackFile);
    // After `anyhop stop` nothing would be announced anyway before a node serves.
    if (unkept !== undefined && by === 'withdraw') throw notHeld(socket, rows.length, unkept);
    return rows;
  } finally {
    await lock.release();
  }
}

function notHeld(socket: string, rows: number, why: string): AnyhopError {
  const count = `${rows} ${rows === 1 ? 'row' : 'rows'}`;
  return new AnyhopError(
    'ERR_STATE_FILE',
    `removed ${count}, but the next "anyhop announce" will make them again: ${keptPath(socket)}: ${why}`,
    { hint: 'Let it be written (is the disk full?), and withdraw again.' },
  );
}

/**
 * Removes what a process left in another table, which the config named then: nobody else would, and routers would go on to send.
 * @returns the rows that were there; none if another process owns that table
 * @throws AnyhopError as `withdrawWithoutProcess`
 */
export async function removeFormerRows(before: Kept | undefined, table: number): Promise<readonly Row[]> {
  if (before === undefined || before.table === table || before.namespace !== networkNamespace()) return [];
  let lock: InterfaceLock;
  try {
    lock = await lockTableLeftovers(before.table);
  } catch (error) {
    if (error instanceof AnyhopError && error.code === 'ERR_ROUTE') return [];
    throw error;
  }
  try {
    return removeRows(before.table);
  } finally {
    await lock.release();
  }
}

/** @throws AnyhopError ERR_ROUTE when the kernel keeps one of them */
function removeRows(table: number): readonly Row[] {
  const rows = readRows(table);
  const [refused] = changeRows(
    table,
    rows.map((row) => ({ ...row, what: 'delete' })),
  );
  if (refused !== undefined) throw new AnyhopError('ERR_ROUTE', refused.reason);
  return rows;
}

/** @returns false when nothing was held back */
export async function forgetHold({ socket }: Pick<AnnouncePlace, 'socket'>): Promise<boolean> {
  const before = readKeptOrHold(socket);
  if (before?.hold === undefined) return false;
  const { hold: _, ...rest } = before;
  await writeKept(socket, rest);
  return true;
}
