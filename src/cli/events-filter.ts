/** Which events somebody wants to see. */
import { InvalidArgumentError } from 'commander';
import { nearest } from '../config/nearest.js';
import { quote } from '../config/path.js';
import { LOG_EVENTS } from '../core/log-events.js';
import { parseDuration } from '../core/time.js';
import { EVENT_LEVELS, type EventLevel, type NodeEvent } from '../events/event.js';

export interface EventsFilter {
  /** The lowest. */
  readonly level: EventLevel;
  /** Undefined for all. */
  readonly event?: readonly string[];
  /** Text that a name or message contains, in any case. */
  readonly grep?: string;
}

export function isWanted({ level, event, message }: NodeEvent, filter: EventsFilter): boolean {
  if (EVENT_LEVELS.indexOf(level) < EVENT_LEVELS.indexOf(filter.level)) return false;
  if (filter.event !== undefined && !filter.event.includes(event)) return false;
  const text = filter.grep?.toLowerCase();
  return text === undefined || `${event} ${message}`.toLowerCase().includes(text);
}

/** Names with commas between. @throws InvalidArgumentError */
export function parseNames(text: string, before: readonly string[] = []): readonly string[] {
  const names = text.split(',').map((name) => name.trim());
  for (const name of names) {
    if (Object.hasOwn(LOG_EVENTS, name)) continue;
    const meant = nearest(name, Object.keys(LOG_EVENTS));
    throw new InvalidArgumentError(
      `There is no event ${quote(name)}.${meant === undefined ? '' : ` Did you mean ${meant}?`}`,
    );
  }
  return [...before, ...names];
}

const CLOCK = /^([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?$/;
/** Without an offset it is local time. */
const DATE = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d)?)?$/;

/**
 * `2h` ago, `12:05` (the last time the clock showed that), `2024-05-01 12:05`.
 * @returns milliseconds since 1970
 * @throws InvalidArgumentError
 */
export function parseSince(text: string, now = new Date()): number {
  const ms = parseDuration(text);
  if (ms !== undefined) return now.getTime() - ms;
  const clock = CLOCK.exec(text);
  if (clock !== null) {
    const [hours, minutes, seconds] = clock.slice(1).map((part) => Number(part ?? 0));
    const at = new Date(now);
    at.setHours(hours, minutes, seconds, 0);
    if (at > now) at.setDate(at.getDate() - 1);
    return at.getTime();
  }
  // A date alone would be read as UTC.
  const date = DATE.test(text)
    ? Date.parse(text.length === 10 ? `${text}T00:00` : text.replace(' ', 'T'))
    : Number.NaN;
  if (!Number.isNaN(date)) return date;
  throw new InvalidArgumentError(
    'Expected a duration such as 2h, a time such as 12:05, or a date such as "2024-05-01 12:05".',
  );
}
