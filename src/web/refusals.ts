/** Strangers may knock as often as they like: that is told once a minute, with how many there were. */

const TELL_MS = 60_000;

export class Refusals {
  readonly #tell: (who: string, why: string, count: number, address: string | undefined) => void;
  #count = 0;
  #toldMs = Number.NEGATIVE_INFINITY;

  /** @param tell who it was in words, why, how many were refused since the last word, and the address of this one */
  constructor(tell: (who: string, why: string, count: number, address: string | undefined) => void) {
    this.#tell = tell;
  }

  /** @param address undefined when the client is gone already */
  add(address: string | undefined, why: string): void {
    this.#count++;
    const nowMs = performance.now();
    if (nowMs - this.#toldMs < TELL_MS) return;
    this.#toldMs = nowMs;
    this.#tell(address ?? 'a client that is gone', why, this.#count, address);
    this.#count = 0;
  }
}
