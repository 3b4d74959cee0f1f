/**
 * A file with a list, or a directory of such files, whose lists are joined. The kernel tells of changes in the directory; where it
 * does not (a network file system), the file is read every half a minute.
 *
 * A file that cannot be read, or is being written, is no answer: a part of a directory would look like members that have gone.
 */
import { readdirSync, type Stats, statSync, watch } from 'node:fs';
import { dirname, join } from 'node:path';
import { readSmallFile } from '../../config/file.js';
import { DISCOVER_BYTES_MAX, DISCOVER_FILES_MAX } from '../../core/limits.js';
import { reasonOf } from '../../core/reason.js';
import type { Found, Source } from '../answer.js';
import { readEntries } from '../entries.js';
import type { Reading } from '../reading.js';

const AGAIN_MS = 30_000;
const NAMES = /^[^.].*\.(?:ya?ml|json)$/;

export function fileSource(path: string, reading: Reading): Source {
  return {
    words: path,
    ask: async () => ({ found: readAll(path, reading), againMs: AGAIN_MS }),
    watch: (changed) => watched(path, changed),
  };
}

function readAll(path: string, reading: Reading): Found[] {
  const status = statusOf(path);
  const files = status.isDirectory() ? filesOf(path) : [path];
  let left = DISCOVER_BYTES_MAX;
  return files.flatMap((file) => {
    const bytes = readWithin(file, left);
    left -= bytes.length;
    return readEntries(bytes, file, reading);
  });
}

function statusOf(path: string): Stats {
  try {
    return statSync(path);
  } catch (error) {
    throw new Error(`${path}: ${reasonOf(error)}`);
  }
}

function filesOf(directory: string): string[] {
  const names = readdirSync(directory)
    .filter((name) => NAMES.test(name))
    .sort();
  if (names.length > DISCOVER_FILES_MAX)
    throw new Error(`${directory}: it has ${names.length} files; ${DISCOVER_FILES_MAX} are read at most`);
  return names.map((name) => join(directory, name));
}

function readWithin(file: string, bytesMax: number): Uint8Array {
  const status = statusOf(file);
  if (!status.isFile()) throw new Error(`${file}: it is no regular file`); // a pipe would be waited for
  try {
    return readSmallFile(file, bytesMax).bytes;
  } catch (error) {
    throw new Error(`${file}: ${reasonOf(error)}`);
  }
}

/** Of the directory that the file is in, and of a directory itself: most writers put a new file in the place of the old one. */
function watched(path: string, changed: () => void): () => void {
  const watchers = [...new Set([dirname(path), path])].flatMap((each) => {
    try {
      const watcher = watch(each, { persistent: false }, () => changed());
      watcher.on('error', () => watcher.close());
      return [watcher];
    } catch {
      return []; // it is not there yet, or the kernel cannot tell
    }
  });
  return () => {
    for (const watcher of watchers) watcher.close();
  };
}
