/**
 * A task that is done again and again while the process lives, one run at a time. No failure ends the process or the repetition: a reason
 * is logged once, and again after a run that went well.
 */
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';

export interface Repetition {
  /** For the log, as the subject of a sentence: `the look at certificates`. */
  readonly what: string;
  /** Between the end of one run and the start of the next; asked each time. */
  readonly everyMs: () => number;
  readonly task: () => Promise<void> | void;
  readonly log: Logger;
}

export class Repeated {
  readonly #repetition: Repetition;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #isClosed = false;
  #told: string | undefined;

  /** The first run is one interval from now. */
  constructor(repetition: Repetition) {
    this.#repetition = repetition;
    this.#arm();
  }

  /** Resolves when the run under way has ended; there is none after it. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  #arm(): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#running = this.#run().finally(() => this.#arm());
    }, this.#repetition.everyMs()).unref();
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    try {
      await this.#repetition.task();
      this.#told = undefined;
    } catch (error) {
      this.#tell(reasonOf(error));
    }
  }

  #tell(why: string): void {
    if (why === this.#told) return;
    this.#told = why;
    const { what, log } = this.#repetition;
    log.error({ event: 'l7_task_failed', task: what, why }, `${what} failed, and is tried again: ${why}`);
  }
}
