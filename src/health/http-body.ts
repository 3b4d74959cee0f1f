/** The body of an answer to a check, searched as it comes: its first HEALTH_BODY_BYTES_MAX bytes and no more. */
import { HEALTH_BODY_BYTES_MAX } from '../core/limits.js';

export type HttpFraming =
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'until_close' };

/** Whether the body holds what is expected; a text says what is wrong with it. Undefined: not known yet. */
export type Found = boolean | string | undefined;

const LF = 0x0a;
const CR = 0x0d;
/** Longer than any body that is read. */
const CHUNK_BYTES_MAX = 2 ** 32;

const enum Part {
  SIZE = 0,
  /** Extensions, to the end of the line of the size. */
  SIZE_END = 1,
  DATA = 2,
  DATA_END = 3,
}

export class HttpBody {
  readonly #framing: HttpFraming;
  readonly #expected: Buffer;
  readonly #bytes: Buffer;
  #length = 0;
  #part = Part.SIZE;
  #digits = 0;
  /** Of the chunk, what is still to come. */
  #chunkBytes = 0;
  #isComplete: boolean;
  #isBroken = false;

  constructor(framing: HttpFraming, expected: Buffer) {
    this.#framing = framing;
    this.#expected = expected;
    const length = framing.kind === 'length' ? framing.bytes : HEALTH_BODY_BYTES_MAX;
    this.#bytes = Buffer.allocUnsafe(Math.min(length, HEALTH_BODY_BYTES_MAX));
    this.#isComplete = length === 0;
  }

  /** Takes what one read brought, and searches once. */
  add(data: Buffer): Found {
    const before = this.#length;
    if (this.#framing.kind === 'chunked') this.#addChunks(data);
    else this.#keep(data);
    if (this.#length === this.#bytes.length) this.#isComplete = true;
    // What is expected may have begun in an earlier read.
    const from = Math.max(0, before - this.#expected.length + 1);
    if (this.#bytes.subarray(from, this.#length).includes(this.#expected)) return true;
    if (this.#isComplete) return false;
    return this.#isBroken ? 'a chunk of the body has no size' : undefined;
  }

  /** The connection has ended. */
  end(): boolean | string {
    return this.#framing.kind === 'until_close' ? false : 'the connection ended within the body';
  }

  #keep(data: Buffer): void {
    this.#length += data.copy(this.#bytes, this.#length);
  }

  /** RFC 9112 section 7.1; lines may end in LF only. */
  #addChunks(data: Buffer): void {
    let at = 0;
    while (at < data.length && !this.#isComplete && !this.#isBroken) {
      if (this.#part === Part.DATA) {
        const end = Math.min(data.length, at + this.#chunkBytes);
        this.#keep(data.subarray(at, end));
        this.#chunkBytes -= end - at;
        at = end;
        if (this.#chunkBytes === 0) this.#part = Part.DATA_END;
      } else this.#takeByte(data[at++]);
    }
  }

  #takeByte(byte: number): void {
    if (this.#part === Part.DATA_END) {
      if (byte === LF) this.#part = Part.SIZE;
      else if (byte !== CR) this.#isBroken = true;
      return;
    }
    const digit = this.#part === Part.SIZE ? hexDigit(byte) : -1;
    if (digit >= 0) {
      this.#digits++;
      this.#chunkBytes = Math.min(CHUNK_BYTES_MAX, this.#chunkBytes * 16 + digit);
      return;
    }
    if (this.#digits === 0) this.#isBroken = true;
    if (byte !== LF) {
      this.#part = Part.SIZE_END;
      return;
    }
    this.#digits = 0;
    if (this.#chunkBytes === 0) this.#isComplete = true;
    this.#part = Part.DATA;
  }
}

/** -1 for what is none. */
function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
