/**
 * What a node has told its log in the last hour, kept so that it can be asked for: where standard error goes is not known to
 * whoever looks at the node, and it may have been lost. Bounded in number and size; routine lines (counters, generations) are
 * left out.
 */
import type { EventsReport, NodeEvent } from '../api/api.js';
import type { Logger, LogLine } from '../core/log.js';

type Level = NodeEvent['level'];

const EVENTS_MAX = 1_000;
const KEPT_MS = 3_600_000;
const MESSAGE_CHARS_MAX = 500;
/** Of level info: each has a place of its own in the status. */
const ROUTINE: ReadonlySet<string> = new Set(['published', 'pool', 'interim_counters', 'counters']);

export class EventRing {
  readonly #now: () => Date;
  #since: Date;
  #events: { readonly atMs: number; readonly event: NodeEvent }[] = [];

  constructor(now: () => Date = () => new Date()) {
    this.#now = now;
    this.#since = now();
  }

  add(level: Level, event: string, message: string): void {
    if (level === 'info' && ROUTINE.has(event)) return;
    const at = this.#now();
    const cut = message.length > MESSAGE_CHARS_MAX ? `${message.slice(0, MESSAGE_CHARS_MAX)} ...` : message;
    this.#events.push({ atMs: at.getTime(), event: { at: at.toISOString(), level, event, message: cut } });
    // In pieces, so that a full ring is not moved for each.
    if (this.#events.length >= 2 * EVENTS_MAX) this.#events = this.#events.slice(-EVENTS_MAX);
  }

  report(): EventsReport {
    const nowMs = this.#now().getTime();
    const kept = this.#events.slice(-EVENTS_MAX).filter(({ atMs }) => nowMs - atMs <= KEPT_MS);
    const wasCut = kept.length === EVENTS_MAX;
    const sinceMs = Math.max(this.#since.getTime(), nowMs - KEPT_MS, wasCut ? kept[0].atMs : 0);
    return { since: new Date(sinceMs).toISOString(), events: kept.map(({ event }) => event) };
  }
}

/** A logger that also tells a ring what it is told, whatever level the log itself has. */
export function recorded(log: Logger, ring: EventRing): Logger {
  const both =
    (level: 'info' | 'warn' | 'error'): LogLine =>
    (fields, text) => {
      ring.add(level, fields.event, text);
      log[level](fields, text);
    };
  return { debug: log.debug.bind(log), info: both('info'), warn: both('warn'), error: both('error') };
}
