/**
 * What is known of the node, by the lines that it sent and by their end. Pure: each function makes new knowledge of the former and an event.
 * It is kept in a file (kept.ts), so that the next process goes on where this one was killed.
 *
 * Times are milliseconds of the kernel's monotonic clock, which all processes share until the machine starts anew, and which nobody sets.
 */
import type { FollowedEngine, FollowedHop, FollowLine } from '../api/follow.js';
import { STOP_DELAY_MS_MAX } from '../core/limits.js';
import type { HeldBy } from './status.js';

/** What forwards, as the node said when it last did: by this a kernel is judged that goes on without it. */
export interface Forwarding {
  readonly engine: FollowedEngine;
  /** Names of pools, by VIP. */
  readonly vips: Readonly<Record<string, readonly string[]>>;
  /** Where packets are sent, by pool. */
  readonly hops: Readonly<Record<string, readonly FollowedHop[]>>;
}

export interface Stop {
  readonly forwardsOn: boolean;
  /** Text of the line, which tells one stop from the next. */
  readonly until: string;
  /** When it stops to forward. */
  readonly untilMs: number;
}

export interface Hold {
  readonly by: HeldBy;
  readonly sinceMs: number;
}

export interface Knowledge {
  /** Since when this process asks. */
  readonly askedMs: number;
  /** The last line of the stream that is open now, or was; absent before the first. */
  readonly line?: FollowLine;
  readonly heardMs?: number;
  /** Since when lines have had the phase of the last one. */
  readonly phaseMs?: number;
  /** When the stream ended, or could not be opened, and why; absent while it is open. */
  readonly gone?: { readonly sinceMs: number; readonly why: string };
  readonly stop?: Stop;
  readonly forwarding?: Forwarding;
  /** Since when no process is known to follow what the kernel forwards. */
  readonly orphanMs?: number;
  readonly hold?: Hold;
}

/** @param kept of the process before */
export function begin(nowMs: number, kept: Partial<Knowledge> = {}): Knowledge {
  const { stop, forwarding, orphanMs, hold } = kept;
  return {
    askedMs: nowMs,
    ...(stop && { stop }),
    ...(forwarding && { forwarding }),
    ...(orphanMs !== undefined && { orphanMs }),
    ...(hold && { hold }),
  };
}

/** @param wallMs by the clock that the line's times are of */
export function hear(known: Knowledge, line: FollowLine, nowMs: number, wallMs: number): Knowledge {
  const { askedMs, hold } = known;
  const isReleased = hold?.by === 'stop' && line.phase === 'serving' && line.reasons.length === 0;
  // A process that starts does not end the time that the one before had: its kernel forwards until then, and no longer.
  const stop = line.stop
    ? stopOf(line.stop, known.stop, nowMs, wallMs)
    : line.phase === 'starting'
      ? known.stop
      : undefined;
  const forwarding = forwardingOf(line, known.forwarding);
  const isFollowed = line.phase === 'serving' || line.phase === 'stopping';
  return {
    askedMs,
    line,
    heardMs: nowMs,
    phaseMs: known.line?.phase === line.phase && known.gone === undefined ? (known.phaseMs ?? nowMs) : nowMs,
    ...(stop && { stop }),
    ...(forwarding && { forwarding }),
    ...(!isFollowed && { orphanMs: orphanSince(known) }),
    ...(hold && !isReleased && { hold }),
  };
}

/** The same line came again. */
export function hearAgain(known: Knowledge, nowMs: number): Knowledge {
  return { ...known, heardMs: nowMs };
}

/** The stream ended, or there is none. */
export function loseNode(known: Knowledge, why: string, nowMs: number): Knowledge {
  return {
    ...known,
    gone: { sinceMs: known.gone?.sinceMs ?? nowMs, why },
    orphanMs: orphanSince(known),
  };
}

/** Since when no process that serves has been heard, when none is: since the last line of one that says nothing any more. */
export function orphanSince({ orphanMs, heardMs, askedMs }: Knowledge): number {
  return orphanMs ?? heardMs ?? askedMs;
}

export function holdBack(known: Knowledge, by: HeldBy, nowMs: number): Knowledge {
  // What an operator said is not undone by a node that serves again.
  return known.hold?.by === 'withdraw' ? known : { ...known, hold: { by, sinceMs: nowMs } };
}

export function resume({ hold: _, ...known }: Knowledge): Knowledge {
  return known;
}

function stopOf(
  { until, forwardsOn }: NonNullable<FollowLine['stop']>,
  before: Stop | undefined,
  nowMs: number,
  wallMs: number,
): Stop {
  // By the first line that says so: a wall clock that is set meanwhile changes nothing.
  if (before?.until === until) return { ...before, forwardsOn };
  const leftMs = Math.min(Math.max(Date.parse(until) - wallMs, 0), STOP_DELAY_MS_MAX);
  return { until, forwardsOn, untilMs: nowMs + leftMs };
}

function forwardingOf(line: FollowLine, before: Forwarding | undefined): Forwarding | undefined {
  const { phase, engine } = line;
  if (engine === undefined) return before;
  // The image of the process before is in force until this one has made its own.
  if (phase === 'starting') return before && { ...before, engine };
  if (phase === 'left' && before !== undefined) return { ...before, engine };
  return {
    engine,
    vips: Object.fromEntries(line.vips.map(({ vip, services }) => [vip, poolsOf(services)])),
    hops: Object.fromEntries(Object.entries(line.pools).map(([pool, { hops }]) => [pool, hops])),
  };
}

function poolsOf(services: FollowLine['vips'][number]['services']): readonly string[] {
  return [...new Set(services.map(({ pool }) => pool))];
}
