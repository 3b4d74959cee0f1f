/** A log that keeps its lines. */
import { pino } from 'pino';

export interface Line {
  readonly event: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export function keptLog() {
  const lines: Line[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  return { log, lines };
}
