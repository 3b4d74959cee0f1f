/** A logger that also tells something else what it is told, whatever level the log itself has; routine is left out. */
import type { Logger, LogLine } from '../core/log.js';
import type { LogEventName } from '../core/log-events.js';
import type { EventLevel } from './event.js';

export type { EventLevel } from './event.js';
export type RecordedLine = readonly [level: EventLevel, event: LogEventName, text: string];

/** Of level info: each has a place of its own in the status. */
const ROUTINE: ReadonlySet<string> = new Set(['published', 'pool', 'interim_counters', 'counters']);

export function recordedBy(log: Logger, tell: (...line: RecordedLine) => void): Logger {
  const both =
    (level: EventLevel): LogLine =>
    (fields, text) => {
      if (level !== 'info' || !ROUTINE.has(fields.event)) tell(level, fields.event, text);
      log[level](fields, text);
    };
  return { debug: log.debug.bind(log), info: both('info'), warn: both('warn'), error: both('error') };
}
