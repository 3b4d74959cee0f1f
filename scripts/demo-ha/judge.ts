/** From what happened to what it means: for each event, when the router had it and what was lost. A pure function. */
import type { ConnectionRecord, Sample } from '../survive/journal.js';
import { changesOf, type NamedRow, reachedMs } from './fib-time.js';
import type { PlayedEvent } from './play.js';

export interface EventResult {
  readonly title: string;
  /** Seconds since the traffic began. */
  readonly atSeconds: number;
  /** What the router's table made of it, in words. */
  readonly fib: string;
  /** Milliseconds until the router's table had it; undefined when it was to stay, or did not get there. */
  readonly fibMs: number | undefined;
  /** Whether the router's table did what it should. */
  readonly asExpected: boolean;
  /** New connections for a request or a few, and long ones, that broke after it and before the next event. */
  readonly requestsLost: number;
  readonly connectionsLost: number;
  /** The longest time that an answer took, until the next event. */
  readonly slowestMs: number;
}

export interface Verdict {
  readonly events: readonly EventResult[];
  /** Connections that were open throughout, and others. */
  readonly held: number;
  readonly shorts: number;
  readonly answers: number;
  /** Packets that each forwarder has forwarded since it was started last, by name. */
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
  readonly rows: readonly NamedRow[];
  readonly connections: readonly ConnectionRecord[];
  readonly samples: readonly Sample[];
  /** By the forwarder's name. */
  readonly forwarded: ReadonlyMap<string, number>;
}

export function judge({ startMs, played, rows, connections, samples, forwarded }: Witnessed): Verdict {
  const broken = connections
    .filter((each) => each.broken !== null)
    .map((each) => ({ each, during: played.findLast(({ atMs }) => atMs <= each.brokenSinceMs!) }));
  const events = played.map((event, i): EventResult => {
    const untilMs = played[i + 1]?.atMs ?? Number.POSITIVE_INFINITY;
    const lost = (kind: ConnectionRecord['kind']): number =>
      broken.filter(({ each, during }) => during === event && each.kind === kind).length;
    const own = samples.filter(({ atMs }) => atMs > event.atMs && atMs <= untilMs);
    return {
      title: event.title,
      atSeconds: (event.atMs - startMs) / 1_000,
      ...fibOf(event, rows),
      requestsLost: lost('short'),
      connectionsLost: lost('held'),
      slowestMs: Math.max(0, ...own.map(({ slowestMs }) => slowestMs)),
    };
  });
  const held = connections.filter(({ kind }) => kind === 'held').length;
  return {
    events,
    held,
    shorts: connections.length - held,
    answers: connections.reduce((sum, { answers }) => sum + answers, 0),
    forwarded,
    broken: broken.map(({ each: { broken: why, server }, during }) => ({
      event: during?.title ?? 'before all events',
      why: why!,
      server,
    })),
  };
}

function fibOf(
  { expected, atMs, doneMs }: PlayedEvent,
  rows: readonly NamedRow[],
): Pick<EventResult, 'fib' | 'fibMs' | 'asExpected'> {
  if (expected.kind === 'stays') {
    const changes = changesOf(rows, expected.destinations, atMs, doneMs);
    return {
      fib: changes === 0 ? 'stays' : `changed ${changes} times`,
      fibMs: undefined,
      asExpected: changes === 0,
    };
  }
  const fibMs = reachedMs(rows, expected, atMs, doneMs);
  const what = `${expected.kind} ${expected.hop}`;
  return {
    fib: fibMs === undefined ? `is not ${what}` : `${what} after ${Math.round(fibMs)} ms`,
    fibMs,
    asExpected: fibMs !== undefined,
  };
}
