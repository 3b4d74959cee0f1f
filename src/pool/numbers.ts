/**
 * Counter numbers: a name keeps its number through every image, and where the engine outlives the process also through a
 * restart, so that a counter never changes its meaning when backends or services come and go. Numbers of names that are
 * gone are not given out again.
 */
import { AnyhopError } from '../core/errors.js';

/** Numbers are 16-bit in the image. */
const NUMBERS_MAX = 0xffff;

/** Every name ever numbered, by number. Backends as `pool/backend`. */
export interface CounterNames {
  readonly services: readonly string[];
  readonly backends: readonly string[];
}

export class Numbers {
  readonly #byName: Map<string, number>;

  /** @param names that have their numbers already, by number: those of a predecessor's image */
  constructor(names: readonly string[] = []) {
    this.#byName = new Map(names.map((name, number) => [name, number]));
  }

  /** @throws AnyhopError ERR_LIMIT after 65535 names */
  of(name: string): number {
    const number = this.#byName.get(name) ?? this.#byName.size;
    if (number >= NUMBERS_MAX) {
      throw new AnyhopError('ERR_LIMIT', `more than ${NUMBERS_MAX} names have been counted since the start`, {
        hint: 'Restart the process; with the engine xdp `anyhop stop` before that. Counters begin at zero then.',
      });
    }
    this.#byName.set(name, number);
    return number;
  }

  /** How many have been given out. */
  get size(): number {
    return this.#byName.size;
  }

  /** Every name ever numbered, by number. */
  names(): string[] {
    return [...this.#byName.keys()];
  }
}
