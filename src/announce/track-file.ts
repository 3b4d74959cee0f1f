/**
 * The file by which keepalived learns how good this node is: one number, which it adds to the priority of its VRRP instances.
 *
 * A lower number alone moves the addresses after three advertisements, for keepalived does not tell its peer. While a node drains that costs
 * nothing, since it forwards on. A node that cannot forward any more first writes FAULT for a moment, upon which keepalived gives up and says
 * so at once. It must not stay there: two nodes at FAULT leave the addresses to nobody.
 *
 * keepalived watches the directory that was there when it started. The file stays when this process ends, as rows do.
 */
import { lstatSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { AnyhopError } from '../core/errors.js';
import { TRACK_FAULT_MS, TRACK_LOOK_MS } from '../core/limits.js';
import type { Logger } from '../core/log.js';
import { requireOwnDirectory } from '../core/own-directory.js';
import { readOwnFile, removeLeftovers, replaceOwnFile } from '../core/own-file.js';
import { printable } from '../core/printable.js';
import { reasonOf } from '../core/reason.js';
import { Rerun } from '../core/rerun.js';
import type { AnnounceStatus, Follower } from './status.js';
import { TRACK_FAULT, TRACK_NOT_READY } from './track-number.js';

/** Anything but a number means a file of another program. */
const NUMBER = /^\s*(-?\d{1,4})?\s*$/;
/** Also keepalived that runs as another user reads it. */
const MODE = 0o644;
const FIELD = 'announce.track_file';

type Told = Pick<AnnounceStatus, 'heard' | 'held' | 'trackFile'>;

export class TrackFile implements Follower {
  readonly #path: string;
  readonly #log: Logger;
  readonly #writes = new Rerun(() => this.#write());
  readonly #timer: NodeJS.Timeout;
  /** As found at the start, or written; undefined when it is missing, or when nobody knows. */
  #present: number | undefined;
  #wanted: number | undefined;
  #complaint: string | undefined;

  /**
   * Adopts the file that is there.
   * @throws AnyhopError ERR_STATE_FILE when its directory is missing or not safe, or the file is not one of these
   */
  constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
    requireDirectory(dirname(path));
    this.#present = readTrackFile(path);
    this.#timer = setInterval(() => this.#look(), TRACK_LOOK_MS);
  }

  /** Resolves when the file says so, or when that has failed; then it is tried again. */
  async changed({ heard, held, trackFile }: Told): Promise<void> {
    if (trackFile === undefined) return;
    // Who has just started knows no better than the one before, unless that one was killed between the two steps below.
    const isUnknown = heard.state === 'asked' && held === undefined;
    if (isUnknown && this.#present !== TRACK_FAULT) return;
    this.#wanted = isUnknown ? TRACK_NOT_READY : trackFile.number;
    if (this.#wanted !== this.#present) await this.#writes.ask();
  }

  /** The file stays. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#writes.idle();
  }

  async #write(): Promise<void> {
    const [before, now] = [this.#present, this.#wanted!];
    if (before === now) return;
    try {
      await putNumber(this.#path, before, now);
      this.#present = now;
      this.#complaint = undefined;
      const what = `keepalived finds ${now} in ${this.#path}`;
      this.#log.info({ event: 'track_file', file: this.#path, number: now }, what);
    } catch (error) {
      this.#complain(error);
    }
  }

  /** What could not be written is tried again; and another program may have changed the file. */
  #look(): void {
    if (this.#wanted === undefined) return;
    if (this.#present !== this.#wanted) {
      void this.#writes.ask();
      return;
    }
    try {
      if (numberIn(readFileSync(this.#path, 'latin1')) === this.#wanted) return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
        this.#complain(error);
        return;
      }
    }
    const message = `another program has changed ${this.#path}, which keepalived reads; written again`;
    this.#log.warn({ event: 'track_file_restored', file: this.#path }, message);
    // Not known: a fault is for changes of the node.
    this.#present = undefined;
    void this.#writes.ask();
  }

  #complain(error: unknown): void {
    const why = reasonOf(error);
    if (why === this.#complaint) return;
    this.#complaint = why;
    const hint =
      (error as NodeJS.ErrnoException).code === 'ENOENT'
        ? '; once the directory is there again, reload keepalived, which does not notice it'
        : '';
    this.#log.error(
      { event: 'track_file_failed', file: this.#path, why },
      `keepalived cannot be told how good this node is: ${this.#path}: ${why}${hint}; tried again`,
    );
  }
}

/**
 * For a node that nobody follows any more: keepalived moves the addresses at once. A file that is missing says the same.
 * @throws AnyhopError ERR_STATE_FILE; NodeJS.ErrnoException when it cannot be written
 */
export async function writeNotReady(path: string): Promise<void> {
  const present = readTrackFile(path);
  if (present !== undefined && present !== TRACK_NOT_READY) await putNumber(path, present, TRACK_NOT_READY);
}

async function putNumber(path: string, before: number | undefined, now: number): Promise<void> {
  const isLoss = now === TRACK_NOT_READY && before !== undefined && before > TRACK_NOT_READY;
  if (!isLoss) {
    await replace(path, now);
    return;
  }
  await replace(path, TRACK_FAULT);
  // keepalived sees each of two changes only if it gets to run between them.
  await delay(TRACK_FAULT_MS);
  try {
    await replace(path, now);
  } catch (error) {
    // On a full disk, say.
    rmSync(path, { force: true });
    throw error;
  }
}

/** Root writes it for the user whose directory it is. */
async function replace(path: string, number: number): Promise<void> {
  await replaceOwnFile(path, `${number}\n`, { owner: statSync(dirname(path)).uid, mode: MODE });
}

function requireDirectory(directory: string): void {
  if (!isThere(directory))
    throw new AnyhopError('ERR_STATE_FILE', `${FIELD}: the directory ${directory} does not exist`, {
      hint:
        `Make it, and start keepalived after that: it does not notice a directory that comes later. To have it at each boot: ` +
        `echo "d ${directory} 0755 anyhop -" > /etc/tmpfiles.d/anyhop-track.conf && systemd-tmpfiles --create`,
    });
  if (process.geteuid?.() !== 0) requireOwnDirectory(directory, 'ERR_STATE_FILE', FIELD);
  void removeLeftovers(directory).catch(() => undefined);
}

function isThere(directory: string): boolean {
  try {
    return statSync(directory).isDirectory();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** @returns undefined when there is none. @throws AnyhopError ERR_STATE_FILE when it is not one of these */
function readTrackFile(path: string): number | undefined {
  const refuse = (why: string): AnyhopError =>
    new AnyhopError('ERR_STATE_FILE', `${FIELD}: ${path}: ${why}`, {
      hint: 'The announcer replaces this file as a whole. Name another one, or remove it.',
    });
  try {
    // Not opened: it could be a pipe or a device.
    if (!lstatSync(path).isFile()) throw refuse('it is not a regular file');
    const { text } = readOwnFile(path, statSync(dirname(path)).uid);
    if (NUMBER.test(text)) return numberIn(text);
    throw refuse(`expected one number, found ${printable(text.slice(0, 40))}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error instanceof AnyhopError ? error : refuse(reasonOf(error));
  }
}

/** Undefined when there is none. */
function numberIn(text: string): number | undefined {
  const digits = NUMBER.exec(text)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
