/** `docs/reference/log-events.md`: the events of the log, from the list that the log takes its names from. */
import { LOG_EVENTS } from '#anyhop/core/log-events.js';
import { cell, code, page, table } from './markdown.js';

export function logEventPage(): string {
  return page(
    'Log events',
    '`src/core/log-events.ts`',
    'The log goes to standard error: JSON, one object a line, or readable text on a terminal. `event` names what happened, `msg` says it in words, and ' +
      'other fields have the facts. Messages may change; names of events do not.',
    '    anyhop run -c anyhop.yaml 2>&1 | jq -c \'select(.event == "health")\'',
    table(
      ['event', 'meaning'],
      Object.entries(LOG_EVENTS).map(([name, meaning]) => [code(name), cell(meaning)]),
    ),
  );
}
