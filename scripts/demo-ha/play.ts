/** Plays events against the fleet while traffic flows. */
import { setTimeout as delay } from 'node:timers/promises';
import type { HaEvent } from './events.js';
import { isAsExpected } from './fib-time.js';
import type { HaFleet } from './fleet.js';

export interface PlayedEvent extends Pick<HaEvent, 'title' | 'expected'> {
  readonly atMs: number;
  /** When the next one may begin. */
  readonly doneMs: number;
}

/** A node that starts has to be ready for a while before it is announced. */
const REACHED_TIMEOUT_MS = 30_000;

/** @param onStart told of each event as it begins */
export async function play(
  events: readonly HaEvent[],
  fleet: HaFleet,
  onStart: (event: HaEvent) => void,
): Promise<PlayedEvent[]> {
  const played: PlayedEvent[] = [];
  for (const event of events) {
    const { title, expected, run, afterwards, watchMs } = event;
    onStart(event);
    const atMs = Date.now();
    await run(fleet);
    const reached = (): boolean =>
      expected.destinations.every((each) => isAsExpected(expected, fleet.sendsTo(each)));
    await fleet.fib.until(`as expected after "${title}"`, reached, REACHED_TIMEOUT_MS);
    await afterwards?.(fleet);
    await delay(watchMs);
    played.push({ title, expected, atMs, doneMs: Date.now() });
  }
  return played;
}
