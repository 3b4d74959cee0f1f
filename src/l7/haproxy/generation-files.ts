/** The files of one generation on disk: new ones only, which nobody but HAProxy's user (and root) can read. */
import { chmod, chown, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory } from '../../core/directory.js';
import { AnyhopError, isSystemError } from '../../core/errors.js';
import { reasonOf } from '../../core/reason.js';
import { CONFIG_FILE, type Rendering } from '../render/rendering.js';
import type { Identity } from './identity.js';

const FILE_MODE = 0o600;
/** A name within a generation: no way out of it. */
const STEP = /^(?!\.)[A-Za-z0-9._-]{1,255}$/;

/**
 * Makes the directory and writes everything into it.
 * @throws AnyhopError ERR_HAPROXY when that fails, or the directory is there already; nothing is left of it
 */
export async function writeGeneration(
  directory: string,
  rendering: Rendering,
  identity: Identity | undefined,
): Promise<void> {
  try {
    await mkdir(directory, { mode: 0o700 });
  } catch (error) {
    throw cannotWrite(directory, error);
  }
  try {
    await own(directory, 0o750, identity);
    await writeNew(directory, CONFIG_FILE, textOf(rendering), identity);
    for (const [path, text] of rendering.files) await writeNew(directory, path, text, identity);
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw isSystemError(error) ? cannotWrite(directory, error) : error;
  }
}

async function writeNew(
  directory: string,
  path: string,
  text: string,
  identity: Identity | undefined,
): Promise<void> {
  const steps = path.split('/');
  if (!steps.every((step) => STEP.test(step)))
    throw new RangeError(`a rendered file has a wrong name: ${path}`);
  let parent = directory;
  for (const step of steps.slice(0, -1)) {
    parent = join(parent, step);
    if (makeDirectory(parent, 0o700)) await own(parent, 0o750, identity);
  }
  const file = await open(join(directory, path), 'wx', FILE_MODE);
  try {
    await file.writeFile(text);
    if (identity !== undefined) await file.chown(identity.uid, identity.gid);
  } finally {
    await file.close();
  }
}

/** Stays root's; HAProxy's group gets the rights that `mode` has for it. */
export async function own(directory: string, mode: number, identity: Identity | undefined): Promise<void> {
  if (identity !== undefined) await chown(directory, 0, identity.gid);
  await chmod(directory, identity === undefined ? 0o700 : mode);
}

function textOf({ lines }: Rendering): string {
  return lines.map(({ text }) => `${text}\n`).join('');
}

export function cannotWrite(path: string, cause: unknown): AnyhopError {
  return new AnyhopError('ERR_HAPROXY', `${path} cannot be written: ${reasonOf(cause)}`, { cause });
}
