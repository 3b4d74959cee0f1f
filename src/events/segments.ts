/**
 * The files that events of a process are kept in, in a directory of its own:
 *
 *   NAME.events.jsonl        the present segment: one event a line, appended
 *   NAME.events.old.jsonl    the segment before it
 *
 * A segment that is full, or a day old, takes the place of the old one. So a day is kept unless much happens, no file is ever written
 * anew, and the two never take more than twice the size of one.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { EVENTS_KEPT_MS, EVENTS_SEGMENT_BYTES_MAX } from '../core/limits.js';
import { requireOwned } from '../core/own-file.js';
import { reasonOf } from '../core/reason.js';
import { type NodeEvent, readLine } from './event.js';

const END = '.events.jsonl';
const OLD_END = '.events.old.jsonl';
const FILE_MODE = 0o600;
const APPEND = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT;
/** Follows no link, and does not wait for the writer of a pipe. */
const SAFE = constants.O_NOFOLLOW | constants.O_NONBLOCK;
const LINE_FEED = 0x0a;
/** A longer first line is none of ours. */
const FIRST_LINE_BYTES_MAX = 8192;

export function segmentPath(directory: string, name: string): string {
  return join(directory, `${name}${END}`);
}

export function oldSegmentPath(directory: string, name: string): string {
  return join(directory, `${name}${OLD_END}`);
}

/** The process whose events a file has; undefined for other files. */
export function nameOfSegment(file: string): string | undefined {
  return file.endsWith(END) && file.length > END.length ? file.slice(0, -END.length) : undefined;
}

export interface OpenSegment {
  readonly handle: FileHandle;
  readonly inode: number;
  /** Its last line was not written to its end. */
  readonly isTorn: boolean;
}

/**
 * Opens the present segment to append so many bytes, after it was put aside when it has no room for them or is a day old.
 * @param bytesMax of a segment
 * @throws NodeJS.ErrnoException; Error when it is no file of this user
 */
export async function openSegment(
  directory: string,
  name: string,
  { bytes, nowMs, bytesMax }: { readonly bytes: number; readonly nowMs: number; readonly bytesMax: number },
): Promise<OpenSegment> {
  const path = segmentPath(directory, name);
  for (;;) {
    const handle = await open(path, APPEND | SAFE, FILE_MODE);
    try {
      const status = await handle.stat();
      requireOwned(status);
      const { size, ino: inode } = status;
      if (size === 0) return { handle, inode, isTorn: false };
      const startedMs = await firstTime(handle);
      const isOver = size + bytes > bytesMax || nowMs - startedMs >= EVENTS_KEPT_MS;
      if (!isOver) {
        const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
        return { handle, inode, isTorn: buffer[0] !== LINE_FEED };
      }
      await rename(path, oldSegmentPath(directory, name));
    } catch (error) {
      await handle.close();
      throw error;
    }
    await handle.close();
  }
}

/** Of the first event; long ago when the first line is none, so that a file that cannot be read does not stay. */
async function firstTime(handle: FileHandle): Promise<number> {
  const { buffer, bytesRead } = await handle.read(
    Buffer.alloc(FIRST_LINE_BYTES_MAX),
    0,
    FIRST_LINE_BYTES_MAX,
    0,
  );
  const [line] = buffer.toString('utf8', 0, bytesRead).split('\n', 1);
  return Date.parse(readLine(line)?.at ?? '') || Number.NEGATIVE_INFINITY;
}

export interface KeptEvents {
  /** The oldest first. */
  readonly events: readonly NodeEvent[];
  /** Lines that were no events: the last one of a process that was killed, for example. */
  readonly torn: number;
  /** Why a file cannot be read. */
  readonly problems: readonly string[];
}

/**
 * What is kept of the last day.
 * @param most how many; the newest
 * @param owner a user whose files are as good as own ones
 */
export function readKept(
  directory: string,
  name: string,
  { nowMs, most, owner }: { readonly nowMs: number; readonly most: number; readonly owner?: number },
): KeptEvents {
  const lines: string[] = [];
  const problems: string[] = [];
  for (const path of [oldSegmentPath(directory, name), segmentPath(directory, name)]) {
    try {
      lines.push(...linesOf(path, owner));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') problems.push(`${path}: ${reasonOf(error)}`);
    }
  }
  const read = lines.slice(-most).map(readLine);
  const events = read.filter((event) => event !== undefined);
  return {
    events: events.filter(({ at }) => nowMs - Date.parse(at) <= EVENTS_KEPT_MS),
    torn: read.length - events.length,
    problems,
  };
}

/** @throws NodeJS.ErrnoException; Error when it is too large, or no file of this user */
function linesOf(path: string, owner: number | undefined): string[] {
  const descriptor = openSync(path, constants.O_RDONLY | SAFE);
  try {
    const status = fstatSync(descriptor);
    requireOwned(status, owner);
    if (status.size > 2 * EVENTS_SEGMENT_BYTES_MAX) throw new Error(`it has ${status.size} bytes`);
    const lines = readFileSync(descriptor, 'utf8').split('\n');
    return lines.filter((line) => line !== '');
  } finally {
    closeSync(descriptor);
  }
}
