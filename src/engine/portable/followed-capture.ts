/**
 * A capture for as long as its interface is there: replaced by another one when that is needed, idle while the interface is down,
 * and going on by itself when it is up again. An interface that is gone ends the engine: another one under its name is another
 * interface.
 */
import { AnyhopError, EXIT } from '../../core/errors.js';
import type { Logger } from '../../core/log.js';
import type { Capture } from './capture.js';

/** Between two attempts to open a capture; each failed one costs some KB for good (capture.ts). */
const RETRY_MS = 1_000;
/** Tries in a row, after which the engine gives up. */
const TRIES_MAX = 10;

export interface FollowedCaptureOptions {
  readonly interface: string;
  readonly log: Logger;
  /** Called when `detached` has changed. */
  readonly changed?: (() => void) | undefined;
  /** Opens a capture as it should be by now. @throws AnyhopError */
  readonly open: () => Capture;
  /** There will be no more packets. */
  readonly lost: (reason: AnyhopError) => void;
}

export class FollowedCapture {
  readonly #options: FollowedCaptureOptions;
  #capture: Capture | undefined;
  /** It is to be replaced and could not be yet. */
  #isDue = false;
  #failures = 0;
  #triedMs = 0;
  #isClosed = false;
  #detached: string | undefined;

  /** @throws AnyhopError ERR_INTERFACE, ERR_NATIVE */
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
   * interface that is down none can be opened, and nothing comes in by the old one: it is replaced later. Where that is
   * not the reason the old one ends first: it may have the descriptors that are missing.
   */
  replace(): void {
    const old = this.#capture;
    if (old === undefined) return;
    const failure = this.#open();
    this.#isDue = failure !== undefined;
    if (failure !== undefined && old.interfaceState() !== 'up') return;
    old.close();
    if (failure === undefined) return;
    this.#capture = undefined;
    this.#retry();
  }

  /** Looks what became of the interface; to be called several times a second. */
  look(nowMs = performance.now()): void {
    if (this.#isClosed) return;
    if (this.#capture === undefined) {
      if (nowMs - this.#triedMs >= RETRY_MS) this.#retry(nowMs);
      return;
    }
    const { interface: name } = this.#options;
    switch (this.#capture.interfaceState()) {
      case 'gone':
        this.#lose(`the interface ${name} is gone`, { hint: 'Start again when it is back.' });
        break;
      case 'down':
        this.#tell(`the interface ${name} is down`);
        break;
      case 'up':
        this.#tell(undefined);
        if (this.#isDue) this.replace();
    }
  }

  close(): void {
    this.#capture?.close();
    this.#capture = undefined;
    this.#isClosed = true;
  }

  /** @returns why not */
  #open(): AnyhopError | undefined {
    try {
      this.#capture = this.#options.open();
      return undefined;
    } catch (error) {
      return error as AnyhopError;
    }
  }

  /** Where there is no capture. */
  #retry(nowMs = performance.now()): void {
    const failure = this.#open();
    this.#triedMs = nowMs;
    this.#isDue = failure !== undefined;
    this.#failures = failure === undefined ? 0 : this.#failures + 1;
    this.#tell(failure?.message);
    if (failure !== undefined && this.#failures === TRIES_MAX)
      this.#lose(failure.message, { cause: failure, ...(failure.hint && { hint: failure.hint }) });
  }

  /** @param why nothing comes, or undefined when packets can come */
  #tell(why: string | undefined): void {
    if (why === this.#detached) return;
    this.#detached = why;
    const { interface: name, log } = this.#options;
    if (why !== undefined) log.error({ event: 'detached', interface: name, why }, why);
    else log.info({ event: 'attached_again', interface: name }, `packets of ${name} are captured again`);
    this.#options.changed?.();
  }

  #lose(message: string, options: { hint?: string; cause?: unknown }): void {
    this.close();
    this.#options.lost(new AnyhopError('ERR_INTERFACE', message, { exitCode: EXIT.failure, ...options }));
  }
}
