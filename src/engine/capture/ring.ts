/**
 * Records on their way from a thread that forwards to the thread that passes them on, in shared memory. One writes, one reads; neither waits.
 *
 *        read            written                     positions only rise (modulo 2^32), and a record never wraps: where it
 *         v                 v                        would, a mark says that the next one is at the start
 *   |.....[rec][rec][record]......................|
 *
 * What finds no room is counted, and gone.
 */
import { L } from '../../core/layout.gen.js';

/** Positions, each in a cache line of its own. */
const WRITTEN = 0;
const READ = 16;
const POSITION_WORDS = 32;
const HEAD_BYTES = POSITION_WORDS * 4 + 8;
/** In the place of a record's length. */
const WRAP = 0xffffffff;

export class RecordRing {
  /** Where records are written: `reserve` says at which offset. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly #positions: Int32Array;
  readonly #lost: Float64Array;

  /** @param size a power of two; the room for records */
  static memory(size: number = L.CAPTURE_RING_BYTES): SharedArrayBuffer {
    return new SharedArrayBuffer(HEAD_BYTES + size);
  }

  constructor(memory: SharedArrayBuffer) {
    this.bytes = new Uint8Array(memory, HEAD_BYTES);
    this.view = new DataView(memory, HEAD_BYTES);
    this.#positions = new Int32Array(memory, 0, POSITION_WORDS);
    this.#lost = new Float64Array(memory, POSITION_WORDS * 4, 1);
  }

  /** Records, or packets that nobody looked at, that are not here. */
  get lost(): number {
    return this.#lost[0];
  }

  /** By the writer. */
  lose(): void {
    this.#lost[0]++;
  }

  /** By the writer. @param length a multiple of 8 @returns an offset into `bytes`, or -1 when there is no room (and it is counted) */
  reserve(length: number): number {
    const size = this.bytes.length;
    const written = this.#positions[WRITTEN];
    const used = (written - Atomics.load(this.#positions, READ)) >>> 0;
    const at = (written >>> 0) & (size - 1);
    const skipped = at + length > size ? size - at : 0;
    if (used + skipped + length > size) {
      this.lose();
      return -1;
    }
    if (skipped === 0) return at;
    this.view.setUint32(at, WRAP, true);
    Atomics.store(this.#positions, WRITTEN, (written + skipped) | 0);
    return 0;
  }

  /** By the writer: the record that was reserved last is whole. */
  commit(length: number): void {
    Atomics.store(this.#positions, WRITTEN, (this.#positions[WRITTEN] + length) | 0);
  }

  /** By the reader: whole records, of at most so many bytes unless the first is longer; a copy. */
  take(bytesMax: number): Uint8Array {
    const size = this.bytes.length;
    const written = Atomics.load(this.#positions, WRITTEN) >>> 0;
    const read = this.#positions[READ] >>> 0;
    let at = read & (size - 1);
    let left = (written - read) >>> 0;
    if (left > 0 && this.view.getUint32(at, true) === WRAP) {
      left -= size - at;
      at = 0;
    }
    const start = at;
    while (left > 0 && at < size) {
      const length = this.view.getUint32(at, true);
      if (length === WRAP || (at > start && at + length - start > bytesMax)) break;
      at += length;
      left -= length;
    }
    const records = this.bytes.slice(start, at);
    Atomics.store(this.#positions, READ, (written - left) | 0);
    return records;
  }
}
