/**
 * Events of a process that learns from its config where they are kept: in its run directory, beside its socket. That is memory on most
 * hosts, so they outlive the process and not the machine.
 */
import { EVENTS_RUN_SEGMENT_BYTES_MAX } from '../core/limits.js';
import type { Logger } from '../core/log.js';
import { type EventLevel, type RecordedLine, recordedBy } from './recorded.js';
import { EventStore } from './store.js';

export interface RunPlace {
  /** Absolute; the process makes it within a second. */
  readonly directory: string;
  /** Of the files. */
  readonly name: string;
  /** The config field that names another directory. */
  readonly field: string;
}

export class LateEvents {
  /** Also tells the events what it is told. */
  readonly log: Logger;
  readonly #outer: Logger;
  #before: RecordedLine[] = [];
  #store: EventStore | undefined;

  constructor(log: Logger) {
    this.#outer = log;
    this.log = recordedBy(log, (level: EventLevel, event, text) => {
      if (this.#store === undefined) this.#before.push([level, event, text]);
      else this.#store.note(level, event, text);
    });
  }

  /** The place is known; only the first one counts. */
  keepIn(place: RunPlace): void {
    if (this.#store !== undefined) return;
    const options = { isShared: true, segmentBytes: EVENTS_RUN_SEGMENT_BYTES_MAX, log: this.#outer };
    this.#store = new EventStore({ ...place, ...options });
    for (const line of this.#before.splice(0)) this.#store.note(...line);
  }

  /** Runs the process, and keeps how it ends. */
  async during<T>(run: () => Promise<T>): Promise<T> {
    try {
      const result = await run();
      await this.#store?.close();
      return result;
    } catch (error) {
      await this.#store?.close(error);
      throw error;
    }
  }
}
