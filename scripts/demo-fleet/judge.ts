/** From what happened to what it means: what was lost with each event. Pure functions. */
import type { ConnectionRecord, Sample } from '../survive/journal.js';
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
  /** Why, and after which event. */
  readonly broken: readonly {
    readonly event: string;
    readonly why: string;
    readonly server: string | null;
  }[];
}

export interface Witnessed {
  readonly startMs: number;
  readonly played: readonly PlayedEvent[];
  readonly connections: readonly ConnectionRecord[];
  readonly samples: readonly Sample[];
  /** By the forwarder's name. */
  readonly forwarded: ReadonlyMap<string, number>;
}

export function judge({ startMs, played, connections, samples, forwarded }: Witnessed): Verdict {
  const broken = connections
    .filter((each) => each.broken !== null)
    .map((each) => ({ each, during: played.findLast(({ atMs }) => atMs <= each.brokenSinceMs!) }));
  const events = played.map((event, i): EventResult => {
    const { title, text, equal, fault, atMs, doneMs } = event;
    const untilMs = played[i + 1]?.atMs ?? Number.POSITIVE_INFINITY;
    const own = samples.filter((sample) => sample.atMs > atMs && sample.atMs <= untilMs);
    return {
      ...{ title, text, equal, fault },
      atSeconds: (atMs - startMs) / 1_000,
      tookSeconds: (doneMs - atMs) / 1_000,
      broken: broken.filter(({ during }) => during === event).length,
      slowestMs: Math.max(0, ...own.map(({ slowestMs }) => slowestMs)),
    };
  });
  return {
    events,
    changes: played.filter(({ revision }) => revision !== undefined).length,
    equal: played.filter((event) => event.equal).length,
    connections: connections.length,
    open: samples.map(({ open }) => open).sort((a, b) => a - b)[samples.length >> 1] ?? 0,
    answers: connections.reduce((sum, { answers }) => sum + answers, 0),
    forwarded,
    broken: broken.map(({ each: { broken: why, server }, during }) => ({
      event: during?.title ?? 'before all events',
      why: why!,
      server,
    })),
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
