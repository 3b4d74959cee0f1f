/**
 * Counter numbers. A name keeps its number in every image, and across restarts if the engine outlives the process, so a counter
 * never changes its meaning when backends or services come and go. When numbers run out, the present names get new ones all at
 * once, and their counts move along (counter-moves.ts).
 */
import { AnyhopError } from '../core/errors.js';

/** Numbers are 16-bit in the image. */
export const NUMBERS_MAX = 0xffff;

/** Names by number. A backend is `pool/backend`. */
export interface CounterNames {
  readonly services: readonly string[];
  readonly backends: readonly string[];
}

export class Numbers {
  readonly #byName: Map<string, number>;

  /** @param names by number, from a predecessor's image */
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

  /** These numbers if every name has one or can get one; otherwise new numbers for these names only. */
  roomFor(names: readonly string[], max = NUMBERS_MAX): Numbers {
    const more = names.filter((name) => !this.#byName.has(name)).length;
    return this.size + more <= max ? this : new Numbers();
  }

  get size(): number {
    return this.#byName.size;
  }

  names(): string[] {
    return [...this.#byName.keys()];
  }
}
