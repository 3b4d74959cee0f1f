/**
 * What another process sends in pieces, kept up to a limit of bytes and of pieces. A body that is sent byte by byte makes a piece of
 * each byte: a million pieces take five seconds and 450 MB to read, so a limit of bytes is not enough.
 */

/** Far more than the pieces of an honest sender, which are kilobytes each. */
export const PIECES_MAX = 4096;

export class Pieces {
  readonly #bytesMax: number;
  readonly #parts: Buffer[] = [];
  #length = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Keeps one more. @returns what there is too much of, for people; undefined when it was kept */
  add(part: Buffer): string | undefined {
    this.#length += part.length;
    if (this.#length > this.#bytesMax) return `more than ${this.#bytesMax} bytes`;
    if (this.#parts.length === PIECES_MAX) return `more than ${PIECES_MAX} pieces`;
    this.#parts.push(part);
    return undefined;
  }

  /** All of them as one. */
  join(): Buffer {
    return Buffer.concat(this.#parts);
  }
}
