/** Events as lines of text, aligned: local time, level, name, message. Warnings and errors stand out by capitals. */
import { LOG_EVENTS } from '../core/log-events.js';
import { printable, printableLines } from '../core/printable.js';
import { clockTime } from '../core/time.js';
import type { NodeEvent } from '../events/event.js';

const MARKS = { info: 'info ', warn: 'WARN ', error: 'ERROR' } as const;
/** Of the longest names one sees often; longer ones move their message. */
const NAME_CHARS = 16;

/** `12:05:00  WARN   health            web/web-1 is down: ...` and a line feed; of several lines, the message is indented. */
export function drawEvent({ at, level, event, message }: NodeEvent, now: Date): string {
  const head = `${clockTime(at, now)}  ${MARKS[level]}  ${printable(event).padEnd(NAME_CHARS)}  `;
  return `${head}${printableLines(message).replaceAll('\n', `\n${' '.repeat(head.length)}`)}\n`;
}

/** What the names of these events mean, each once. */
export function drawMeanings(events: readonly NodeEvent[]): string {
  const names = [...new Set(events.map(({ event }) => event))].sort();
  const meanings: Readonly<Record<string, string>> = LOG_EVENTS;
  const rows = names.map(
    (name) => `${printable(name).padEnd(NAME_CHARS)}  ${meanings[name] ?? 'not an event of this version'}`,
  );
  return rows.length === 0 ? '' : `\n${rows.join('\n')}\n`;
}
