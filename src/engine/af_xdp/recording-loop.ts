/**
 * The loop of a worker while somebody captures: frame by frame through a tap, and otherwise as ForwardingLoop. It is code of its own, because
 * V8 compiles a loop for what it has seen: one with a tap in it, even for a second, would forward more slowly from then on.
 */
import type { Tap } from '../capture/tap.js';
import {
  DESC_LENGTH,
  DESC_WORDS_SHIFT,
  ENTRY_WORDS_SHIFT,
  type ForwardingLoop,
  PASS_FIRST,
  PASS_LAST,
  SENT_LAST,
  type SocketMemory,
  TALLY,
} from './loop.js';

export class RecordingLoop {
  readonly #memory: SocketMemory;
  readonly #loop: ForwardingLoop;
  readonly #tap: Tap;
  readonly #tally: Float64Array;

  constructor(memory: SocketMemory, loop: ForwardingLoop, tap: Tap, tally: Float64Array) {
    this.#memory = memory;
    this.#loop = loop;
    this.#tap = tap;
    this.#tally = tally;
  }

  /** As `ForwardingLoop.batch`. */
  batch(limit: number): number {
    this.#loop.reclaim();
    const { frames, rx, tx, fill } = this.#memory;
    const count = Math.min(rx.available(), limit);
    if (count === 0) return 0;
    for (let i = 0; i < count; i++) {
      const desc = rx.first + ((rx.own & rx.mask) << DESC_WORDS_SHIFT);
      const start = rx.words[desc];
      const verdict = this.#tap.process(frames, start, rx.words[desc + DESC_LENGTH]);
      rx.own = (rx.own + 1) | 0;
      if (verdict <= SENT_LAST && tx.pending() < tx.entries) {
        const out = tx.first + ((tx.own & tx.mask) << DESC_WORDS_SHIFT);
        tx.words[out] = this.#tap.outStart;
        tx.words[out + DESC_LENGTH] = this.#tap.outLength;
        tx.own = (tx.own + 1) | 0;
        this.#tally[TALLY.queued]++;
        continue;
      }
      if (verdict <= SENT_LAST) this.#tally[TALLY.unqueued]++;
      else if (verdict >= PASS_FIRST && verdict <= PASS_LAST) this.#loop.disown(verdict);
      fill.words[fill.first + ((fill.own & fill.mask) << ENTRY_WORDS_SHIFT)] = start;
      fill.own = (fill.own + 1) | 0;
    }
    rx.publish();
    fill.publish();
    tx.publish();
    return count;
  }
}
