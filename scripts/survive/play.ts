/** Plays events against the fleet while traffic flows, and notes what there is to know about each for judge.ts. */
import { setTimeout as delay } from 'node:timers/promises';
import type { SurviveEvent } from './acts.js';
import type { Fleet } from './fleet.js';
import { Placement } from './placement.js';
import type { HopCounts, RouterWitness } from './router.js';

/** What there is to ask of Placement. */
export type PlacementThen = Pick<Placement, keyof Placement>;

export interface PlayedEvent extends Pick<SurviveEvent, 'title' | 'touches' | 'crashes' | 'rehashes'> {
  readonly atMs: number;
  /** When it had taken place, everywhere. */
  readonly doneMs: number;
  readonly before: PlacementThen;
  readonly after: PlacementThen;
  /** Until then. */
  readonly hops: HopCounts;
}

/** @param onStart told of each event as it begins */
export async function play(
  events: readonly SurviveEvent[],
  fleet: Fleet,
  witness: RouterWitness,
  onStart: (event: SurviveEvent) => void,
): Promise<PlayedEvent[]> {
  const observe = async (): Promise<Placement> => {
    const [flows, statuses] = await Promise.all([witness.flows(), fleet.statuses()]);
    return new Placement(flows, statuses);
  };
  const played: PlayedEvent[] = [];
  for (const event of events) {
    const { title, touches, crashes, rehashes } = event;
    await event.prepare?.(fleet);
    const [before, hops] = await Promise.all([observe(), witness.hops()]);
    const atMs = Date.now();
    onStart(event);
    await event.run(fleet);
    const doneMs = Date.now();
    await delay(event.watchMs);
    played.push({
      title,
      ...(touches && { touches }),
      ...(crashes !== undefined && { crashes }),
      ...(rehashes && { rehashes }),
      atMs,
      doneMs,
      before,
      after: await observe(),
      hops,
    });
  }
  return played;
}
