/**
 * Counter numbers: a name keeps its number through every image, and where the engine outlives the process also through a
 * restart, so that a counter never changes its meaning when backends or services come and go. When numbers run out, those of names that are gone
 * are given up: the names that are there get new ones, all at once, and their counts move along (counter-moves.ts).
 */
import { AnyhopError } from '../core/errors.js';

/** Numbers are 16-bit in the image. */
export const NUMBERS_MAX = 0xffff;

/** Every name that has a number, by number. Backends as `pool/backend`. */
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
      throw new AnyhopError('ERR_LIMIT', `more than ${NUMBERS_MAX} services and backends need counters`, {
        hint: 'Remove some. Each service and each backend of a pool counts, remembered ones included.',
      });
    }
    this.#byName.set(name, number);
    return number;
  }

  /** These, if there is a number for every one of them; otherwise new ones, for whoever is there. */
  roomFor(names: readonly string[], max = NUMBERS_MAX): Numbers {
    const more = names.filter((name) => !this.#byName.has(name)).length;
    return this.size + more <= max ? this : new Numbers();
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
