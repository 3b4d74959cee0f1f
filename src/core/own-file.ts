/** Small files that belong to a node: read only if they are really its own, and replaced as a whole. */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readdirSync, readFileSync, type Stats } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isAlive } from './alive.js';

/** They may contain secrets. */
const FILE_MODE = 0o600;
/** Follows no link. Does not wait for the writer of a pipe, which is recognized only after opening. */
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const RANDOM_BYTES = 8;
const ROOT = 0;
/** Of chown(2). */
const AS_IT_IS = -1;
const LEFTOVER = /\.([0-9]+)-[0-9a-f]{16}\.tmp$/;

export interface OwnFile {
  readonly text: string;
  readonly writtenAt: Date;
}

export interface OwnBytes extends Pick<OwnFile, 'writtenAt'> {
  readonly bytes: Buffer;
}

/**
 * @param owner a user whose file is as good as an own one: for root, which acts for that user
 * @throws NodeJS.ErrnoException ENOENT; Error when it is a pipe, a link, a directory, or another user's
 */
export function readOwnFile(path: string, owner?: number): OwnFile {
  const { bytes, writtenAt } = readOwnBytes(path, owner);
  return { text: bytes.toString('utf8'), writtenAt };
}

/** The same of a file that is no text. */
export function readOwnBytes(path: string, owner?: number): OwnBytes {
  const descriptor = openSync(path, READ_FLAGS);
  try {
    const status = fstatSync(descriptor);
    requireOwned(status, owner);
    return { bytes: readFileSync(descriptor), writtenAt: status.mtime };
  } finally {
    closeSync(descriptor);
  }
}

/**
 * @param status of the open file, whatever its name leads to by now
 * @param owner as of `readOwnFile`
 * @throws Error when it is a pipe, a directory, or another user's
 */
export function requireOwned(status: Stats, owner?: number): void {
  if (!status.isFile()) throw new Error('it is not a regular file');
  if (status.uid !== ROOT && status.uid !== process.geteuid?.() && status.uid !== owner)
    throw new Error(`it belongs to another user (${status.uid})`);
}

/**
 * Writes a temporary file and renames it, so that a reader, also after a kill at any moment, finds the old file or the new one,
 * never a part. The temporary name cannot be guessed, and the file must be new.
 * @param owner root writes it for this user, whose directory it is
 * @param group that of the process when left out
 * @param mode whatever the umask of the process is
 */
export async function replaceOwnFile(
  path: string,
  content: string | Uint8Array,
  {
    owner = ROOT,
    group,
    mode = FILE_MODE,
  }: { readonly owner?: number; readonly group?: number; readonly mode?: number } = {},
): Promise<void> {
  const beside = `${path}.${process.pid}-${randomBytes(RANDOM_BYTES).toString('hex')}.tmp`;
  const file = await open(beside, 'wx', FILE_MODE); // O_CREAT | O_EXCL: follows no link either
  try {
    try {
      if (mode !== FILE_MODE) await file.chmod(mode);
      await file.writeFile(content);
      const isForOther = owner !== ROOT && process.geteuid?.() === ROOT;
      if (isForOther || group !== undefined)
        await file.chown(isForOther ? owner : AS_IT_IS, group ?? AS_IT_IS);
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

/** Removes temporary files of a killed process. */
export async function removeLeftovers(directory: string): Promise<void> {
  for (const name of readdirSync(directory)) {
    const pid = LEFTOVER.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) await rm(join(directory, name), { force: true });
  }
}
