/**
 * From what happened to what it means: for each event, the connections at risk and those that broke. A pure function.
 *
 * At risk are connections that are open in the moment of the event, and
 *  - whose packets go another way after it than before: the router sends them through another forwarder, or the forwarder's
 *    table gives their slot to another backend;
 *  - or which go through a forwarder, or to or through a backend, that the event stops or starts anew.
 *
 * A broken connection counts for the last event before it began to be broken. It is excused if it was made to the process that
 * crashed; one that nobody accepted, if its slot was that backend's and no forwarder had to know better yet.
 */
import { type ConnectionRecord, type FlowName, flowName, type Sample } from './journal.js';
import type { PlayedEvent } from './play.js';
import type { HopCounts } from './router.js';
import { backendOf } from './wire.js';

/** From a check's verdict on every node to the image in force, ten times over. */
const OUT_OF_TABLES_MS = 500;
/** A SYN may be on its way when the process dies. */
const ACCEPTED_MS = 500;

export interface EventResult {
  readonly title: string;
  /** Seconds since the traffic began. */
  readonly atSeconds: number;
  /** Connections that were open in that moment, and not broken. */
  readonly open: number;
  readonly atRisk: number;
  /** The router was to send most connections through another forwarder. */
  readonly rehashes: boolean;
  readonly broken: number;
  /** Of the broken ones, those of a backend that crashed. */
  readonly excused: number;
  /** Held connections that live on another backend than the one that their packets go to from then on. */
  readonly away: number;
  /** Packets that backends sent on to each other, until the next event; of these, those to the second alternate. */
  readonly secondHops: number;
  readonly thirdHops: number;
  /** The longest time that an answer took, until the next event. */
  readonly slowestMs: number;
}

export interface Breakage {
  readonly event: string;
  readonly kind: ConnectionRecord['kind'];
  readonly flow: FlowName;
  readonly server: string | null;
  readonly why: string;
  readonly excused: boolean;
}

export interface Verdict {
  readonly held: number;
  /** Of the held ones, those that were open from before the first event to after the last one. */
  readonly throughout: number;
  /** A second, on that one of these which had the fewest. */
  readonly leastAnswers: number;
  readonly shorts: number;
  /** Short ones that began, each second. */
  readonly shortsPerSecond: number;
  readonly answers: number;
  /** Packets that backends sent on to each other: as the router counted them, and as the agents did. */
  readonly hops: HopCounts;
  readonly sentOn: number;
  readonly events: readonly EventResult[];
  readonly broken: readonly Breakage[];
}

export interface Witnessed {
  readonly startMs: number;
  readonly played: readonly PlayedEvent[];
  readonly connections: readonly ConnectionRecord[];
  readonly samples: readonly Sample[];
  /** When all was over. */
  readonly hops: HopCounts;
  readonly sentOn: number;
}

/** @throws Error when the first tables do not have the held connections where they are: nothing here would mean anything */
export function judge({ startMs, played, connections, samples, hops, sentOn }: Witnessed): Verdict {
  requireTables(connections, played);
  const broken = connections.filter((each) => each.broken !== null).map((each) => breakage(each, played));
  const events = played.map((event, i): EventResult => {
    const untilMs = played[i + 1]?.atMs ?? Number.POSITIVE_INFINITY;
    const untilHops = played[i + 1]?.hops ?? hops;
    const own = broken.filter(({ during }) => during === event);
    const slowest = samples.filter(({ atMs }) => atMs > event.atMs && atMs <= untilMs);
    return {
      title: event.title,
      atSeconds: (event.atMs - startMs) / 1000,
      open: connections.filter((each) => isOpen(each, event)).length,
      atRisk: connections.filter((each) => isAtRisk(each, event)).length,
      rehashes: event.rehashes === true,
      broken: own.length,
      excused: own.filter(({ excused }) => excused).length,
      away: connections.filter((each) => isAway(each, event)).length,
      secondHops: untilHops.secondHops - event.hops.secondHops,
      thirdHops: untilHops.thirdHops - event.hops.thirdHops,
      slowestMs: Math.max(0, ...slowest.map(({ slowestMs }) => slowestMs)),
    };
  });
  const held = connections.filter(({ kind }) => kind === 'held');
  const throughout = held.filter((each) => isThroughout(each, played));
  const shorts = connections.length - held.length;
  const seconds = ((played.at(-1)?.doneMs ?? startMs) - startMs) / 1000;
  return {
    held: held.length,
    throughout: throughout.length,
    leastAnswers: Math.min(
      ...throughout.map(({ answers, openedAtMs, endedAtMs }) => (1000 * answers) / (endedAtMs - openedAtMs)),
    ),
    shorts,
    shortsPerSecond: seconds > 0 ? shorts / seconds : 0,
    answers: connections.reduce((sum, { answers }) => sum + answers, 0),
    hops,
    sentOn,
    events,
    broken: broken.map(({ during, ...told }) => ({ event: during?.title ?? 'before all events', ...told })),
  };
}

function requireTables(connections: readonly ConnectionRecord[], played: readonly PlayedEvent[]): void {
  const placement = played[0]?.before;
  for (const each of connections) {
    if (placement === undefined || each.kind !== 'held' || each.server === null) continue;
    const owner = placement.ownerAnywhere(flowName(each));
    if (owner !== backendOf(each.server))
      throw new Error(`IPv${flowName(each)} is with ${each.server}, and its slot is ${owner}'s`);
  }
}

function isOpen({ openedAtMs, endedAtMs, brokenSinceMs }: ConnectionRecord, { atMs }: PlayedEvent): boolean {
  return openedAtMs <= atMs && endedAtMs > atMs && (brokenSinceMs === null || brokenSinceMs >= atMs);
}

function isAtRisk(connection: ConnectionRecord, event: PlayedEvent): boolean {
  if (!isOpen(connection, event)) return false;
  const { before, after, touches } = event;
  const flow = flowName(connection);
  const { server } = connection;
  const through = before.forwarder(flow);
  if (server === null || through === undefined) return false; // it has hardly begun
  const owner = before.owner(flow, through);
  if (touches?.backend !== undefined && [backendOf(server), owner].includes(touches.backend)) return true;
  if (touches?.forwarders?.includes(through) === true) return true;
  // One that ended meanwhile was seen by no forwarder in the end.
  const then = after.forwarder(flow) ?? through;
  return then !== through || after.owner(flow, then) !== owner;
}

function isThroughout({ openedAtMs, endedAtMs }: ConnectionRecord, played: readonly PlayedEvent[]): boolean {
  return played.length > 0 && openedAtMs < played[0]!.atMs && endedAtMs > played.at(-1)!.doneMs;
}

function isAway(connection: ConnectionRecord, { doneMs, after }: PlayedEvent): boolean {
  const { kind, server, endedAtMs } = connection;
  if (kind !== 'held' || server === null || endedAtMs <= doneMs) return false;
  const flow = flowName(connection);
  const through = after.forwarder(flow);
  return through !== undefined && after.owner(flow, through) !== backendOf(server);
}

function breakage(
  connection: ConnectionRecord,
  played: readonly PlayedEvent[],
): Omit<Breakage, 'event'> & { during: PlayedEvent | undefined } {
  const { kind, server, broken } = connection;
  const flow = flowName(connection);
  const sinceMs = connection.brokenSinceMs!;
  const during = played.findLast(({ atMs }) => atMs <= sinceMs);
  const crashed = played.find(({ crashes }) => crashes !== undefined);
  const excused = crashed !== undefined && sinceMs >= crashed.atMs && isItsOwn(connection, crashed);
  return { kind, flow, server, why: broken!, excused, during };
}

/** Whether a connection that broke after a crash is one that the crash takes along. */
function isItsOwn(connection: ConnectionRecord, { atMs, doneMs, before, crashes }: PlayedEvent): boolean {
  const { server, openedAtMs } = connection;
  const byThenMs = doneMs + OUT_OF_TABLES_MS;
  if (server === null)
    return before.ownerAnywhere(flowName(connection)) === crashes && openedAtMs <= byThenMs;
  // The process that is started in its place is another one, and has nothing to be excused for.
  return backendOf(server) === crashes && openedAtMs <= atMs + ACCEPTED_MS;
}
