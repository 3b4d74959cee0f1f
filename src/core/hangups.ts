import { Rerun } from './rerun.js';

/**
 * SIGHUP, from the first moment on: without a handler it would end the process. One that comes before there is a handler is
 * remembered. They are handled one after the other, and as many as come meanwhile are one.
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

  /** From now on, and at once if one has come already. */
  handle(handle: () => Promise<void>): void {
    this.#handle = handle;
    this.#start();
  }

  /** Ignores SIGHUP from now on. Resolves when the one that is being handled is done. */
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
