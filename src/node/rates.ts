/**
 * Rates out of counters: a look at them each second, and the difference to the last look that is at least that old. So
 * whoever asks gets rates over one to two seconds at once, and asking changes nothing.
 */
import type { Counters } from '../forward/counters.js';

const INTERVAL_MS = 1_000;

/** Counters at one moment, copied. */
export interface Sample {
  readonly atMs: number;
  readonly verdicts: Float64Array;
  readonly services: Float64Array;
  readonly backends: Float64Array;
}

export class Rates {
  readonly #read: () => Counters;
  readonly #now: () => number;
  readonly #timer: NodeJS.Timeout;
  #older: Sample;
  #newer: Sample;

  /** @param now milliseconds that never go back */
  constructor(read: () => Counters, now: () => number = () => performance.now()) {
    this.#read = read;
    this.#now = now;
    this.#older = this.#newer = this.sample();
    this.#timer = setInterval(() => this.tick(), INTERVAL_MS).unref();
  }

  tick(): void {
    this.#older = this.#newer;
    this.#newer = this.sample();
  }

  sample(): Sample {
    const { verdicts, services, backends } = this.#read();
    return {
      atMs: this.#now(),
      verdicts: verdicts.slice(),
      services: services.slice(),
      backends: backends.slice(),
    };
  }

  /** Counters as they are, and a function that gives a counter's rate: events a second, 0 when no time has passed. */
  now(): { sample: Sample; rate: (kind: 'verdicts' | 'services' | 'backends', index: number) => number } {
    const sample = this.sample();
    // Names with new numbers: their rates begin again.
    const isRenumbered = (['services', 'backends'] as const).some(
      (kind) => sample[kind].length < this.#older[kind].length,
    );
    if (isRenumbered) this.#older = this.#newer = sample;
    const since = this.#older;
    const seconds = (sample.atMs - since.atMs) / 1000;
    return {
      sample,
      rate: (kind, index) => {
        const before = since[kind][index] ?? 0; // one that came since began at 0
        return seconds <= 0 ? 0 : ((sample[kind][index] ?? 0) - before) / seconds;
      },
    };
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
