/**
 * The newest events in memory, for whoever asks the process: bounded in number, size and age. Each has a number, so that who follows
 * them asks for those after the last one that it has.
 */
import { EVENTS_ANSWERED_MAX, EVENTS_KEPT_MS } from '../core/limits.js';
import type { EventsReport, NodeEvent } from './event.js';

/** Of an answer that says nothing else. */
const ANSWERED_MS = 3_600_000;

export interface EventsQuery {
  /** Milliseconds since 1970; the last hour when left out. */
  readonly sinceMs?: number | undefined;
  /** Only events with a higher number. */
  readonly after?: number | undefined;
}

export class EventRing {
  readonly #now: () => Date;
  readonly #started: string;
  #sinceMs: number;
  #events: { readonly atMs: number; readonly event: NodeEvent }[] = [];
  #newest = 0;
  /** Older ones than those here were left out. */
  #isCut: boolean;

  /** @param earlier what processes before this one kept, the oldest first; none of theirs is missing from its first one on */
  constructor(now: () => Date = () => new Date(), earlier: readonly NodeEvent[] = []) {
    this.#now = now;
    this.#started = now().toISOString();
    this.#sinceMs = Math.min(now().getTime(), ...earlier.slice(0, 1).map(({ at }) => Date.parse(at)));
    this.#isCut = earlier.length >= EVENTS_ANSWERED_MAX;
    for (const event of earlier) this.add(event);
  }

  add(event: NodeEvent): void {
    this.#events.push({ atMs: Date.parse(event.at), event });
    this.#newest++;
    // In pieces, so that a full ring is not moved for each.
    if (this.#events.length < 2 * EVENTS_ANSWERED_MAX) return;
    this.#events = this.#events.slice(-EVENTS_ANSWERED_MAX);
    this.#isCut = true;
    this.#sinceMs = Math.max(this.#sinceMs, this.#events[0].atMs);
  }

  report({ sinceMs, after = 0 }: EventsQuery = {}): EventsReport {
    const nowMs = this.#now().getTime();
    const asked = Math.max(sinceMs ?? nowMs - ANSWERED_MS, nowMs - EVENTS_KEPT_MS);
    const kept = this.#events.slice(-EVENTS_ANSWERED_MAX);
    const isShort = kept.length < this.#events.length;
    const first = this.#newest - kept.length + 1;
    const fromMs = Math.max(this.#sinceMs, asked, isShort ? kept[0].atMs : 0);
    return {
      since: new Date(fromMs).toISOString(),
      events: kept.flatMap(({ atMs, event }, index) =>
        atMs >= asked && first + index > after ? [event] : [],
      ),
      newest: this.#newest,
      pid: process.pid,
      started: this.#started,
      ...(fromMs > asked && (this.#isCut || isShort) && { isCut: true as const }),
    };
  }
}
