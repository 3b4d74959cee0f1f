/**
 * Counters that XDP programs keep, each CPU in its own block, and one block more, which is user space's: what was counted
 * by programs and maps that are gone. The total is the sum over all blocks.
 *
 *     block    CPU 0        CPU 1        ...   carried
 *            +------------+------------+-----+------------+
 *            | verdicts   | verdicts   |     | verdicts   |   anyhop_counters
 *            | services   | services   |     | services   |   packets and bytes of each, by counter number
 *            | backends   | backends   |     | backends   |
 *            +------------+------------+-----+------------+
 *
 * Read as 64-bit integers: two 32-bit halves could belong to two different moments.
 */
import { L, VERDICTS } from '../../core/layout.gen.js';
import type { MappedArray } from '../../ffi/map.js';
import { COUNTERS_PER_ENTRY, Counters } from '../../forward/counters.js';
import type { ForwardSizes } from './sizes.js';

const WORD_BYTES = 8;

export class CounterBlocks {
  readonly #words: BigUint64Array;
  readonly #blocks: number;
  readonly #blockWords: number;
  /** Where the first service and the first backend stand in a block. */
  readonly #services = L.SIZEOF_COUNTERS / WORD_BYTES;
  readonly #backends: number;

  constructor(counters: MappedArray, sizes: ForwardSizes) {
    this.#words = new BigUint64Array(counters.memory);
    this.#blocks = counters.elements;
    this.#blockWords = counters.elementBytes / WORD_BYTES;
    this.#backends = this.#services + sizes.services * COUNTERS_PER_ENTRY;
  }

  /** The sum over all blocks. @param services how many of them, and of the backends, are in use */
  read(services: number, backends: number): Counters {
    const sum = new Counters();
    sum.grow(services, backends);
    for (let block = 0; block < this.#blocks; block++) {
      const start = block * this.#blockWords;
      this.#add(sum.verdicts, start);
      this.#add(sum.services, start + this.#services);
      this.#add(sum.backends, start + this.#backends);
    }
    return sum;
  }

  /** Writes what has been carried over, in the place of what stood there. */
  carry(counters: Counters): void {
    const start = (this.#blocks - 1) * this.#blockWords;
    this.#write(counters.verdicts, start);
    this.#write(counters.services, start + this.#services);
    this.#write(counters.backends, start + this.#backends);
  }

  /** Takes back what a program has counted of frames that never came in. */
  uncount(counters: Counters): void {
    const start = (this.#blocks - 1) * this.#blockWords;
    this.#subtract(counters.verdicts, start);
    this.#subtract(counters.services, start + this.#services);
    this.#subtract(counters.backends, start + this.#backends);
  }

  /** The sum over all blocks of any verdict, also one that this program does not know. */
  verdict(number: number): number {
    let sum = 0;
    for (let block = 0; block < this.#blocks; block++)
      sum += signed(this.#words[block * this.#blockWords + number]);
    return sum;
  }

  #add(sum: Float64Array, start: number): void {
    for (let i = 0; i < sum.length; i++) {
      const count = this.#words[start + i];
      if (count !== 0n) sum[i] += signed(count);
    }
  }

  #write(values: Float64Array, start: number): void {
    for (let i = 0; i < values.length; i++) this.#words[start + i] = BigInt(values[i]);
  }

  #subtract(values: Float64Array, start: number): void {
    for (const [i, value] of values.entries()) if (value !== 0) this.#words[start + i] -= BigInt(value);
  }
}

/** User space's block can be below zero, when more was taken back than it had carried. */
function signed(count: bigint): number {
  return Number(BigInt.asIntN(64, count));
}

if (VERDICTS.length > L.VERDICTS_MAX) throw new RangeError('more verdicts than a block has room for');
