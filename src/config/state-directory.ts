/**
 * `node.state_dir` of a file that is wrong somewhere: it may not even be YAML, and is looked at as text. Who starts by the
 * last good config must find it where it was kept.
 */
import { CONFIG_BYTES_MAX } from '../core/limits.js';
import { readSmallFile, UnreadableFile } from './file.js';
import { PATH_PATTERN } from './schema.js';

/** In block style a line of its own, in flow style up to the next comma or bracket; with quotes or without. */
const FIELD = /(?:^|[{,\s])["']?state_dir["']?\s*:\s*(?:"([^"\n]*)"|'([^'\n]*)'|([^\s,}#"'][^\n,}#]*))/;

/** Undefined when the file cannot be read, or does not say. */
export function stateDirectoryIn(file: string): string | undefined {
  let text: string;
  try {
    text = new TextDecoder().decode(readSmallFile(file, CONFIG_BYTES_MAX, 'CONFIG_BYTES_MAX').bytes);
  } catch (error) {
    if (error instanceof UnreadableFile) return undefined;
    throw error;
  }
  const [, double, single, plain] = FIELD.exec(text) ?? [];
  const path = (double ?? single ?? plain)?.trim();
  return path !== undefined && PATH_PATTERN.test(path) ? path : undefined;
}
