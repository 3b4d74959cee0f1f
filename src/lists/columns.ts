/**
 * Many prefixes in little room: numbers in typed arrays, no object for each. A million of IPv4 are 5 MB, of IPv6 17 MB. The memory is
 * shared, so that a worker thread and the main one pass it to and fro without a copy.
 */
import type { IpPrefix } from '../packet/address.js';

/** Columns that are filled, as they go from one thread to another. */
export interface Prefixes {
  /** A word for each of IPv4, the first byte the highest; four for each of IPv6. Host bits are zero. */
  readonly words4: Uint32Array;
  readonly lengths4: Uint8Array;
  readonly words6: Uint32Array;
  readonly lengths6: Uint8Array;
}

const ROOM_MIN = 64;

export const NO_PREFIXES: Prefixes = {
  words4: new Uint32Array(),
  lengths4: new Uint8Array(),
  words6: new Uint32Array(),
  lengths6: new Uint8Array(),
};

export function prefixCount({ lengths4, lengths6 }: Prefixes): number {
  return lengths4.length + lengths6.length;
}

export function samePrefixes(one: Prefixes, other: Prefixes): boolean {
  const columns = ['words4', 'lengths4', 'words6', 'lengths6'] as const;
  return columns.every((column) => bytesOf(one[column]).equals(bytesOf(other[column])));
}

/** In place. */
export function bytesOf({ buffer, byteOffset, byteLength }: Uint8Array | Uint32Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

export class PrefixColumns {
  #words4 = new Uint32Array(ROOM_MIN);
  #lengths4 = new Uint8Array(ROOM_MIN);
  #count4 = 0;
  #words6 = new Uint32Array(4 * ROOM_MIN);
  #lengths6 = new Uint8Array(ROOM_MIN);
  #count6 = 0;

  static of(prefixes: Iterable<IpPrefix>): Prefixes {
    const columns = new PrefixColumns();
    for (const prefix of prefixes) columns.add(prefix);
    return columns.filled();
  }

  get count(): number {
    return this.#count4 + this.#count6;
  }

  add({ address: { family, bytes }, length }: IpPrefix): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    if (family === 4) this.add4(view.getUint32(0), length);
    else this.add6(view.getUint32(0), view.getUint32(4), view.getUint32(8), view.getUint32(12), length);
  }

  add4(word: number, length: number): void {
    if (this.#count4 === this.#lengths4.length) {
      this.#words4 = larger(this.#words4);
      this.#lengths4 = larger(this.#lengths4);
    }
    this.#words4[this.#count4] = word;
    this.#lengths4[this.#count4++] = length;
  }

  add6(w0: number, w1: number, w2: number, w3: number, length: number): void {
    if (this.#count6 === this.#lengths6.length) {
      this.#words6 = larger(this.#words6);
      this.#lengths6 = larger(this.#lengths6);
    }
    const at = this.#count6 * 4;
    const words = this.#words6;
    words[at] = w0;
    words[at + 1] = w1;
    words[at + 2] = w2;
    words[at + 3] = w3;
    this.#lengths6[this.#count6++] = length;
  }

  /** What has been added, in shared memory. */
  filled(): Prefixes {
    return {
      words4: new Uint32Array(shared(this.#words4.subarray(0, this.#count4))),
      lengths4: new Uint8Array(shared(this.#lengths4.subarray(0, this.#count4))),
      words6: new Uint32Array(shared(this.#words6.subarray(0, this.#count6 * 4))),
      lengths6: new Uint8Array(shared(this.#lengths6.subarray(0, this.#count6))),
    };
  }
}

function larger<T extends Uint8Array | Uint32Array>(array: T): T {
  const next = new (array.constructor as new (length: number) => T)(array.length * 2);
  next.set(array);
  return next;
}

function shared(array: Uint8Array | Uint32Array): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(array.byteLength);
  new Uint8Array(memory).set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  return memory;
}
