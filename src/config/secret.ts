/**
 * The fleet's secret, wrapped so that no log line, JSON dump or inspection can show it. Only the key derivation (src/hash/key.ts)
 * calls `reveal`.
 */
import { inspect } from 'node:util';

export class Secret {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  reveal(): Uint8Array {
    return this.#bytes;
  }

  toJSON(): string {
    return '[secret]';
  }

  toString(): string {
    return '[secret]';
  }

  [inspect.custom](): string {
    return '[secret]';
  }
}
