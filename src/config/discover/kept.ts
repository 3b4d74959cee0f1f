/**
 * The backends that a node of its own has found, kept in `node.state_dir` by the path of its config file: every command that reads the file
 * reads it with them, and a start does not wait for the sources.
 */
import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';
import * as z from 'zod';
import { makeDirectory } from '../../core/directory.js';
import { BACKENDS_PER_POOL_MAX, WEIGHT_MAX } from '../../core/limits.js';
import { requireOwnDirectory } from '../../core/own-directory.js';
import { readOwnFile, replaceOwnFile } from '../../core/own-file.js';
import type { FoundPools } from '../edit/found.js';
import { NAME_PATTERN } from '../name-fields.js';

const DIRECTORY_MODE = 0o700;
const PATH_DIGEST_CHARS = 16;

const name = z.string().regex(NAME_PATTERN);
const backend = z.strictObject({
  name,
  address: z.string().max(64),
  weight: z.int().min(0).max(WEIGHT_MAX),
  state: z.enum(['active', 'draining']),
  leaves: z.boolean(),
});
const kept = z.record(name, z.array(backend).min(1).max(BACKENDS_PER_POOL_MAX));

/** None where nothing is kept that can be used. @param file the config file, by the path that it is named with */
export function keptFound(directory: string, file: string): FoundPools {
  try {
    requireOwnDirectory(directory, 'ERR_STATE_FILE', 'node.state_dir');
    return new Map(Object.entries(kept.parse(JSON.parse(readOwnFile(placeOf(directory, file)).text))));
  } catch {
    return new Map();
  }
}

/** @throws AnyhopError ERR_STATE_FILE when others can write in the directory; NodeJS.ErrnoException when it cannot be written */
export async function keepFound(directory: string, file: string, found: FoundPools): Promise<void> {
  requireOwnDirectory(directory, 'ERR_STATE_FILE', 'node.state_dir');
  makeDirectory(directory, DIRECTORY_MODE);
  await replaceOwnFile(placeOf(directory, file), `${JSON.stringify(Object.fromEntries(found))}\n`);
}

function placeOf(directory: string, file: string): string {
  const digest = createHash('sha256').update(resolve(file)).digest('hex').slice(0, PATH_DIGEST_CHARS);
  return join(directory, `found-${digest}.json`);
}
