/**
 * The worker's questions to the main thread: one at a time, and one sample for all who ask within a second. So any number of scrapers
 * costs the main thread one sample a second.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { WEB_SAMPLE_MS, WEB_SAMPLE_TIMEOUT_MS } from '../core/limits.js';
import { formatDuration } from '../core/time.js';
import { TableReceiver } from '../metrics/mail.js';
import type { MetricTable } from '../metrics/table.js';
import type { SampleMail } from './mail.js';

export interface Sample extends Omit<SampleMail, 'tables' | 'numbers'> {
  readonly tables: readonly MetricTable[];
  /** How long the question waited until the main thread heard it. */
  readonly delayMs: number;
}

/** Why there is no sample, for whoever asked. */
export class NoSample extends Error {}

export class Samples {
  readonly #ask: (id: number) => void;
  readonly #receiver = new TableReceiver();
  #id = 0;
  #askedMs = 0;
  #settle: { readonly take: (sample: Sample) => void; readonly fail: (why: NoSample) => void } | undefined;
  #latest: Promise<Sample> | undefined;
  #latestMs = Number.NEGATIVE_INFINITY;

  /** @param ask asks the main thread */
  constructor(ask: (id: number) => void) {
    this.#ask = ask;
  }

  /** @throws NoSample when the main thread does not answer in time, or cannot tell */
  now(): Promise<Sample> {
    const nowMs = performance.now();
    if (this.#latest === undefined || nowMs - this.#latestMs >= WEB_SAMPLE_MS) {
      this.#latestMs = nowMs;
      this.#latest = this.#next();
      // What failed is asked for again by the next one.
      this.#latest.catch(() => {
        this.#latest = undefined;
      });
    }
    return this.#latest;
  }

  /** @param mail the main thread's answer, or why there is none */
  take(id: number, mail: SampleMail | string): void {
    // Also of an answer that comes too late: label sets come only once.
    const taken = typeof mail === 'string' ? new NoSample(mail) : this.#unpack(mail);
    if (id !== this.#id || this.#settle === undefined) return;
    const { take, fail } = this.#settle;
    this.#settle = undefined;
    if (taken instanceof NoSample) fail(taken);
    else take(taken);
  }

  #unpack({ tables, numbers, ...rest }: SampleMail): Sample {
    const delayMs = Math.max(performance.now() - this.#askedMs - rest.collectMs, 0);
    return { ...rest, tables: this.#receiver.unpack({ tables, numbers }), delayMs };
  }

  async #next(): Promise<Sample> {
    this.#askedMs = performance.now();
    const answer = new Promise<Sample>((take, fail) => {
      this.#settle = { take, fail };
    });
    this.#ask(++this.#id);
    const timer = new AbortController();
    const late = wait(WEB_SAMPLE_TIMEOUT_MS, undefined, { signal: timer.signal }).then((): never => {
      throw new NoSample(`the process did not answer within ${formatDuration(WEB_SAMPLE_TIMEOUT_MS)}`);
    });
    late.catch(() => undefined);
    try {
      return await Promise.race([answer, late]);
    } finally {
      timer.abort();
    }
  }
}
