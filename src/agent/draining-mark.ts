/**
 * The mark by which a host asks to be drained: a file in `agent.run_dir`, one for each underlay address of a backend.
 *
 *     /run/anyhop/draining-10.1.0.12
 *     /run/anyhop/draining-fd00__12          ":" is written as "_"
 *
 * While it is there, the agent reports `draining: true`, and the forwarders drain that backend. /run is empty after a boot, so a host that
 * boots is no longer drained. The file's text says which program made it, so that a program can tell its own mark from an operator's.
 *
 * The directory must be safe (core/own-directory.ts): whoever can make files there can drain the backend.
 */
import { chmodSync, closeSync, constants, lstatSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { makeDirectory } from '../core/directory.js';
import { AnyhopError } from '../core/errors.js';
import { requireOwnDirectory } from '../core/own-directory.js';
import { readOwnFile } from '../core/own-file.js';
import { reasonOf } from '../core/reason.js';
import type { IpAddress } from '../packet/address.js';

/** Every user may look whether a mark is there: the agent has a user of its own. */
const DIRECTORY_MODE = 0o755;
const FILE_MODE = 0o600;
const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
const AUTHOR_PATTERN = /^[ -~]{1,64}$/;

type Address = Pick<IpAddress, 'text'>;

export function markPath(directory: string, { text }: Address): string {
  return join(directory, `draining-${text.replaceAll(':', '_')}`);
}

/**
 * Whether the host asks for the drain of this backend.
 * @param directory `agent.run_dir`
 * @throws AnyhopError ERR_DRAINING_MARK when the directory or the file is not safe, or cannot be looked at
 */
export function isMarked(directory: string, address: Address): boolean {
  const path = markPath(directory, address);
  return guarded(path, () => {
    requireOwnDirectory(directory, 'ERR_DRAINING_MARK', 'agent.run_dir');
    return isOwnFile(path);
  });
}

/**
 * Asks for the drain of this backend. The directory is made when it is not there.
 * @param author the program that asks, as text of 1 to 64 printable ASCII characters
 * @returns false when the mark was there already; its author stays
 * @throws AnyhopError ERR_DRAINING_MARK as `isMarked`, or when the mark cannot be made
 */
export function mark(directory: string, address: Address, author: string): boolean {
  if (!AUTHOR_PATTERN.test(author)) throw new RangeError('the author of a mark is a short printable text');
  const path = markPath(directory, address);
  return guarded(path, () => {
    requireOwnDirectory(directory, 'ERR_DRAINING_MARK', 'agent.run_dir');
    if (makeDirectory(directory, DIRECTORY_MODE)) chmodSync(directory, DIRECTORY_MODE); // whatever the umask is
    if (isOwnFile(path)) return false;
    const descriptor = openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, FILE_MODE);
    try {
      writeSync(descriptor, `${author}\n`);
    } finally {
      closeSync(descriptor);
    }
    return true;
  });
}

/**
 * Asks no longer.
 * @returns false when there was no mark
 * @throws AnyhopError ERR_DRAINING_MARK as `isMarked`, or when the mark cannot be removed
 */
export function unmark(directory: string, address: Address): boolean {
  const path = markPath(directory, address);
  return guarded(path, () => {
    requireOwnDirectory(directory, 'ERR_DRAINING_MARK', 'agent.run_dir');
    if (!isOwnFile(path)) return false;
    unlinkSync(path);
    return true;
  });
}

/**
 * The program that made the mark; an empty text when the mark does not say. Undefined without a mark.
 * @throws AnyhopError ERR_DRAINING_MARK as `isMarked`
 */
export function markAuthor(directory: string, address: Address): string | undefined {
  if (!isMarked(directory, address)) return undefined;
  const path = markPath(directory, address);
  return guarded(path, () => {
    const author = readOwnFile(path).text.split('\n', 1)[0];
    return AUTHOR_PATTERN.test(author) ? author : '';
  });
}

/** @throws Error when something else than a file of this user or root is there */
function isOwnFile(path: string): boolean {
  const status = lstatSync(path, { throwIfNoEntry: false });
  if (status === undefined) return false;
  if (!status.isFile()) throw new Error('it is not a regular file');
  if (status.uid !== 0 && status.uid !== process.geteuid?.())
    throw new Error(`it belongs to another user (${status.uid})`);
  return true;
}

function guarded<T>(path: string, task: () => T): T {
  try {
    return task();
  } catch (cause) {
    if (cause instanceof AnyhopError) throw cause;
    throw new AnyhopError('ERR_DRAINING_MARK', `the mark ${path} cannot be used: ${reasonOf(cause)}`, {
      hint: 'Its directory (agent.run_dir) must belong to root or to the user that runs this, and be readable for the agent.',
      cause,
    });
  }
}
