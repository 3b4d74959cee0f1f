import { Rerun } from './rerun.js';

/**
 * SIGHUP, caught from the start, since it would end a process without a handler. A signal that comes before there is a handler is
 * remembered. Signals are handled one after the other; those that arrive during one run are handled as one.
 */
export class Hangups {
  #handle: (() => Promise<void>) | undefined;
  #isDue = false;
  readonly #handling = new Rerun(async () => this.#handle?.());

  constructor() {
    process.on('SIGHUP', () => {
      this.#isDue = true;
      this.#start();
    });
  }

  /** Handles signals from now on, and one that has already come at once. */
  handle(handle: () => Promise<void>): void {
    this.#handle = handle;
    this.#start();
  }

  /** Ignores SIGHUP from now on. Resolves when the current run has ended. */
  close(): Promise<void> {
    this.#handle = undefined;
    return this.#handling.idle();
  }

  #start(): void {
    if (!this.#isDue || this.#handle === undefined) return;
    this.#isDue = false;
    void this.#handling.ask();
  }
}
