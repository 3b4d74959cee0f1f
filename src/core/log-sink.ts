/**
 * Standard error for the log. Lines are written at once, since the last line before an exit must not be lost, and a failed write
 * never ends the process. A line that cannot be written (a full disk, a reader that is gone) is counted. The next line that can
 * be written follows a notice of how many are missing.
 */
import { writeSync } from 'node:fs';
import { reasonOf } from './reason.js';

const STANDARD_ERROR = 2;
/** How long a full non-blocking terminal or pipe gets to make room. */
const PATIENCE_MS = 100;
const PAUSE_MS = 5;

export interface LogLosses {
  /** Lost since the process started. */
  readonly lines: number;
  readonly why: string;
}

let lostInAll = 0;
let lostUnsaid = 0;
let why = '';
/** The last line was cut short, so the next one needs a line end first. */
let isCut = false;

/** The losses of this process's log; undefined without any. */
export function logLosses(): LogLosses | undefined {
  return lostInAll === 0 ? undefined : { lines: lostInAll, why };
}

/** Writes one line, or counts it. @param notice makes the line about the losses */
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
