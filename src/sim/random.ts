/** Random numbers: the flow hash of a counter. A seed gives the same numbers on every machine. */
import { flowHashPair } from '../hash/flow.js';
import { type FlowKey, flowKeyFor } from '../hash/key.js';

/** What a simulated fleet has for a secret. */
export function secretOf(seed: number): Uint8Array {
  return new Uint8Array(Int32Array.of(seed, 0, 0, 0).buffer);
}

export class Random {
  readonly #key: FlowKey;
  #count = 0;

  /** @param stream one for each purpose: streams do not influence each other */
  constructor(seed: number, stream: number) {
    this.#key = flowKeyFor(secretOf(seed), `random ${stream}`);
  }

  /** An int32. */
  bits(): number {
    return flowHashPair(this.#key, 0, this.#count++, 0);
  }

  /** An integer from 0 to `end` - 1; `end` is at most 2^32. */
  below(end: number): number {
    return Math.floor(((this.bits() >>> 0) / 2 ** 32) * end);
  }

  of<T>(values: readonly T[]): T {
    return values[this.below(values.length)];
  }
}
