/**
 * Backends that were added or removed at runtime, and not by the config file: kept in `node.state_dir`, by the path of that file, because
 * they lie over its text before anything in it is known.
 */
import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';
import * as z from 'zod';
import { makeDirectory } from '../../core/directory.js';
import { BACKEND_ID_MAX, BACKENDS_PER_POOL_MAX, WEIGHT_MAX } from '../../core/limits.js';
import { requireOwnDirectory } from '../../core/own-directory.js';
import { readOwnFile, replaceOwnFile } from '../../core/own-file.js';
import { NAME_PATTERN } from '../name-fields.js';

const DIRECTORY_MODE = 0o700;
const PATH_DIGEST_CHARS = 16;

const name = z.string().regex(NAME_PATTERN);
const since = z.iso.datetime();
const edit = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('add'),
    pool: name,
    entry: z.strictObject({
      name,
      address: z.string().max(64),
      weight: z.int().min(0).max(WEIGHT_MAX).optional(),
      id: z.int().min(1).max(BACKEND_ID_MAX).optional(),
      agent: z.literal(false).optional(),
    }),
    since,
  }),
  z.strictObject({ kind: z.literal('remove'), pool: name, backend: name, since }),
]);
const kept = z.array(edit).max(BACKENDS_PER_POOL_MAX);

/** Of one pool. */
export type RuntimeEdit = z.output<typeof edit>;

/** None where nothing is kept that can be used. @param file the config file, by the path that it is named with */
export function keptEdits(directory: string, file: string): readonly RuntimeEdit[] {
  try {
    requireOwnDirectory(directory, 'ERR_STATE_FILE', 'node.state_dir');
    return kept.parse(JSON.parse(readOwnFile(placeOf(directory, file)).text));
  } catch {
    return [];
  }
}

/** @throws AnyhopError ERR_STATE_FILE when others can write in the directory; NodeJS.ErrnoException when it cannot be written */
export async function keepEdits(
  directory: string,
  file: string,
  edits: readonly RuntimeEdit[],
): Promise<void> {
  requireOwnDirectory(directory, 'ERR_STATE_FILE', 'node.state_dir');
  makeDirectory(directory, DIRECTORY_MODE);
  await replaceOwnFile(placeOf(directory, file), `${JSON.stringify(edits)}\n`);
}

function placeOf(directory: string, file: string): string {
  const digest = createHash('sha256').update(resolve(file)).digest('hex').slice(0, PATH_DIGEST_CHARS);
  return join(directory, `edits-${digest}.json`);
}
