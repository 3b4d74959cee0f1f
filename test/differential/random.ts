/**
 * A small seeded generator for what has to be fast: fast-check makes the frames (80 us each), this one varies them (1 us).
 * Mulberry32 (Tommy Ettinger, public domain): 32 bits of state, every seed is good.
 */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** An integer from 0 to `below` - 1. */
  below(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  }

  byte(): number {
    return this.below(256);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }
}

/** The run's seed: ANYHOP_SEED, or one that the clock gives. Whoever uses it prints it. */
export function seedOfRun(): number {
  const given = process.env['ANYHOP_SEED'];
  if (given === undefined || given === '') return Date.now() % 2 ** 31;
  const seed = Number(given);
  if (!Number.isSafeInteger(seed) || seed < 0 || seed >= 2 ** 31) {
    throw new RangeError(`ANYHOP_SEED is a whole number from 0 to ${2 ** 31 - 1}, not ${given}`);
  }
  return seed;
}
