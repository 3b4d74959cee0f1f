/** Reads a list file, with everything that is wrong with it. For the worker, and for `anyhop check`. */
import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats } from 'node:fs';
import { LIST_BYTES_MAX } from '../core/limits.js';
import { reasonOf } from '../core/reason.js';
import type { Prefixes } from './columns.js';
import { parseList } from './parse.js';

export type ReadList =
  | { readonly prefixes: Prefixes; readonly stamp: string }
  | {
      /** For people: with the path, and line by line what is wrong. */
      readonly problem: string;
      /** Of the file as it was read; undefined when it could not be opened. */
      readonly stamp: string | undefined;
    };

/** Does not wait for the writer of a pipe, which is recognized only after opening. */
const READ_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

export function readList(path: string): ReadList {
  let descriptor: number | undefined;
  let stamp: string | undefined;
  try {
    descriptor = openSync(path, READ_FLAGS);
    const status = fstatSync(descriptor);
    stamp = stampOf(status);
    const wrong = wrongKind(status);
    if (wrong !== undefined) return { problem: `${path}: ${wrong}`, stamp };
    const { prefixes, problems, problemCount } = parseList(readFileSync(descriptor));
    if (problemCount === 0) return { prefixes, stamp };
    const lines = problems.map(({ line, text }) => `${path}:${line}: ${text}`);
    const more = problemCount - problems.length;
    if (more > 0) lines.push(`${path}: ${more} more`);
    return { problem: lines.join('\n'), stamp };
  } catch (error) {
    return { problem: `${path}: ${reasonOf(error)}`, stamp };
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function wrongKind(status: Stats): string | undefined {
  if (!status.isFile()) return 'found no regular file; expected one with a prefix a line';
  if (status.size <= LIST_BYTES_MAX) return undefined;
  return `found ${status.size} bytes; expected ${LIST_BYTES_MAX} at most`;
}

/** Differs when a file has been written, or another one taken its name. */
export function stampOf({ dev, ino, size, mtimeMs, ctimeMs }: Stats): string {
  return [dev, ino, size, mtimeMs, ctimeMs].join(' ');
}
