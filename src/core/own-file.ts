/** Small files of a node's own: read only when they are that, and replaced as a whole. */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isAlive } from './alive.js';

/** They may hold what others must not read. */
const FILE_MODE = 0o600;
/** Follows no link, and does not wait for the writer of a pipe, which shows only once it is open. */
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const RANDOM_BYTES = 8;
const LEFTOVER = /\.([0-9]+)-[0-9a-f]{16}\.tmp$/;

export interface OwnFile {
  readonly text: string;
  readonly writtenAt: Date;
}

/** @throws NodeJS.ErrnoException ENOENT; Error when it is a pipe, a link, a directory, or another user's */
export function readOwnFile(path: string): OwnFile {
  const descriptor = openSync(path, READ_FLAGS);
  try {
    const status = fstatSync(descriptor);
    if (!status.isFile()) throw new Error('it is not a regular file');
    if (status.uid !== 0 && status.uid !== process.geteuid?.())
      throw new Error(`it belongs to another user (${status.uid})`);
    return { text: readFileSync(descriptor, 'utf8'), writtenAt: status.mtime };
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Written beside its place and renamed, so that a reader, and a process killed at any moment, finds the former or the next and never
 * half of one. Its name until then cannot be guessed, and the file is made here or not at all.
 */
export async function replaceOwnFile(path: string, text: string): Promise<void> {
  const beside = `${path}.${process.pid}-${randomBytes(RANDOM_BYTES).toString('hex')}.tmp`;
  const file = await open(beside, 'wx', FILE_MODE); // O_CREAT | O_EXCL: follows no link either
  try {
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}

/** Removes what a process that was killed has left half written. */
export async function removeLeftovers(directory: string): Promise<void> {
  for (const name of readdirSync(directory)) {
    const pid = LEFTOVER.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) await rm(join(directory, name), { force: true });
  }
}
