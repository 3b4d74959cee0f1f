/**
 * The events of a process: what it tells its log, but for routine, in memory for who asks (ring.ts) and on disk for who comes after it
 * is gone (journal.ts). A new process begins with what those before it kept, and says when no end of the last one is kept, as after a kill.
 */
import { EVENTS_ANSWERED_MAX } from '../core/limits.js';
import type { Logger } from '../core/log.js';
import type { LogEventName } from '../core/log-events.js';
import { clockTime } from '../core/time.js';
import { VERSION } from '../core/version.js';
import { type EventLevel, type EventsReport, makeEvent, type NodeEvent } from './event.js';
import { EventJournal, type JournalOptions } from './journal.js';
import { recordedBy } from './recorded.js';
import { EventRing, type EventsQuery } from './ring.js';
import { type KeptEvents, readKept, segmentPath } from './segments.js';

/** The first and the last one of a process: in no log, since a service manager says it there. */
const STARTED = 'process_started' satisfies LogEventName;
const ENDED = 'process_ended' satisfies LogEventName;

export class EventStore {
  readonly #now: () => Date;
  readonly #file: string;
  readonly #ring: EventRing;
  readonly #journal: EventJournal;

  /** Reads what is kept, once. */
  constructor(options: JournalOptions) {
    const { directory, name, now = () => new Date() } = options;
    this.#now = now;
    this.#file = segmentPath(directory, name);
    const kept = readKept(directory, name, { nowMs: now().getTime(), most: EVENTS_ANSWERED_MAX });
    this.#ring = new EventRing(now, kept.events);
    this.#journal = new EventJournal(options);
    this.note('info', STARTED, `anyhop ${VERSION} starts, process ${process.pid}${afterword(kept)}`);
  }

  /** A logger that also tells this store what it is told, whatever level the log itself has. */
  recorded(log: Logger): Logger {
    return recordedBy(log, this.note.bind(this));
  }

  report(query?: EventsQuery): EventsReport {
    return { ...this.#ring.report(query), kept: this.#file };
  }

  /** The process ends. @param error what it ends by; undefined when it was asked to */
  async close(error?: unknown): Promise<void> {
    const why = error === undefined ? '' : `: ${error instanceof Error ? error.message : String(error)}`;
    this.note(error === undefined ? 'info' : 'error', ENDED, `process ${process.pid} ends${why}`);
    await this.#journal.close();
  }

  note(level: EventLevel, event: LogEventName, text: string): void {
    const made: NodeEvent = makeEvent(this.#now(), level, event, text);
    this.#ring.add(made);
    this.#journal.add(made, event === STARTED || event === ENDED);
  }
}

/** What the files say of the process before. */
function afterword({ events, torn, problems }: KeptEvents): string {
  const last = events.at(-1);
  const wasKilled = last !== undefined && last.event !== ENDED;
  return [
    ...(wasKilled ? [`no end of the one before is kept, its last event is of ${clockTime(last.at)}`] : []),
    ...(torn === 0 ? [] : [`${torn} kept ${torn === 1 ? 'line is' : 'lines are'} no events`]),
    ...problems.map((problem) => `events cannot be read: ${problem}`),
  ]
    .map((each) => `; ${each}`)
    .join('');
}
