/**
 * The last revision that was in force on this host, in `node.state_dir`: by it everything goes on without the store, also through a
 * restart. Every command that reads the host's file reads it with this revision.
 */
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import * as z from 'zod';
import { makeDirectory } from '../../core/directory.js';
import { FLEET_RECORD_BYTES_MAX, STATE_DIRECTORY_DEFAULT } from '../../core/limits.js';
import { requireOwnDirectory } from '../../core/own-directory.js';
import { readOwnFile, replaceOwnFile } from '../../core/own-file.js';
import { stateDirectoryIn } from '../state-directory.js';

const DIRECTORY_MODE = 0o700;
const PATH_DIGEST_CHARS = 16;
const LOOK_MS = 1_000;

export interface KeptRevision {
  readonly number: number;
  /** As it was signed, to be checked again by those who have the operator's key. */
  readonly record: string;
  readonly text: string;
}

const kept = z.object({
  number: z.int().min(1),
  record: z.string().max(2 * FLEET_RECORD_BYTES_MAX),
  text: z.string(),
});

/** Whose it is: a proxy host has an agent too, and each of the two may be behind the other. */
export type Holder = 'host' | 'l7';

/**
 * @param file the host's own config file, by the path that it is named with
 * @param holder one that has kept none yet goes by what the host has
 */
export function keptRevision(
  file: string,
  directory = revisionDirectory(file),
  holder: Holder = 'host',
): KeptRevision | undefined {
  const own = readKept(placeOf(file, directory, holder), directory);
  return own ?? (holder === 'host' ? undefined : readKept(placeOf(file, directory, 'host'), directory));
}

function readKept(place: string, directory: string): KeptRevision | undefined {
  try {
    requireOwnDirectory(directory, 'ERR_STATE_FILE', 'node.state_dir');
    return kept.parse(JSON.parse(readOwnFile(place).text));
  } catch {
    return undefined; // none yet; and what cannot be used is fetched from the store again
  }
}

/** @throws AnyhopError ERR_STATE_FILE when others can write in the directory; NodeJS.ErrnoException when it cannot be written */
export async function keepRevision(
  file: string,
  revision: KeptRevision,
  directory = revisionDirectory(file),
  holder: Holder = 'host',
): Promise<void> {
  requireOwnDirectory(directory, 'ERR_STATE_FILE', 'node.state_dir');
  makeDirectory(directory, DIRECTORY_MODE);
  await replaceOwnFile(placeOf(file, directory, holder), `${JSON.stringify(revision)}\n`);
}

/**
 * Calls `changed` within a second after a revision was kept that was not there at the time of this call, until the returned function is
 * called; that also lets the process end.
 */
export function watchRevision(
  file: string,
  changed: () => void,
  directory = revisionDirectory(file),
): () => void {
  const place = placeOf(file, directory, 'host');
  const look = (): string => {
    const { ino, mtimeMs } = statSync(place, { throwIfNoEntry: false }) ?? {};
    return `${ino} ${mtimeMs}`;
  };
  let seen = look();
  const timer = setInterval(() => {
    const now = look();
    if (now === seen) return;
    seen = now;
    changed();
  }, LOOK_MS);
  return () => clearInterval(timer);
}

/** @param said by an option of the command line */
export function revisionDirectory(file: string, said?: string): string {
  const known = said ?? process.env['ANYHOP_STATE_DIR'];
  if (known) return known;
  const inFile = stateDirectoryIn(file);
  return typeof inFile === 'object' ? inFile.path : STATE_DIRECTORY_DEFAULT;
}

function placeOf(file: string, directory: string, holder: Holder): string {
  const digest = createHash('sha256').update(resolve(file)).digest('hex').slice(0, PATH_DIGEST_CHARS);
  return join(directory, `revision-${digest}${holder === 'host' ? '' : `-${holder}`}.json`);
}
