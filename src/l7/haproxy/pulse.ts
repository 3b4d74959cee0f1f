/** Whether HAProxy's worker answers: asked every second by its socket, since a process that is there may serve nobody. */
import { HAPROXY_ALIVE_MS } from '../../core/limits.js';

const INTERVAL_MS = 1_000;

export class Pulse {
  readonly #ask: () => Promise<unknown>;
  readonly #timer: NodeJS.Timeout;
  #answeredMs = Number.NEGATIVE_INFINITY;
  #isAsking = false;

  /** @param ask rejects without an answer, in bounded time */
  constructor(ask: () => Promise<unknown>) {
    this.#ask = ask;
    this.#timer = setInterval(() => void this.#beat(), INTERVAL_MS);
  }

  /** Whether there was an answer within the last 3 s. */
  isAlive(): boolean {
    return performance.now() - this.#answeredMs <= HAPROXY_ALIVE_MS;
  }

  /** An answer that somebody else got. */
  answered(): void {
    this.#answeredMs = performance.now();
  }

  /** HAProxy has ended. */
  ended(): void {
    this.#answeredMs = Number.NEGATIVE_INFINITY;
  }

  close(): void {
    clearInterval(this.#timer);
    this.ended();
  }

  async #beat(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    const askedMs = performance.now();
    try {
      await this.#ask();
      // As of the question: an answer may be late, and HAProxy dead since.
      this.#answeredMs = Math.max(this.#answeredMs, askedMs);
    } catch {
      // no answer: the time since the last one grows
    } finally {
      this.#isAsking = false;
    }
  }
}
