/**
 * Browsers that watch: server-sent events, one update a second each. An update that a browser has not taken yet is never followed by a
 * second one: when it is taken, the next has everything that changed since. One that takes nothing for ten seconds loses its stream.
 */
import type { ServerResponse } from 'node:http';
import type { Board } from './board.js';
import type { Update } from './wire.js';

export const WATCHERS_MAX = 16;
const STUCK_MS = 10_000;
/** After which a browser that lost its stream comes again. */
const RETRY_MS = 1_000;

interface Watcher {
  readonly response: ServerResponse;
  /** Version of the board that it was told last. */
  known: number;
  /** Since when an update waits to be taken. */
  waitsSinceMs: number | undefined;
}

export class Watchers {
  readonly #board: Board;
  readonly #now: () => number;
  readonly #watchers = new Set<Watcher>();

  constructor(board: Board, now: () => number = () => performance.now()) {
    this.#board = board;
    this.#now = now;
  }

  get count(): number {
    return this.#watchers.size;
  }

  /** @param left called when it has gone */
  add(response: ServerResponse, left: () => void): void {
    const watcher: Watcher = { response, known: 0, waitsSinceMs: undefined };
    this.#watchers.add(watcher);
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
    });
    response.write(`retry: ${RETRY_MS}\n\n`);
    response.once('close', () => {
      this.#watchers.delete(watcher);
      left();
    });
  }

  tell(rest: Pick<Update, 'ageMs' | 'silent'>): void {
    /** Most watchers know the same. */
    const texts = new Map<number, string>();
    for (const watcher of this.#watchers) {
      if (watcher.waitsSinceMs !== undefined) {
        if (this.#now() - watcher.waitsSinceMs > STUCK_MS) watcher.response.destroy();
        continue;
      }
      let text = texts.get(watcher.known);
      if (text === undefined) {
        text = `data: ${this.#board.since(watcher.known, rest)}\n\n`;
        texts.set(watcher.known, text);
      }
      watcher.known = this.#board.version;
      watcher.waitsSinceMs = this.#now();
      watcher.response.write(text, () => {
        watcher.waitsSinceMs = undefined;
      });
    }
  }

  close(): void {
    for (const { response } of this.#watchers) response.end();
  }
}
