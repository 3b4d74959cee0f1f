/**
 * Reads a file or a pipe through one sliding buffer, so that a capture may be larger than memory. Synchronous, because a program
 * that reads a capture does nothing else meanwhile, and an asynchronous step per packet costs more than the packet.
 */
import { readSync } from 'node:fs';

/** Fills the start of `target` with at least one byte, and returns how many; 0 means the end. */
export type ByteSource = (target: Uint8Array) => number;

const CHUNK_BYTES = 256 * 1024;

export class ByteReader {
  readonly #source: ByteSource;
  #buffer = new Uint8Array(CHUNK_BYTES);
  #start = 0;
  #end = 0;
  #offset = 0;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  /** Position in the file: bytes taken or skipped so far. */
  get offset(): number {
    return this.#offset;
  }

  /** The next `length` bytes, fewer only at the end of the file. The view is valid until the next call. */
  take(length: number): Uint8Array {
    this.#fill(length);
    const taken = Math.min(length, this.#end - this.#start);
    const view = this.#buffer.subarray(this.#start, this.#start + taken);
    this.#start += taken;
    this.#offset += taken;
    return view;
  }

  /** The same without taking them. */
  peek(length: number): Uint8Array {
    this.#fill(length);
    return this.#buffer.subarray(this.#start, Math.min(this.#start + length, this.#end));
  }

  /** Skips the next `length` bytes without buffering them; returns how many there were. */
  skip(length: number): number {
    let left = length;
    while (left > 0) {
      const taken = this.take(Math.min(left, CHUNK_BYTES)).length;
      if (taken === 0) break;
      left -= taken;
    }
    return length - left;
  }

  #fill(length: number): void {
    if (this.#end - this.#start >= length) return;
    if (length > this.#buffer.length) {
      const larger = new Uint8Array(length);
      larger.set(this.#buffer.subarray(this.#start, this.#end));
      this.#buffer = larger;
    } else {
      this.#buffer.copyWithin(0, this.#start, this.#end);
    }
    this.#end -= this.#start;
    this.#start = 0;
    while (this.#end < length) {
      const got = this.#source(this.#buffer.subarray(this.#end));
      if (got === 0) return;
      this.#end += got;
    }
  }
}

/** Reads an open file descriptor. */
export function descriptorSource(descriptor: number): ByteSource {
  return (target) => {
    for (;;) {
      try {
        return readSync(descriptor, target, 0, target.length, null);
      } catch (error) {
        if (!isBusy(error)) throw error;
        pause();
      }
    }
  };
}

/** Whether a non-blocking pipe has no data, or no room, at the moment. */
export function isBusy(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'EAGAIN';
}

/** Waits a millisecond for the other end of a pipe. */
export function pause(): void {
  Atomics.wait(PAUSE, 0, 0, 1);
}
const PAUSE = new Int32Array(new SharedArrayBuffer(4));
