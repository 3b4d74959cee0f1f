/**
 * Standard error as a log can rely on it: written at once, since the last line before an exit must not be lost, and never a
 * reason to end. When a line cannot be written (a full disk, a reader that is gone) it is counted, and the next line that can
 * be written comes behind one that says how many are missing.
 */
import { writeSync } from 'node:fs';
import { reasonOf } from './reason.js';

const STANDARD_ERROR = 2;
/** A terminal or pipe that does not block and is full: it gets so long to make room. */
const PATIENCE_MS = 100;
const PAUSE_MS = 5;

export interface LogLosses {
  /** Since the process started. */
  readonly lines: number;
  /** The last reason, in words. */
  readonly why: string;
}

let lostInAll = 0;
let lostUnsaid = 0;
let why = '';
/** A line was cut short: what comes next begins a line of its own. */
let isCut = false;

/** What is missing in this process's log; undefined when nothing is. */
export function logLosses(): LogLosses | undefined {
  return lostInAll === 0 ? undefined : { lines: lostInAll, why };
}

/** Writes one line, or counts it. @param notice makes the line that says what is missing */
export function writeLine(line: string, notice: (losses: LogLosses) => string): void {
  if (lostUnsaid > 0 && attempt(notice({ lines: lostUnsaid, why }))) lostUnsaid = 0;
  if (lostUnsaid === 0 && attempt(line)) return;
  lostUnsaid++;
  lostInAll++;
}

/** @returns whether all of it was written */
function attempt(line: string): boolean {
  const bytes = Buffer.from(isCut ? `\n${line}` : line);
  let written = 0;
  for (let waitedMs = 0; written < bytes.length; ) {
    try {
      written += writeSync(STANDARD_ERROR, bytes, written);
    } catch (error) {
      const { code = 'unknown' } = error as NodeJS.ErrnoException;
      if (code !== 'EAGAIN' || waitedMs >= PATIENCE_MS) {
        why = reasonOf(error);
        isCut ||= written > 0;
        return false;
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
      waitedMs += PAUSE_MS;
    }
  }
  isCut = false;
  return true;
}
