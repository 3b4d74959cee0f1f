/**
 * What a node or a proxy host of its own has found, kept in `node.state_dir` by the path of its config file: every command that reads the file
 * reads it with them, and a start does not wait for the sources.
 */
import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';
import * as z from 'zod';
import { makeDirectory } from '../../core/directory.js';
import { WEIGHT_MAX } from '../../core/limits.js';
import { requireOwnDirectory } from '../../core/own-directory.js';
import { readOwnFile, replaceOwnFile } from '../../core/own-file.js';
import type { FoundGroups, Standing } from '../edit/found.js';
import { NAME_PATTERN } from '../name-fields.js';
import { GROUP_KINDS, type GroupKey, type GroupKind, groupOf } from './kinds.js';

const DIRECTORY_MODE = 0o700;
const PATH_DIGEST_CHARS = 16;

const member = z.strictObject({
  name: z.string().regex(NAME_PATTERN),
  address: z.string().max(64),
  port: z.int().min(1).max(65_535).optional(),
  weight: z.int().min(0).max(WEIGHT_MAX),
  state: z.enum(['active', 'draining']),
  leaves: z.boolean(),
});
const kept = z.record(z.string().regex(NAME_PATTERN), z.array(member).min(1));

/** None where nothing is kept that can be used. @param file the config file, by the path that it is named with */
export function keptFound(directory: string, file: string): FoundGroups {
  return new Map([...keptOf(directory, file, 'pool'), ...keptOf(directory, file, 'upstream')]);
}

function keptOf(directory: string, file: string, kind: GroupKind): [GroupKey, Standing[]][] {
  try {
    requireOwnDirectory(directory, 'ERR_STATE_FILE', 'node.state_dir');
    const text = readOwnFile(placeOf(directory, file, kind)).text;
    return Object.entries(kept.parse(JSON.parse(text))).map(([name, members]) => [
      `${kind} ${name}`,
      members,
    ]);
  } catch {
    return [];
  }
}

/**
 * Node and proxy host may be one host with one file, so each keeps what it asks for in a file of its own.
 * @param found of the groups of this kind all that is to be kept; others are left out
 * @throws AnyhopError ERR_STATE_FILE when others can write in the directory; NodeJS.ErrnoException when it cannot be written
 */
export async function keepFound(
  directory: string,
  file: string,
  kind: GroupKind,
  found: FoundGroups,
): Promise<void> {
  requireOwnDirectory(directory, 'ERR_STATE_FILE', 'node.state_dir');
  makeDirectory(directory, DIRECTORY_MODE);
  const groups = [...found].flatMap(([key, members]) => {
    const group = groupOf(key);
    return group.kind === kind ? [[group.name, members] as const] : [];
  });
  await replaceOwnFile(placeOf(directory, file, kind), `${JSON.stringify(Object.fromEntries(groups))}\n`);
}

function placeOf(directory: string, file: string, kind: GroupKind): string {
  const digest = createHash('sha256').update(resolve(file)).digest('hex').slice(0, PATH_DIGEST_CHARS);
  return join(directory, `found-${digest}-${GROUP_KINDS[kind].list}.json`);
}
