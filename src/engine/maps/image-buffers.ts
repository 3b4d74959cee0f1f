/**
 * Publishing: three buffers that XDP programs read images from, and the number of the one in force.
 *
 *     buffer   0          1          2
 *            +----------+----------+----------+
 *            | retired  | in force | free     |      live.buffer = 1
 *            +----------+----------+----------+
 *     publish: write the image into 2, then live.buffer = 2, and ask for a barrier:
 *            +----------+----------+----------+
 *            | retired  | retired  | in force |      a packet reads live.buffer once and stays with what it found,
 *            +----------+----------+----------+      so programs may be reading 1 until the barrier is over
 *                 ^           ^
 *                 free as soon as the barrier that was asked for when it was retired is over (some 8 ms)
 *
 * Lists of prefixes are published the same way, with two buffers: a publish within some 8 ms of the last one waits.
 *
 * A publish that comes after a rest finds a free buffer and waits for nothing. Many in a row wait for the oldest barrier,
 * without blocking the process; that is what makes a thousand of them safe. Only this process writes it
 * (it holds the interface's lock), and read by programs on all CPUs.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { L } from '../../core/layout.gen.js';
import { Barrier } from '../../ffi/barrier.js';
import type { MappedArray } from '../../ffi/map.js';

/** Copied at once. */
const PART_BYTES = 4 * 1024 * 1024;

export class ImageBuffers {
  readonly #images: MappedArray;
  readonly #bytes: Uint8Array;
  readonly #live: Int32Array;
  /** By buffer; undefined when no program can be reading it. */
  readonly #retired: (Barrier | undefined)[];
  #isClosed = false;

  /**
   * @param inUse programs may be reading any buffer: those of a process before this one
   * @param field of struct anyhop_live that has the number of the one in force
   */
  constructor(images: MappedArray, live: MappedArray, inUse: boolean, field: number = L.LIVE_BUFFER) {
    this.#images = images;
    this.#bytes = new Uint8Array(images.memory);
    this.#live = new Int32Array(live.memory, field, 1);
    this.#retired = Array.from({ length: images.elements }, () => (inUse ? new Barrier() : undefined));
  }

  /** Bytes that an image may have. */
  get capacity(): number {
    return this.#images.elementBytes;
  }

  /** The buffer in force, in place: it is overwritten some publishes later. */
  inForce(): Uint8Array {
    return this.#buffer(Atomics.load(this.#live, 0));
  }

  /**
   * Puts an image in force; resolves when it is. One at a time.
   * @throws RangeError when there is no room for it; Error when it was closed meanwhile
   */
  async publish(image: Uint8Array): Promise<void> {
    if (image.length > this.capacity) throw new RangeError(`no room for an image of ${image.length} bytes`);
    const before = Atomics.load(this.#live, 0);
    const buffer = await this.#free(before);
    await this.#write(buffer, image);
    Atomics.store(this.#live, 0, buffer); // orders the writes before it
    this.#retired[before] = new Barrier();
  }

  /** The memory will be gone: a publish that still waits for a buffer must not write. */
  close(): void {
    this.#isClosed = true;
  }

  /** In parts, each in a turn of the event loop of its own: lists of a million prefixes have 40 MB, which take as many ms. */
  async #write(buffer: number, image: Uint8Array): Promise<void> {
    for (let at = 0; at < image.length; at += PART_BYTES) {
      if (at > 0) await nextTurn();
      if (this.#isClosed) throw new Error('the maps were closed before the image could be published');
      this.#buffer(buffer).set(image.subarray(at, at + PART_BYTES), at);
    }
  }

  /** A buffer that no program reads: not the one in force. */
  async #free(inForce: number): Promise<number> {
    const others = this.#retired.map((_, buffer) => buffer).filter((buffer) => buffer !== inForce);
    const found = others.find((buffer) => this.#retired[buffer]?.isOver ?? true);
    if (found !== undefined) return found;
    // The one that was retired first. Barriers end in the order in which they were asked for.
    await Promise.race(others.map((buffer) => this.#retired[buffer]?.over()));
    return this.#free(inForce);
  }

  #buffer(number: number): Uint8Array {
    const bytes = this.#images.elementBytes;
    return this.#bytes.subarray(number * bytes, (number + 1) * bytes);
  }
}
