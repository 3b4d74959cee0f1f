/**
 * Collects data that another process sends in pieces, up to a limit of bytes and of pieces. A limit of bytes is not enough: a
 * body sent byte by byte makes a million pieces, which take five seconds and 450 MB to read.
 */

/** Honest senders send pieces of kilobytes, far fewer than this. */
export const PIECES_MAX = 4096;

export class Pieces {
  readonly #bytesMax: number;
  readonly #parts: Buffer[] = [];
  #length = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Keeps one more. @returns the exceeded limit in words; undefined when the piece was kept */
  add(part: Buffer): string | undefined {
    this.#length += part.length;
    if (this.#length > this.#bytesMax) return `more than ${this.#bytesMax} bytes`;
    if (this.#parts.length === PIECES_MAX) return `more than ${PIECES_MAX} pieces`;
    this.#parts.push(part);
    return undefined;
  }

  join(): Buffer {
    return Buffer.concat(this.#parts);
  }
}
