/** Reads small files that a user named, with errors that say what to do. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { reasonOf } from '../core/reason.js';

export interface FileText {
  readonly bytes: Uint8Array;
  /** Permission bits of a regular file; undefined for a pipe. */
  readonly mode: number | undefined;
}

/** Why a file could not be read: one sentence for the user. */
export class UnreadableFile extends Error {
  readonly isMissing: boolean;
  /** Another user could read it. */
  readonly isForbidden: boolean;

  constructor(message: string, cause?: unknown) {
    super(message);
    const { code } = (cause ?? {}) as NodeJS.ErrnoException;
    this.isMissing = code === 'ENOENT';
    this.isForbidden = code === 'EACCES' || code === 'EPERM';
  }
}

/**
 * Reads a regular file or a pipe (`/dev/stdin`, `<(...)`).
 * @throws UnreadableFile when it is missing, a directory, longer than `bytesMax`, or not permitted
 */
export function readSmallFile(path: string, bytesMax: number): FileText {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, 'r');
    const status = fstatSync(descriptor);
    if (status.isDirectory()) throw new UnreadableFile('this is a directory; expected a file');
    const bytes = readUpTo(descriptor, bytesMax + 1);
    if (bytes.length > bytesMax) {
      throw new UnreadableFile(`the file is too large; expected ${bytesMax} bytes at most`);
    }
    return { bytes, mode: status.isFile() ? status.mode & 0o777 : undefined };
  } catch (error) {
    if (error instanceof UnreadableFile) throw error;
    throw new UnreadableFile(explain(error), error);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** Whether other users than owner and group can access a file. */
export function isOpenToOthers(mode: number | undefined): boolean {
  return mode !== undefined && (mode & 0o007) !== 0;
}

function readUpTo(descriptor: number, bytesMax: number): Uint8Array {
  const chunks: Uint8Array[] = [];
  let total = 0;
  while (total < bytesMax) {
    const chunk = new Uint8Array(Math.min(65536, bytesMax - total));
    const count = readSync(descriptor, chunk, 0, chunk.length, null);
    if (count === 0) break;
    chunks.push(chunk.subarray(0, count));
    total += count;
  }
  return Buffer.concat(chunks);
}

function explain(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  switch (code) {
    case 'ENOENT':
      return 'no such file; check the path';
    case 'EACCES':
    case 'EPERM':
      return 'no permission to read this file; run as its owner or root, or change its mode';
    case 'ENOTDIR':
      return 'a part of this path is not a directory; check the path';
    case 'ELOOP':
      return 'too many symbolic links; check where they lead';
    case 'EAGAIN':
      return 'this pipe or terminal has no data yet; expected a file';
    default:
      return `the file cannot be read: ${reasonOf(error)}`;
  }
}
