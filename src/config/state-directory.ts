/**
 * `node.state_dir` of a file that is wrong somewhere: it may not even be YAML, and is looked at as text. A node that starts with
 * the last good config must find it where it was kept, and nowhere else: a copy in another place is an older one.
 */
import { CONFIG_BYTES_MAX } from '../core/limits.js';
import { readSmallFile, UnreadableFile } from './file.js';
import { PATH_PATTERN } from './schema.js';

/** The key and what follows it on its line or the next; an end of quotes may be missing. Comments are gone by then. */
const FIELD = /(?:^|[{,\s])["']?state_dir["']?\s*:\s*(?:"([^"\n]*)|'([^'\n]*)|([^\n,}]*))/g;
const COMMENT = /(^|\s)#.*$/gm;

/** What a file says: a path; `none` when it has no such field or cannot be read; `unclear` when it has one without a single path. */
export type StateDirectory = { readonly path: string } | 'none' | 'unclear';

export function stateDirectoryIn(file: string): StateDirectory {
  let text: string;
  try {
    text = new TextDecoder().decode(readSmallFile(file, CONFIG_BYTES_MAX).bytes);
  } catch (error) {
    if (error instanceof UnreadableFile) return 'none';
    throw error;
  }
  const found = [...text.replace(COMMENT, '').matchAll(FIELD)].map(([, double, single, plain]) =>
    (double ?? single ?? plain ?? '').trim(),
  );
  const [path, ...others] = new Set(found);
  if (path === undefined) return 'none';
  return others.length === 0 && PATH_PATTERN.test(path) ? { path } : 'unclear';
}
