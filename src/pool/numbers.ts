/**
 * Counter numbers: a name keeps its number for as long as the process lives, through every image, so that a counter never
 * changes its meaning when backends or services come and go. Numbers of names that are gone are not given out again.
 */
import { AnyhopError } from '../core/errors.js';

/** Numbers are 16-bit in the image. */
const NUMBERS_MAX = 0xffff;

export class Numbers {
  readonly #byName = new Map<string, number>();

  /** @throws AnyhopError ERR_LIMIT after 65535 names */
  of(name: string): number {
    const number = this.#byName.get(name) ?? this.#byName.size;
    if (number >= NUMBERS_MAX) {
      throw new AnyhopError('ERR_LIMIT', `more than ${NUMBERS_MAX} names have been counted since the start`, {
        hint: 'Restart the process; counters begin at zero then.',
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
