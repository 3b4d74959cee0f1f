/**
 * Whether what an engine has put on its interface is still there: others can take it off, by force or along with their own. Whoever
 * looks puts it back; here is what is told of that, once for each reason.
 */
import type { Logger } from '../core/log.js';

/** What was put back counts as there again after this time. */
const STAYS_MS = 1_000;

export interface PresenceOptions {
  /** For a log line: `the program`. */
  readonly what: string;
  readonly interface: string;
  readonly log: Logger;
  /** Called when `detached` has changed. */
  readonly changed?: (() => void) | undefined;
}

export class Presence {
  readonly #of: PresenceOptions;
  #detached: string | undefined;
  #backSinceMs: number | undefined;

  constructor(of: PresenceOptions) {
    this.#of = of;
  }

  /** Why it is not there, or has only just begun to be again; undefined when all is well. */
  get detached(): string | undefined {
    return this.#detached;
  }

  isThere(): void {
    if (this.#detached === undefined) return;
    const nowMs = performance.now();
    this.#backSinceMs ??= nowMs;
    if (nowMs - this.#backSinceMs < STAYS_MS) return;
    this.#detached = this.#backSinceMs = undefined;
    const { what, interface: name, log } = this.#of;
    log.info({ event: 'attached_again', interface: name }, `${what} is on ${name} again`);
    this.#of.changed?.();
  }

  isGone(why: string): void {
    const wasTold = why === this.#detached && this.#backSinceMs === undefined;
    this.#detached = why;
    this.#backSinceMs = undefined;
    if (wasTold) return;
    this.#of.log.error({ event: 'detached', interface: this.#of.interface, why }, why);
    this.#of.changed?.();
  }
}
