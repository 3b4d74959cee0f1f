/** The run directory that a config file names, also when the rest of the file is wrong: a mistake in it must not hide the process that runs. */
import { CONFIG_BYTES_MAX, L7_RUN_DIRECTORY_DEFAULT } from '../../core/limits.js';
import { ConfigDocument } from '../document.js';
import { ConfigError } from '../error.js';
import { readSmallFile } from '../file.js';
import { decodeText } from '../text.js';
import { runDirectory } from './schema.js';

/**
 * `l7.run_dir` of a file, or its default where the file does not set it; undefined when the field cannot be read.
 * @throws UnreadableFile
 */
export function runDirectoryIn(file: string): string | undefined {
  const text = decodeText(readSmallFile(file, CONFIG_BYTES_MAX).bytes);
  if (typeof text !== 'string') return undefined;
  const l7 = fieldOf(yamlValue(text, file), 'l7');
  const found = fieldOf(l7, 'run_dir');
  return found === undefined ? L7_RUN_DIRECTORY_DEFAULT : runDirectory.safeParse(found).data;
}

/** Null when it is not YAML. */
function yamlValue(text: string, file: string): unknown {
  try {
    return new ConfigDocument(text, file).value;
  } catch (error) {
    if (error instanceof ConfigError) return null;
    throw error;
  }
}

/** Undefined when it is missing; null when `value` is no mapping. */
function fieldOf(value: unknown, name: string): unknown {
  if (value === undefined) return undefined;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  return Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
}
