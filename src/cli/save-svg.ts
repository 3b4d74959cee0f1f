/** Pictures of `anyhop simulate`. */
import { writeFileSync } from 'node:fs';
import { AnyhopError } from '../core/errors.js';
import { reasonOf } from '../core/reason.js';

/** @throws AnyhopError ERR_USAGE when it cannot be written */
export function saveSvg(file: string, svg: string): void {
  try {
    writeFileSync(file, svg);
  } catch (error) {
    throw new AnyhopError('ERR_USAGE', `cannot write ${file}: ${reasonOf(error)}`, {
      hint: 'Name a file in a directory that you may write to.',
      cause: error,
    });
  }
}
