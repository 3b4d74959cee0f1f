/** From what happened to what it means: for each event, when the router had it and what was lost. A pure function. */
import { answersOf, type Broken, betweenEvents, brokenOf, type Traffic } from '../survive/between-events.js';
import type { ConnectionRecord } from '../survive/journal.js';
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
  readonly broken: readonly Broken[];
}

export interface Witnessed extends Traffic<PlayedEvent> {
  readonly rows: readonly NamedRow[];
  /** By the forwarder's name. */
  readonly forwarded: ReadonlyMap<string, number>;
}

export function judge(witnessed: Witnessed): Verdict {
  const { rows, connections, forwarded } = witnessed;
  const events = betweenEvents(witnessed).map(({ event, secondsIn, broken, slowestMs }): EventResult => {
    const lost = (kind: ConnectionRecord['kind']): number =>
      broken.filter((each) => each.kind === kind).length;
    return {
      title: event.title,
      atSeconds: secondsIn,
      ...fibOf(event, rows),
      requestsLost: lost('short'),
      connectionsLost: lost('held'),
      slowestMs,
    };
  });
  const held = connections.filter(({ kind }) => kind === 'held').length;
  return {
    events,
    held,
    shorts: connections.length - held,
    answers: answersOf(connections),
    forwarded,
    broken: brokenOf(witnessed),
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
