/**
 * Finds `node.state_dir` in a file with mistakes, which may not even be YAML, by searching its text. A node looks for its last
 * good config only there: a copy in another directory would be older.
 */
import { CONFIG_BYTES_MAX } from '../core/limits.js';
import { readSmallFile, UnreadableFile } from './file.js';
import { PATH_PATTERN } from './name-fields.js';

/** The key, and its value on that line or the next. The closing quote may be missing. Comments are removed first. */
const FIELD = /(?:^|[{,\s])["']?state_dir["']?\s*:\s*(?:"([^"\n]*)|'([^'\n]*)|([^\n,}]*))/g;
const COMMENT = /(^|\s)#.*$/gm;

/** `none`: the file has no such field or cannot be read. `unclear`: it has one, but not exactly one path. */
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
