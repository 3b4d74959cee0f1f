/** What became of connections between one event and the next, and the end of a report: for demos that play events under traffic. */
import type { ConnectionRecord, Sample } from './journal.js';

export interface TimedEvent {
  readonly title: string;
  readonly atMs: number;
}

export interface Broken {
  /** After which event. */
  readonly event: string;
  readonly why: string;
  readonly server: string | null;
}

/** What was seen after an event and before the next one. */
export interface Between<E> {
  readonly event: E;
  readonly secondsIn: number;
  readonly broken: readonly ConnectionRecord[];
  /** The longest time that an answer took. */
  readonly slowestMs: number;
}

export interface Traffic<E> {
  readonly startMs: number;
  readonly played: readonly E[];
  readonly connections: readonly ConnectionRecord[];
  readonly samples: readonly Sample[];
}

const BROKEN_SHOWN = 5;

export function betweenEvents<E extends TimedEvent>(traffic: Traffic<E>): Between<E>[] {
  const { startMs, played, connections, samples } = traffic;
  return played.map((event, i) => {
    const untilMs = played[i + 1]?.atMs ?? Number.POSITIVE_INFINITY;
    const own = samples.filter(({ atMs }) => atMs > event.atMs && atMs <= untilMs);
    return {
      event,
      secondsIn: (event.atMs - startMs) / 1_000,
      broken: connections.filter((each) => each.broken !== null && eventBefore(played, each) === event),
      slowestMs: Math.max(0, ...own.map(({ slowestMs }) => slowestMs)),
    };
  });
}

export function brokenOf<E extends TimedEvent>({ played, connections }: Traffic<E>): Broken[] {
  return connections.flatMap((each) => {
    if (each.broken === null) return [];
    const event = eventBefore(played, each)?.title ?? 'before all events';
    return [{ event, why: each.broken, server: each.server }];
  });
}

export function answersOf(connections: readonly ConnectionRecord[]): number {
  return connections.reduce((sum, { answers }) => sum + answers, 0);
}

function eventBefore<E extends TimedEvent>(
  played: readonly E[],
  { brokenSinceMs }: ConnectionRecord,
): E | undefined {
  return played.findLast(({ atMs }) => atMs <= brokenSinceMs!);
}

/** What broke, what is wrong with the run, and its last line. */
export function endOfReport(broken: readonly Broken[], failed: readonly string[], summary: string): string[] {
  return [
    ...broken
      .slice(0, BROKEN_SHOWN)
      .map(({ event, why, server }) => `broken: ${server ?? 'accepted by nobody'}, ${why} (${event})`),
    ...(broken.length > BROKEN_SHOWN ? [`and ${broken.length - BROKEN_SHOWN} more`] : []),
    ...failed.map((text) => `failed: ${text}`),
    '',
    summary,
  ];
}

/** Why traffic proves nothing: connections that broke, and forwarders that had none. @param forwarded packets, by forwarder */
export function trafficFaults(broken: readonly Broken[], forwarded: ReadonlyMap<string, number>): string[] {
  return [
    ...(broken.length === 0 ? [] : [`${broken.length} connections broke`]),
    ...[...forwarded].flatMap(([name, packets]) => (packets === 0 ? [`${name} forwarded nothing`] : [])),
  ];
}
