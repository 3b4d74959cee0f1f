/** Plays events against the fleet while traffic flows, and compares the tables of all nodes after each. */
import { setTimeout as delay } from 'node:timers/promises';
import type { FleetEvent, Outcome } from './events.js';
import type { DemoFleet } from './fleet.js';
import { differenceOf } from './judge.js';

export interface PlayedEvent extends Outcome {
  readonly title: string;
  readonly atMs: number;
  readonly doneMs: number;
  /** Why it is not as it should be; undefined when it is. */
  readonly fault: string | undefined;
  /** Whether all nodes had the same owners then. */
  readonly equal: boolean;
}

/** What a change of one node's health marks may take on the others. */
const DIFFER_MS = 3_000;
const POLL_INTERVAL_MS = 50;
const WATCH_MS = 1_000;

/** @param onStart told of each event as it begins */
export async function play(
  events: readonly FleetEvent[],
  fleet: DemoFleet,
  onStart: (title: string) => void,
): Promise<PlayedEvent[]> {
  const played: PlayedEvent[] = [];
  let before = await fleet.digests();
  for (const { title, run } of events) {
    onStart(title);
    const atMs = Date.now();
    const { fault, ...outcome } = await triedTo(() => run(fleet));
    const digests = await settledDigests(fleet, outcome.but);
    const difference = differenceOf(digests, before, outcome.moves);
    played.push({
      title,
      ...outcome,
      atMs,
      doneMs: Date.now(),
      fault: fault ?? difference,
      equal: new Set(digests.values()).size === 1,
    });
    before = digests;
    await delay(WATCH_MS);
    if (fault !== undefined) break; // what follows builds on it
  }
  return played;
}

async function triedTo(run: () => Promise<Outcome>): Promise<Outcome & { fault?: string }> {
  try {
    return await run();
  } catch (error) {
    const { message } = error as Error;
    return { text: 'failed', moves: false, fault: message };
  }
}

/** As soon as they are equal, or in the end. */
async function settledDigests(fleet: DemoFleet, but: string | undefined): Promise<Map<string, string>> {
  const deadline = Date.now() + DIFFER_MS;
  for (;;) {
    const digests = await fleet.digests();
    if (but !== undefined) digests.delete(but);
    if (new Set(digests.values()).size === 1 || Date.now() > deadline) return digests;
    await delay(POLL_INTERVAL_MS);
  }
}
