/**
 * The fleet's secret, wrapped so that no log line, JSON dump or inspection can show it. `reveal` is called by the
 * key derivation alone (src/hash/key.ts).
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
