/**
 * Counters that XDP programs keep, each CPU in its own block, and one block more, which is user space's: what was counted
 * by programs and maps that are gone. The total is the sum over all blocks.
 *
 *     block    CPU 0        CPU 1        ...   carried
 *            +------------+------------+-----+------------+
 *            | verdicts   | verdicts   |     | verdicts   |   anyhop_counters
 *            | services   | services   |     | services   |   packets and bytes of each, by counter number
 *            | backends   | backends   |     | backends   |
 *            | guarded    | guarded    |     | guarded    |   anyhop_guarded of each service; former versions have none
 *            +------------+------------+-----+------------+
 *
 * Read as 64-bit integers: two 32-bit halves could belong to two different moments.
 */
import { L, VERDICTS } from '../../core/layout.gen.js';
import type { MappedArray } from '../../ffi/map.js';
import { COUNTED_KINDS, COUNTERS_PER_ENTRY, Counters } from '../../forward/counters.js';
import { type ForwardSizes, guardedAt } from './sizes.js';

const WORD_BYTES = 8;

export class CounterBlocks {
  readonly #words: BigUint64Array;
  readonly #blocks: number;
  readonly #blockWords: number;
  /** Where in a block each kind begins. */
  readonly #starts: Readonly<Record<'verdicts' | (typeof COUNTED_KINDS)[number], number>>;
  readonly #kinds: readonly ('verdicts' | (typeof COUNTED_KINDS)[number])[];

  constructor(counters: MappedArray, sizes: ForwardSizes) {
    this.#words = new BigUint64Array(counters.memory);
    this.#blocks = counters.elements;
    this.#blockWords = counters.elementBytes / WORD_BYTES;
    const services = L.SIZEOF_COUNTERS / WORD_BYTES;
    this.#starts = {
      verdicts: 0,
      services,
      backends: services + sizes.services * COUNTERS_PER_ENTRY,
      guarded: guardedAt(sizes) / WORD_BYTES,
    };
    const hasGuarded =
      this.#starts.guarded + sizes.services * L.GUARDED_KINDS <= this.#blockWords && sizes.services > 0;
    this.#kinds = (['verdicts', ...COUNTED_KINDS] as const).filter(
      (kind) => kind !== 'guarded' || hasGuarded,
    );
  }

  /** The sum over all blocks. @param services how many of them, and of the backends, are in use */
  read(services: number, backends: number): Counters {
    const sum = new Counters();
    sum.grow(services, backends);
    for (let block = 0; block < this.#blocks; block++) {
      for (const kind of this.#kinds)
        this.#add(sum[kind], block * this.#blockWords + this.#starts[kind], kind);
    }
    return sum;
  }

  /** Writes what has been carried over, in the place of what stood there. */
  carry(counters: Counters): void {
    const start = (this.#blocks - 1) * this.#blockWords;
    for (const kind of this.#kinds) this.#write(counters[kind], start + this.#starts[kind]);
  }

  /** Takes back what a program has counted of frames that never came in. */
  uncount(counters: Counters): void {
    const start = (this.#blocks - 1) * this.#blockWords;
    for (const kind of this.#kinds) this.#subtract(counters[kind], start + this.#starts[kind]);
  }

  /** The sum over all blocks of any verdict, also one that this program does not know. */
  verdict(number: number): number {
    let sum = 0;
    for (let block = 0; block < this.#blocks; block++)
      sum += signed(this.#words[block * this.#blockWords + number]);
    return sum;
  }

  #add(sum: Float64Array, start: number, kind: string): void {
    for (let i = 0; i < sum.length; i++) {
      if (kind === 'guarded' && i % L.GUARDED_KINDS > L.GUARDED_LAST) continue; // no counts
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
