/**
 * Which forwarders ask for the report of one backend address, and what each said last. A bounded memory: when it is full, whoever was
 * silent for the longest makes room. A forwarder that has not asked for three of its intervals is forgotten: it is stopped, or no longer
 * has this backend.
 */
import { FORWARDER_INTERVALS_HEARD, FORWARDERS_HEARD_MAX } from '../core/limits.js';
import type { Question } from './question.js';
import type { ForwarderReport } from './report.js';

interface Heard extends Question {
  readonly atMs: number;
}

export class ForwardersHeard {
  /** By the forwarder's address; the one that spoke last is the last. */
  readonly #heard = new Map<string, Heard>();
  #countsFromMs = 0;

  /** What was said before is no answer to a wish of now. */
  restart(nowMs: number): void {
    this.#countsFromMs = nowMs;
  }

  /** @param nowMs of a clock that only rises */
  hear(address: string, { draining, everyMs }: Question, nowMs: number): void {
    this.#heard.delete(address);
    this.#heard.set(address, { draining, everyMs, atMs: nowMs });
    if (this.#heard.size <= FORWARDERS_HEARD_MAX) return;
    const [[silent]] = this.#heard;
    this.#heard.delete(silent);
  }

  /** Sorted by address. */
  list(nowMs: number): ForwarderReport[] {
    for (const [address, { atMs, everyMs }] of this.#heard)
      if (nowMs - atMs > FORWARDER_INTERVALS_HEARD * everyMs) this.#heard.delete(address);
    return [...this.#heard]
      .map(([address, { draining, atMs, everyMs }]) => ({
        address,
        draining: draining && atMs >= this.#countsFromMs,
        agoMs: Math.round(nowMs - atMs),
        everyMs,
      }))
      .sort((a, b) => (a.address < b.address ? -1 : 1));
  }
}
