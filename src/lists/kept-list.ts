/**
 * What was good of a list file last, kept in the node's state directory: a node that starts while the file is missing, wrong or far smaller
 * goes on with what was in force before.
 *
 *     one line of JSON       of which file, when it was read, how many prefixes, SHA-256 of the rest
 *     columns (columns.ts)   words4, lengths4, words6, lengths6, as they are in memory
 *
 * Read and written in the worker: a million prefixes have 5 to 17 MB.
 */
import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import { makeDirectory } from '../core/directory.js';
import { isRecord } from '../core/is-record.js';
import { LISTS_PREFIXES_MAX } from '../core/limits.js';
import { requireOwnDirectory } from '../core/own-directory.js';
import { readOwnBytes, replaceOwnFile } from '../core/own-file.js';
import { bytesOf, type Prefixes } from './columns.js';

const VERSION = 1;
const DIRECTORY_MODE = 0o700;
const NEWLINE = 10;
const HEAD_BYTES_MAX = 16 * 1024;

export interface KeptList {
  readonly prefixes: Prefixes;
  /** ISO 8601. */
  readonly loadedAt: string;
}

export interface KeptPlace {
  /** In the state directory. */
  readonly file: string;
  /** Of the list file. */
  readonly path: string;
}

/** @throws Error when it cannot be written */
export async function writeKeptList(
  { file, path }: KeptPlace,
  { prefixes, loadedAt }: KeptList,
): Promise<void> {
  const { words4, lengths4, words6, lengths6 } = prefixes;
  const columns = Buffer.concat([words4, lengths4, words6, lengths6].map(bytesOf));
  const head = {
    version: VERSION,
    path,
    loadedAt,
    prefixes4: lengths4.length,
    prefixes6: lengths6.length,
    sha256: digestOf(columns),
  };
  requireOwnDirectory(dirname(file), 'ERR_STATE_FILE', 'node.state_dir');
  makeDirectory(dirname(file), DIRECTORY_MODE);
  await replaceOwnFile(file, Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), columns]));
}

/** Undefined when there is none of this file. @throws Error when it is not what `writeKeptList` writes */
export function readKeptList({ file, path }: KeptPlace): KeptList | undefined {
  let bytes: Buffer;
  try {
    requireOwnDirectory(dirname(file), 'ERR_STATE_FILE', 'node.state_dir');
    ({ bytes } = readOwnBytes(file));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const end = bytes.subarray(0, HEAD_BYTES_MAX).indexOf(NEWLINE);
  const head: unknown = end < 0 ? undefined : JSON.parse(bytes.toString('utf8', 0, end));
  if (!isHead(head)) throw new Error('it is of another version, or damaged');
  if (head.path !== path) return undefined;
  const columns = bytes.subarray(end + 1);
  const { prefixes4, prefixes6, sha256, loadedAt } = head;
  if (columns.length !== prefixes4 * 5 + prefixes6 * 17 || digestOf(columns) !== sha256)
    throw new Error('it is damaged');
  return { prefixes: columnsIn(columns, prefixes4, prefixes6), loadedAt };
}

interface Head {
  readonly path: string;
  readonly loadedAt: string;
  readonly prefixes4: number;
  readonly prefixes6: number;
  readonly sha256: string;
}

function isHead(value: unknown): value is Head {
  if (!isRecord(value) || value['version'] !== VERSION) return false;
  const { path, loadedAt, prefixes4, prefixes6, sha256 } = value;
  if (typeof path !== 'string' || typeof sha256 !== 'string') return false;
  if (typeof loadedAt !== 'string' || Number.isNaN(Date.parse(loadedAt))) return false;
  return [prefixes4, prefixes6].every(
    (count) => Number.isInteger(count) && (count as number) >= 0 && (count as number) <= LISTS_PREFIXES_MAX,
  );
}

/** In memory that threads share. */
function columnsIn(bytes: Uint8Array, count4: number, count6: number): Prefixes {
  let at = 0;
  const next = (length: number): SharedArrayBuffer => {
    const memory = new SharedArrayBuffer(length);
    new Uint8Array(memory).set(bytes.subarray(at, at + length));
    at += length;
    return memory;
  };
  return {
    words4: new Uint32Array(next(count4 * 4)),
    lengths4: new Uint8Array(next(count4)),
    words6: new Uint32Array(next(count6 * 16)),
    lengths6: new Uint8Array(next(count6)),
  };
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
