/**
 * Writes events down, beside the process's real work: lines wait in memory, and one write a second at most takes them all. A kill loses
 * what happened in the last second at most, and perhaps the end of a line, which the next process steps over. A disk that fails or is
 * full costs the events alone. It is said once, and tried again.
 *
 * Nothing is synced: what a kernel that dies had not yet written is lost with it.
 */
import { makeDirectory } from '../core/directory.js';
import {
  EVENTS_BURST_MAX,
  EVENTS_PER_SECOND,
  EVENTS_SEGMENT_BYTES_MAX,
  EVENTS_WAITING_BYTES_MAX,
} from '../core/limits.js';
import type { Logger } from '../core/log.js';
import { requireOwnDirectory } from '../core/own-directory.js';
import { reasonOf } from '../core/reason.js';
import { Budget } from './budget.js';
import { makeEvent, type NodeEvent, writeLine } from './event.js';
import { openSegment } from './segments.js';

const DIRECTORY_MODE = 0o700;
const WRITE_EVERY_MS = 1_000;
const RETRY_EVERY_MS = 10_000;
/** At the end of the process, for a disk that does not answer. */
const LAST_WRITE_MS = 2_000;
const LINE_FEED = 0x0a;

export interface JournalOptions {
  /** Absolute. */
  readonly directory: string;
  /** The process makes the directory for other reasons, within a second; else it is made here when it is not there. */
  readonly isShared?: boolean;
  /** Of the files. */
  readonly name: string;
  /** The config field that names another directory. */
  readonly field: string;
  /** Is told that nothing can be written; must not lead back here. */
  readonly log: Logger;
  readonly now?: () => Date;
  readonly everyMs?: number;
  readonly retryMs?: number;
  readonly segmentBytes?: number;
}

export class EventJournal {
  readonly #options: JournalOptions;
  readonly #budget = new Budget(EVENTS_BURST_MAX, EVENTS_PER_SECOND);
  readonly #everyMs: number;
  readonly #retryMs: number;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #leftOut = 0;
  /** Of the file whose last line has its rest first in `#waiting`. */
  #halfIn: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  #wroteMs = Number.NEGATIVE_INFINITY;
  #problem: string | undefined;
  #isClosed = false;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#everyMs = options.everyMs ?? WRITE_EVERY_MS;
    if (options.isShared === true) this.#wroteMs = performance.now();
    this.#retryMs = options.retryMs ?? RETRY_EVERY_MS;
  }

  /** Returns at once. @param isMust it is kept whatever happens beside it: one of the few that a process has */
  add(event: NodeEvent, isMust = false): void {
    const isRoom = this.#waitingBytes < EVENTS_WAITING_BYTES_MAX;
    if (isMust) {
      this.#pushLeftOut();
      this.#push(event);
    } else if (isRoom && this.#budget.take(performance.now())) this.#push(event);
    else this.#leftOut++;
    this.#arm();
  }

  /** Writes what waits, unless the disk takes too long. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    const late = new Promise<void>((resolve) => setTimeout(resolve, LAST_WRITE_MS).unref());
    await Promise.race([this.#writeAll(), late]);
  }

  async #writeAll(): Promise<void> {
    await this.#writing;
    await this.#start();
  }

  /** One at a time: two could both put the same file aside. */
  #start(): Promise<void> {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
      if (this.#waitingBytes > 0 || this.#leftOut > 0) this.#arm();
    });
    return this.#writing;
  }

  #push(event: NodeEvent): void {
    const line = Buffer.from(writeLine(event));
    this.#waiting.push(line);
    this.#waitingBytes += line.length;
  }

  #pushLeftOut(): void {
    if (this.#leftOut === 0) return;
    this.#push(leftOutEvent(this.#leftOut, this.#options.now?.() ?? new Date()));
    this.#leftOut = 0;
  }

  #arm(): void {
    if (this.#isClosed || this.#timer !== undefined || this.#writing !== undefined) return;
    const everyMs = this.#problem === undefined ? this.#everyMs : this.#retryMs;
    const delayMs = Math.max(0, this.#wroteMs + everyMs - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#start();
    }, delayMs).unref();
  }

  /** Never throws. */
  async #write(): Promise<void> {
    if (this.#waitingBytes < EVENTS_WAITING_BYTES_MAX) this.#pushLeftOut();
    if (this.#waitingBytes === 0) return;
    this.#wroteMs = performance.now();
    try {
      await this.#append();
      this.#problem = undefined;
    } catch (error) {
      this.#complain(error);
    }
  }

  async #append(): Promise<void> {
    const { directory, isShared, name, field, now, segmentBytes = EVENTS_SEGMENT_BYTES_MAX } = this.#options;
    requireOwnDirectory(directory, 'ERR_STATE_FILE', field);
    if (isShared !== true) makeDirectory(directory, DIRECTORY_MODE);
    let bytes: Buffer = Buffer.concat(this.#waiting);
    this.#waiting = [];
    const nowMs = (now?.() ?? new Date()).getTime();
    let written = 0;
    try {
      const { handle, inode, isTorn } = await openSegment(directory, name, {
        bytes: bytes.length,
        nowMs,
        bytesMax: segmentBytes,
      });
      try {
        const isElsewhere = this.#halfIn !== undefined && inode !== this.#halfIn;
        if (isElsewhere) bytes = this.#withoutHalf(bytes);
        if (isTorn && inode !== this.#halfIn) await handle.write('\n');
        while (written < bytes.length) {
          written += (await handle.write(bytes, written)).bytesWritten;
          this.#halfIn = bytes[written - 1] === LINE_FEED ? undefined : inode;
        }
      } finally {
        await handle.close();
      }
    } finally {
      this.#waitingBytes -= written;
      if (written < bytes.length) this.#waiting.unshift(bytes.subarray(written));
    }
  }

  /** The rest of a line is worth nothing in another file than its beginning. */
  #withoutHalf(bytes: Buffer): Buffer {
    const whole = bytes.subarray(bytes.indexOf('\n') + 1);
    this.#waitingBytes -= bytes.length - whole.length;
    this.#halfIn = undefined;
    return whole;
  }

  /** Once for each reason. */
  #complain(error: unknown): void {
    const { directory, field, log } = this.#options;
    const why = reasonOf(error);
    if (why === this.#problem) return;
    this.#problem = why;
    log.warn(
      { event: 'events_not_kept', directory, why },
      `events are in memory alone, and end with this process: ${why}; ${field} names another place`,
    );
  }
}

function leftOutEvent(count: number, at: Date): NodeEvent {
  const events = count === 1 ? 'one more event happened' : `${count} more events happened`;
  return makeEvent(at, 'warn', 'events_left_out', `${events} before this, and are in the log alone`);
}
