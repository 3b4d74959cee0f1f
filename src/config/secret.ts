/**
 * A secret, wrapped so that no log line, JSON dump or inspection can show it: the fleet's, the subkey of the layer-7 tier, a private
 * key. `reveal` is called only to derive keys (src/hash/key.ts, src/l7/render/keys.ts), to compare or keep the secret itself, and to
 * write the files that HAProxy reads (src/l7/render/tls.ts).
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
