/** Random numbers: the flow hash of a counter. A seed gives the same numbers on every machine. */
import { flowHashPair } from '../hash/flow.js';

export class Random {
  readonly #seed: number;
  readonly #stream: number;
  #count = 0;

  /** @param stream one for each purpose: streams do not influence each other */
  constructor(seed: number, stream: number) {
    this.#seed = seed | 0;
    this.#stream = stream | 0;
  }

  /** An int32. */
  bits(): number {
    return flowHashPair(this.#seed, this.#stream, this.#count++, 0);
  }

  /** An integer from 0 to `end` - 1; `end` is at most 2^32. */
  below(end: number): number {
    return Math.floor(((this.bits() >>> 0) / 2 ** 32) * end);
  }

  of<T>(values: readonly T[]): T {
    return values[this.below(values.length)];
  }
}
