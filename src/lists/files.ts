/** Reads a list file, with what is wrong with it: in the worker, and for `anyhop check`. */
import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats } from 'node:fs';
import { LIST_BYTES_MAX, LIST_PROBLEMS_MAX, LIST_UNENDED_MS } from '../core/limits.js';
import { reasonOf } from '../core/reason.js';
import type { Prefixes } from './columns.js';
import { parseList } from './parse.js';

export type ReadList =
  | {
      readonly prefixes: Prefixes;
      readonly stamp: string;
      /** How long ago it was written, when its last line has no end: more may come. */
      readonly unendedMs?: number;
    }
  | {
      /** For people: with the path, and line by line what is wrong. */
      readonly problem: string;
      /** Of the file as it was read; undefined when it could not be opened. */
      readonly stamp: string | undefined;
    };

const NEWLINE = 10;
const TRIES_MAX = 5;
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
    // Some files of the kernel say so and never end.
    const bytes = status.size === 0 ? new Uint8Array() : readFileSync(descriptor);
    const { prefixes, problems, problemCount } = parseList(bytes);
    if (problemCount === 0)
      return { prefixes, stamp, ...(isUnended(bytes) && { unendedMs: Date.now() - status.mtimeMs }) };
    const lines = problems.map(({ line, text }) => `${path}:${line}: ${text}`);
    const more = problemCount - problems.length;
    const least = problemCount === LIST_PROBLEMS_MAX ? ' at least' : '';
    if (more > 0) lines.push(`${path}: ${more} more${least}`);
    return { problem: lines.join('\n'), stamp };
  } catch (error) {
    return { problem: `${path}: ${reasonOf(error)}`, stamp };
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/**
 * The same, in a thread that may wait: a file that is being written can end within a prefix, of which `128.0.0.0/24` makes `128.0.0.0/2`.
 * After ten seconds it is taken as it is.
 */
export function readListAtRest(path: string): ReadList {
  for (let tries = 0; ; tries++) {
    const read = readList(path);
    const unendedMs = 'problem' in read ? undefined : read.unendedMs;
    if (unendedMs === undefined || unendedMs >= LIST_UNENDED_MS || tries === TRIES_MAX) return read;
    sleep(LIST_UNENDED_MS - Math.max(unendedMs, 0));
  }
}

function isUnended(bytes: Uint8Array): boolean {
  return bytes.length > 0 && bytes[bytes.length - 1] !== NEWLINE;
}

function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
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
