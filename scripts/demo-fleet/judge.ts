/** From what happened to what it means: what was lost with each event. Pure functions. */
import { answersOf, type Broken, betweenEvents, brokenOf, type Traffic } from '../survive/between-events.js';
import type { PlayedEvent } from './play.js';

export interface EventResult extends Pick<PlayedEvent, 'title' | 'text' | 'equal' | 'fault'> {
  /** Seconds since the traffic began. */
  readonly atSeconds: number;
  readonly tookSeconds: number;
  readonly broken: number;
  /** The longest time that an answer took, until the next event. */
  readonly slowestMs: number;
}

export interface Verdict {
  readonly events: readonly EventResult[];
  /** Revisions that were put in force. */
  readonly changes: number;
  /** How often all nodes were found to have the same owners. */
  readonly equal: number;
  readonly connections: number;
  /** How many were open at a time: the median. */
  readonly open: number;
  readonly answers: number;
  readonly forwarded: ReadonlyMap<string, number>;
  readonly falseDowns: number;
  /** Why, and after which event. */
  readonly broken: readonly Broken[];
}

export interface Witnessed extends Traffic<PlayedEvent> {
  /** By the forwarder's name. */
  readonly forwarded: ReadonlyMap<string, number>;
  /** How often a node took a backend for down that was not. */
  readonly falseDowns: number;
}

export function judge(witnessed: Witnessed): Verdict {
  const { played, connections, samples, forwarded, falseDowns } = witnessed;
  const events = betweenEvents(witnessed).map(({ event, secondsIn, broken, slowestMs }): EventResult => {
    const { title, text, equal, fault, atMs, doneMs } = event;
    return {
      ...{ title, text, equal, fault },
      atSeconds: secondsIn,
      tookSeconds: (doneMs - atMs) / 1_000,
      broken: broken.length,
      slowestMs,
    };
  });
  return {
    events,
    changes: played.filter(({ revision }) => revision !== undefined).length,
    equal: played.filter((event) => event.equal).length,
    connections: connections.length,
    open: samples.map(({ open }) => open).sort((a, b) => a - b)[samples.length >> 1] ?? 0,
    answers: answersOf(connections),
    forwarded,
    falseDowns,
    broken: brokenOf(witnessed),
  };
}

/**
 * What is wrong with the owners that the nodes have after an event; undefined when nothing is.
 * @param digests of the owners, by node
 * @param before the same before the event
 * @param moves whether slots were to move
 */
export function differenceOf(
  digests: ReadonlyMap<string, string>,
  before: ReadonlyMap<string, string>,
  moves: boolean,
): string | undefined {
  if (new Set(digests.values()).size > 1)
    return `not all nodes have the same owners: ${[...digests].map(([name, digest]) => `${name} ${digest.slice(0, 8)}`).join(', ')}`;
  const moved = [...digests].filter(([name, digest]) => before.get(name) !== digest);
  if (moves) return moved.length === digests.size ? undefined : 'no slot has moved';
  return moved.length === 0 ? undefined : `slots have moved on ${moved.map(([name]) => name).join(', ')}`;
}
