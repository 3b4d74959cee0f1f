/**
 * What HAProxy says on standard error: lines of bounded length, the newest kept to explain a failure, and logged at a bounded rate,
 * since a fleet of servers that goes down at once makes thousands. What HAProxy says of every reload is only for debugging.
 */
import { HAPROXY_MESSAGE_CHARS_MAX } from '../../core/limits.js';
import type { Logger, LogLine } from '../../core/log.js';
import { printable } from '../../core/printable.js';
import { type HaproxyMessage, readMessage, readMessages } from './problems.js';

const LINES_KEPT = 1000;
/** Longer ones are cut; the rest of such a line is dropped. */
const LINE_CHARS_MAX = 4096;
const LOGGED_PER_WINDOW = 100;
const WINDOW_MS = 10_000;
/** They come with every reload or stop, or were reported when the config was checked. */
const ROUTINE =
  /^(?:config : |Proxy .* stopped \(|(?:Paused|Resumed) |(?:Former|Current) worker .* exited with code 0 |Exiting Master process|All workers exited\. Exiting\.\.\. \(0\))/;

export class Journal {
  readonly #log: Logger;
  readonly #lines: string[] = [];
  /** Lines that have been dropped from the front of `#lines`. */
  #dropped = 0;
  #rest = '';
  #isCut = false;
  #say: LogLine | undefined;
  #windowStart = Number.NEGATIVE_INFINITY;
  #logged = 0;
  #unsaid = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Some text of the stream, in any pieces. */
  take(text: string): void {
    const parts = text.split('\n');
    const last = parts.pop()!;
    for (const part of parts) {
      this.#add(this.#rest + part);
      this.#rest = '';
      this.#isCut = false;
    }
    if (this.#isCut) return;
    this.#rest += last.slice(0, LINE_CHARS_MAX);
    this.#isCut = this.#rest.length >= LINE_CHARS_MAX;
  }

  /** A place in the journal: `since` gives what came after it. */
  mark(): number {
    return this.#dropped + this.#lines.length;
  }

  since(mark: number): HaproxyMessage[] {
    return readMessages(this.#lines.slice(Math.max(0, mark - this.#dropped)).join('\n'));
  }

  #add(whole: string): void {
    const line = whole.slice(0, LINE_CHARS_MAX);
    this.#lines.push(line);
    if (this.#lines.length > LINES_KEPT) {
      this.#lines.shift();
      this.#dropped++;
    }
    const message = readMessage(line);
    if (message !== undefined) this.#say = levelOf(this.#log, message);
    const say = this.#say ?? this.#log.warn;
    if (say === this.#log.debug || this.#mayLog())
      say.call(
        this.#log,
        { event: 'haproxy', ...(message !== undefined && { process: message.pid }) },
        printable(message?.text ?? line.trim(), HAPROXY_MESSAGE_CHARS_MAX),
      );
  }

  #mayLog(): boolean {
    const nowMs = performance.now();
    if (nowMs - this.#windowStart > WINDOW_MS) {
      const unsaid = this.#unsaid;
      this.#windowStart = nowMs;
      this.#logged = 0;
      this.#unsaid = 0;
      if (unsaid > 0)
        this.#log.warn({ event: 'haproxy', unsaid }, `${unsaid} more messages of HAProxy were not logged`);
    }
    if (this.#logged < LOGGED_PER_WINDOW) {
      this.#logged++;
      return true;
    }
    this.#unsaid++;
    return false;
  }
}

function levelOf(log: Logger, { level, text }: HaproxyMessage): LogLine {
  if (level === 'ALERT') return log.error;
  return level === 'WARNING' && !ROUTINE.test(text) ? log.warn : log.debug;
}
