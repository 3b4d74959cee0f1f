/** The source of a pool, by its config. */
import type { BackendsFrom } from '../../config/types.js';
import type { Source } from '../answer.js';
import { fileSource } from './file.js';

export function sourceOf({ file }: BackendsFrom): Source {
  if (file !== undefined) return fileSource(file);
  throw new RangeError('backends_from without a source'); // rules refuse it
}
