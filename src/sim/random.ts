/** Random numbers from a seed: the flow hash of a counter. The same seed gives the same numbers on every machine. */
import { flowHashPair } from '../hash/flow.js';

export class Random {
  readonly #seed: number;
  readonly #stream: number;
  #count = 0;

  /** @param stream numbers of one purpose do not depend on how many another one has drawn */
  constructor(seed: number, stream: number) {
    this.#seed = seed | 0;
    this.#stream = stream | 0;
  }

  /** 32 bits, as int32. */
  bits(): number {
    return flowHashPair(this.#seed, this.#stream, this.#count++, 0);
  }

  /** An integer from 0 to `end`, `end` excluded; `end` is at most 2^32. */
  below(end: number): number {
    return Math.floor(((this.bits() >>> 0) / 2 ** 32) * end);
  }

  /** One of `values`, which are not empty. */
  of<T>(values: readonly T[]): T {
    return values[this.below(values.length)];
  }
}
