/** The signals that stop a node: a second one ends the waiting that the first one began. */
import { setTimeout as delay } from 'node:timers/promises';
import { deferred } from '../core/deferred.js';
import type { Logger } from '../core/log.js';
import { formatDuration } from '../core/time.js';

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

/** Lets the node forward on although it says that it is not ready, until the time is over or one of `ends` settles. */
export async function lameDuck(
  delayMs: number,
  ends: readonly Promise<unknown>[],
  log: Logger,
): Promise<void> {
  const text = `not ready; forwarding goes on for ${formatDuration(delayMs)} (another signal ends it)`;
  log.info({ event: 'stop_delay', delayMs }, text);
  const over = new AbortController();
  const waited = delay(delayMs, undefined, { signal: over.signal }).catch(() => undefined);
  try {
    await Promise.race([waited, ...ends]);
  } finally {
    over.abort();
  }
}

/** A signal came while next hops and first checks were awaited, which takes as long as a check may. */
export class StoppedWhileStarting extends Error {}
