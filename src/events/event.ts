/**
 * An event: what a process told its log, in the form in which it is kept, answered and shown. A kept one is a line of JSON. Lines may be
 * cut by a crash or changed by hand, so one is believed only when it has the right shape.
 */
import { EVENT_MESSAGE_CHARS_MAX } from '../core/limits.js';

export const EVENT_LEVELS = ['info', 'warn', 'error'] as const;
export type EventLevel = (typeof EVENT_LEVELS)[number];

export interface NodeEvent {
  /** ISO 8601. */
  readonly at: string;
  readonly level: EventLevel;
  /** Stable, as in the log. */
  readonly event: string;
  readonly message: string;
}

export interface EventsReport {
  /** ISO 8601: from here on none is missing. */
  readonly since: string;
  /** The oldest first. */
  readonly events: readonly NodeEvent[];
  /** Number of the newest event of all, for the field `after` of the next question; absent in answers of versions before. */
  readonly newest?: number;
  /** The file on disk that has them too, and with the one beside it older ones; absent in answers of versions before. */
  readonly kept?: string;
  /** Older ones than `since` are on disk alone. */
  readonly isCut?: true;
  /** Of the process: in another one, numbers begin anew. Absent in answers of versions before. */
  readonly pid?: number;
  /** ISO 8601: when it began. In a container the next process has the same number. Absent in answers of versions before. */
  readonly started?: string;
}

const CUT = ' ...';
const TIME_PATTERN = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const NAME_PATTERN = /^[a-z0-9_]{1,64}$/;

export function makeEvent(at: Date, level: EventLevel, event: string, message: string): NodeEvent {
  const isLong = message.length > EVENT_MESSAGE_CHARS_MAX;
  const cut = isLong ? `${message.slice(0, EVENT_MESSAGE_CHARS_MAX)}${CUT}` : message;
  return { at: at.toISOString(), level, event, message: cut };
}

/** With the line feed. */
export function writeLine({ at, level, event, message }: NodeEvent): string {
  return `${JSON.stringify({ at, level, event, message })}\n`;
}

/** Undefined for what is no event. @param line without its line feed */
export function readLine(line: string): NodeEvent | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { at, level, event, message } = value as Record<string, unknown>;
  if (typeof at !== 'string' || !TIME_PATTERN.test(at) || Number.isNaN(Date.parse(at))) return undefined;
  if (typeof event !== 'string' || !NAME_PATTERN.test(event)) return undefined;
  if (typeof message !== 'string' || message.length > EVENT_MESSAGE_CHARS_MAX + CUT.length) return undefined;
  const known = EVENT_LEVELS.find((each) => each === level);
  return known === undefined ? undefined : { at, level: known, event, message };
}
