/**
 * A capture for as long as its interface is there: replaced by another one when that is needed, idle while the interface is down,
 * and going on by itself when it is up again. An interface that is gone ends the engine: another one under its name is another
 * interface.
 */
import { AnyhopError, EXIT } from '../../core/errors.js';
import type { Logger } from '../../core/log.js';
import type { Capture } from './capture.js';

/** It may come up between a failure and the look at its state. */
const OPEN_TRIES = 3;

export interface FollowedCaptureOptions {
  readonly interface: string;
  readonly log: Logger;
  /** Opens a capture as it should be by now. @throws AnyhopError ERR_INTERFACE */
  readonly open: () => Capture;
  /** There will be no more packets. */
  readonly lost: (reason: AnyhopError) => void;
}

export class FollowedCapture {
  readonly #options: FollowedCaptureOptions;
  #capture: Capture | undefined;
  /** It is to be replaced and could not be yet. */
  #isDue = false;
  #detached: string | undefined;

  /** @throws AnyhopError ERR_INTERFACE */
  constructor(options: FollowedCaptureOptions) {
    this.#options = options;
    this.#capture = options.open();
  }

  /** Why no packets come at present; undefined when they can. */
  get detached(): string | undefined {
    return this.#detached;
  }

  /**
   * Puts a new capture in the place of the old one, which ends once the new one is there: no packet falls between. On an
   * interface that is down none can be opened, and nothing comes in by the old one: it is replaced later.
   */
  replace(): void {
    const old = this.#capture;
    if (old === undefined) return;
    for (let tries = 1; ; tries++) {
      try {
        this.#capture = this.#options.open();
        this.#isDue = false;
        old.close();
        return;
      } catch (error) {
        this.#isDue = old.interfaceState() === 'down';
        if (this.#isDue) return;
        if (tries < OPEN_TRIES) continue;
        this.#lose(error as AnyhopError);
        return;
      }
    }
  }

  /** Looks what became of the interface; to be called several times a second. */
  look(): void {
    const { interface: name, log } = this.#options;
    const state = this.#capture?.interfaceState();
    if (state === 'gone') {
      const hint = 'Start again when it is back.';
      this.#lose(new AnyhopError('ERR_INTERFACE', `the interface ${name} is gone`, { hint }));
    } else if (state === 'down' && this.#detached === undefined) {
      this.#detached = `the interface ${name} is down`;
      log.error({ event: 'detached', interface: name, why: this.#detached }, this.#detached);
    } else if (state === 'up') {
      if (this.#detached !== undefined)
        log.info({ event: 'attached_again', interface: name }, `the interface ${name} is up again`);
      this.#detached = undefined;
      if (this.#isDue) this.replace();
    }
  }

  close(): void {
    this.#capture?.close();
    this.#capture = undefined;
  }

  #lose({ message, hint, cause }: AnyhopError): void {
    this.close();
    const { lost } = this.#options;
    lost(new AnyhopError('ERR_INTERFACE', message, { exitCode: EXIT.failure, ...(hint && { hint }), cause }));
  }
}
