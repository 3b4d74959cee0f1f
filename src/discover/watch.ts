/** Asks one source again and again, and keeps what it said last. */
import { reasonOf } from '../core/reason.js';
import { Rerun } from '../core/rerun.js';
import type { Found, Source } from './answer.js';
import { Debounce } from './debounce.js';

/** After a failure. */
const RETRY_MS = 5_000;
/** What the source changes in several steps is asked for once. */
const GATHER_MS = 50;

export interface SourceWatchOptions {
  readonly source: Source;
  readonly debounceMs: number;
  /** Names that the group has. */
  readonly known: () => Iterable<string>;
  /** There is an answer, or a failure. */
  readonly heard: () => void;
  readonly now: () => number;
}

export class SourceWatch {
  readonly #options: SourceWatchOptions;
  readonly #debounce: Debounce;
  readonly #abort = new AbortController();
  readonly #asks = new Rerun(() => this.#ask());
  readonly #unwatch: () => void;
  #timer: NodeJS.Timeout | undefined;
  #found: readonly Found[] | undefined;
  #failure: string | undefined;
  #answeredAt: Date | undefined;

  constructor(options: SourceWatchOptions) {
    this.#options = options;
    this.#debounce = new Debounce(options.debounceMs);
    this.#unwatch = options.source.watch?.(() => this.#arm(GATHER_MS)) ?? (() => undefined);
    void this.#asks.ask();
  }

  get words(): string {
    return this.#options.source.words;
  }

  /** The last answer, whatever came after it. */
  get found(): readonly Found[] | undefined {
    return this.#found;
  }

  /** Why there was none when it was asked last. */
  get failure(): string | undefined {
    return this.#failure;
  }

  get answeredAt(): Date | undefined {
    return this.#answeredAt;
  }

  /** Whether a name may be acted on; undefined while nothing may. */
  holds(): ((name: string) => boolean) | undefined {
    return this.#debounce.holds(this.#options.now());
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#unwatch();
    this.#abort.abort();
    await this.#asks.idle();
  }

  #arm(ms: number): void {
    clearTimeout(this.#timer);
    if (!this.#abort.signal.aborted) this.#timer = setTimeout(() => void this.#asks.ask(), ms).unref();
  }

  async #ask(): Promise<void> {
    const { source, heard, known, now } = this.#options;
    let againMs = RETRY_MS;
    try {
      const answer = await source.ask(this.#abort.signal);
      if (this.#abort.signal.aborted) return;
      againMs = answer.againMs;
      this.#found = answer.found;
      this.#failure = undefined;
      this.#answeredAt = new Date();
      this.#debounce.heard(answer.found, known(), now());
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      this.#failure = reasonOf(error);
    }
    this.#arm(againMs);
    heard();
  }
}
