/**
 * How long a backend is away. One that was away for a whole settle time is forgotten by design, and its connections are lost:
 * a run on a machine so slow would prove nothing, and must not look like a broken promise.
 */
export class Absence {
  readonly #backend: string;
  readonly #settleMs: number;
  #sinceMs = 0;

  constructor(backend: string, settleMs: number) {
    this.#backend = backend;
    this.#settleMs = settleMs;
  }

  begins(): void {
    this.#sinceMs = performance.now();
  }

  /** @throws Error when that was too long */
  ends(): void {
    const awayMs = Math.round(performance.now() - this.#sinceMs);
    if (awayMs >= this.#settleMs)
      throw new Error(
        `${this.#backend} was away for ${awayMs} ms, longer than pools settle: too slow a machine`,
      );
  }
}
