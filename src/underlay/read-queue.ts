/**
 * When to read the kernel's tables: one read at a time, and one for a burst of changes. Reading takes a fifth of the time at most,
 * unless reads are so slow that a change would wait too long: a node has to notice within a second that it reaches nobody.
 */
import { SerialQueue } from '../core/serial-queue.js';
import type { Change } from './monitor.js';

/** From the first change of a burst to reading. */
const DEBOUNCE_MS = 50;
/** A read that took so long is followed by this many times that without one. */
const PAUSE_PER_READ = 4;
const PAUSE_MS_MAX = 400;

export class ReadQueue {
  readonly #read: (what: Change) => Promise<void>;
  readonly #failed: (error: unknown) => void;
  readonly #reads = new SerialQueue();
  #due: Change | undefined;
  #timer: NodeJS.Timeout | undefined;
  #pauseEndMs = 0;

  /** @param failed told when a read fails that nobody waits for */
  constructor(read: (what: Change) => Promise<void>, failed: (error: unknown) => void) {
    this.#read = read;
    this.#failed = failed;
  }

  /** Something changed: it is read soon. */
  later(what: Change): void {
    if (this.#due !== 'anything') this.#due = what;
    if (this.#timer !== undefined) return;
    const delayMs = Math.max(DEBOUNCE_MS, this.#pauseEndMs - performance.now());
    this.#timer = setTimeout(() => {
      const due = this.#due!;
      this.#timer = undefined;
      this.#due = undefined;
      this.now(due).catch(this.#failed);
    }, delayMs).unref();
  }

  /** Reads after the reads that are under way; rejects with what made it fail. */
  now(what: Change): Promise<void> {
    return this.#reads.add(() => this.#timed(what));
  }

  /** Resolves when the reads that are under way have ended; what was due is forgotten. */
  close(): Promise<void> {
    clearTimeout(this.#timer);
    return this.#reads.idle();
  }

  async #timed(what: Change): Promise<void> {
    const startMs = performance.now();
    try {
      await this.#read(what);
    } finally {
      const endMs = performance.now();
      this.#pauseEndMs = endMs + Math.min(PAUSE_PER_READ * (endMs - startMs), PAUSE_MS_MAX);
    }
  }
}
