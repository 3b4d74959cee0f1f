/** What signals tell a node: to stop, which is taken once and once more, and to read its config file anew. */
import { deferred } from './deferred.js';

/**
 * What ends a run. SIGINT is somebody at a terminal: all is taken back. SIGTERM is a service manager, most often about to
 * start the next version: an engine that can goes on forwarding until then.
 */
const STOP_SIGNALS = ['SIGINT', 'SIGTERM'] as const;
type StopSignal = (typeof STOP_SIGNALS)[number];

export interface StopSignals {
  readonly first: Promise<StopSignal>;
  /** Whoever asks twice does not want to wait. What was changed on the host is taken back all the same. */
  readonly second: Promise<StopSignal>;
}

export function stopSignals(): StopSignals {
  const [first, second] = [deferred<StopSignal>(), deferred<StopSignal>()];
  let count = 0;
  for (const signal of STOP_SIGNALS) {
    process.on(signal, () => {
      count += 1;
      (count === 1 ? first : second).resolve(signal);
    });
  }
  return { first: first.promise, second: second.promise };
}

/** SIGHUP, from the first moment on; one that came too early is remembered. */
export class Hangups {
  #listener: (() => void) | undefined;
  #isDue = false;
  readonly #take = (): void => {
    if (this.#listener === undefined) this.#isDue = true;
    else this.#listener();
  };

  constructor() {
    process.on('SIGHUP', this.#take);
  }

  on(listener: () => void): void {
    this.#listener = listener;
    if (this.#isDue) listener();
  }

  close(): void {
    process.off('SIGHUP', this.#take);
  }
}

/** A signal came while next hops and first checks were awaited, which takes as long as a check may. */
export class StoppedWhileStarting extends Error {}
