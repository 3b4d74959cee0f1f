/**
 * The stream of the node, `GET /follow` on its control socket: opened again and again, at first within milliseconds, then once a second,
 * which costs one call of the system.
 */
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import type { FollowLine } from '../api/follow.js';
import { FOLLOW_AGAIN_MS_MAX, FOLLOW_AGAIN_MS_MIN, FOLLOW_LINE_BYTES_MAX } from '../core/limits.js';
import { Pieces } from '../core/pieces.js';
import { printable } from '../core/printable.js';
import { reasonOf } from '../core/reason.js';
import { readLine } from './line.js';

export interface NodeStreamListener {
  heard(line: FollowLine): void;
  /** The node lives, and what it said last still holds. */
  heardAgain(): void;
  /** The stream has ended, or cannot be opened; it is tried again. @param why in words */
  lost(why: string): void;
}

const LINE_FEED = 10;
const REFUSALS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such socket',
  ECONNREFUSED: 'no process listens there',
  EACCES: 'this user may not connect',
};

export class NodeStream {
  readonly #socket: string;
  readonly #listener: NodeStreamListener;
  #request: ClientRequest | undefined;
  #timer: NodeJS.Timeout | undefined;
  #delayMs = FOLLOW_AGAIN_MS_MIN;
  #isClosed = false;

  constructor(socket: string, listener: NodeStreamListener) {
    this.#socket = socket;
    this.#listener = listener;
    this.#open();
  }

  /** Tries again now, if it waits to. */
  again(): void {
    if (this.#timer === undefined || this.#isClosed) return;
    clearTimeout(this.#timer);
    this.#open();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#request?.destroy();
  }

  #open(): void {
    this.#timer = undefined;
    let isOver = false;
    const over = (why: string): void => {
      if (isOver || this.#isClosed) return;
      isOver = true;
      asked.destroy();
      this.#listener.lost(why);
      this.#timer = setTimeout(() => this.#open(), this.#delayMs);
      this.#delayMs = Math.min(2 * this.#delayMs, FOLLOW_AGAIN_MS_MAX);
    };
    const asked = request({ socketPath: this.#socket, path: '/follow', agent: false }, (response) =>
      this.#read(response, over),
    );
    asked.on('error', (error: NodeJS.ErrnoException) =>
      over(`${this.#socket}: ${REFUSALS[error.code ?? ''] ?? reasonOf(error)}`),
    );
    asked.end();
    this.#request = asked;
  }

  #read(response: IncomingMessage, over: (why: string) => void): void {
    response.on('error', () => over('the stream ended')); // aborted, say: the process was killed
    response.on('close', () => over('the stream ended'));
    if (response.statusCode !== 200) {
      response.resume();
      over(`it answers ${response.statusCode} to GET /follow; is it another version of anyhop?`);
      return;
    }
    const lines = new Lines();
    let isKnown = false;
    response.on('data', (part: Buffer) => {
      for (const bytes of lines.add(part)) {
        const line = readLine(bytes.toString('utf8'));
        if (typeof line === 'string') {
          over(line);
          return;
        }
        if (!('same' in line)) {
          isKnown = true;
          this.#delayMs = FOLLOW_AGAIN_MS_MIN;
          this.#listener.heard(line);
        } else if (isKnown) this.#listener.heardAgain();
        else {
          over('its first line says that nothing has changed');
          return;
        }
      }
      if (lines.fault !== undefined) over(printable(lines.fault));
    });
  }
}

/** Cuts what comes in pieces into lines, none of which may be too long. */
class Lines {
  #pieces = new Pieces(FOLLOW_LINE_BYTES_MAX);
  /** Why no more lines come. */
  fault: string | undefined;

  *add(part: Buffer): Generator<Buffer> {
    let rest = part;
    for (;;) {
      const end = rest.indexOf(LINE_FEED);
      const exceeded = this.#pieces.add(end < 0 ? rest : rest.subarray(0, end));
      if (exceeded !== undefined) {
        this.fault = `a line has ${exceeded}`;
        return;
      }
      if (end < 0) return;
      yield this.#pieces.join();
      this.#pieces = new Pieces(FOLLOW_LINE_BYTES_MAX);
      rest = rest.subarray(end + 1);
    }
  }
}
