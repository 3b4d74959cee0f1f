/** Times by chance, in milliseconds: how long something takes, and when something happens that happens now and then. */
import { Random } from '../random.js';

/** Half of the times are below the median, 99 of 100 below the other; log-normal, as the times of computers and networks mostly are. */
export interface Spread {
  readonly medianMs: number;
  readonly p99Ms: number;
}

/** Of the normal distribution, which 99 of 100 are below. */
const Z99 = 2.326;
const HOUR_MS = 3_600_000;

export class Chance {
  readonly #random: Random;

  /** @param stream one for each purpose, as in `Random` */
  constructor(seed: number, stream: number) {
    this.#random = new Random(seed, stream);
  }

  /** From above 0 to below 1. */
  share(): number {
    return (this.#random.below(2 ** 32) + 0.5) / 2 ** 32;
  }

  below(end: number): number {
    return this.#random.below(end);
  }

  of<T>(values: readonly T[]): T {
    return this.#random.of(values);
  }

  between(fromMs: number, toMs: number): number {
    return fromMs + (toMs - fromMs) * this.share();
  }

  /** Time to something that happens so often on the average. */
  until(meanMs: number): number {
    return -meanMs * Math.log(this.share());
  }

  spread({ medianMs, p99Ms }: Spread): number {
    if (p99Ms === medianMs) return medianMs;
    // Box and Muller
    const normal = Math.sqrt(-2 * Math.log(this.share())) * Math.cos(2 * Math.PI * this.share());
    return medianMs * (p99Ms / medianMs) ** (normal / Z99);
  }

  /** The longest of so many times. */
  greatest(count: number, spread: Spread): number {
    let most = 0;
    for (let i = 0; i < count; i++) most = Math.max(most, this.spread(spread));
    return most;
  }

  /** The moments of a time at which something happens that happens `perHour` times an hour. */
  moments(perHour: number, endMs: number): number[] {
    const found: number[] = [];
    if (perHour === 0) return found;
    for (let at = this.until(HOUR_MS / perHour); at < endMs; at += this.until(HOUR_MS / perHour))
      found.push(at);
    return found;
  }
}
