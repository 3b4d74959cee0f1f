/**
 * One timer for all connections: a wheel of places that turns once in `turnMs`, and calls on each item once a turn. A timer
 * for each of a thousand connections would cost more than their messages do.
 */
export class Wheel<T> {
  readonly #places: T[][];
  readonly #tickMs: number;
  #at = 0;
  #nextMs: number;

  constructor(turnMs: number, tickMs: number, nowMs: number) {
    this.#places = Array.from({ length: Math.round(turnMs / tickMs) }, () => []);
    this.#tickMs = tickMs;
    this.#nextMs = nowMs + tickMs;
  }

  /** The item is called on after one turn, and then once a turn. */
  add(item: T): void {
    this.#places[(this.#at + this.#places.length - 1) % this.#places.length]!.push(item);
  }

  /** Calls on all that are due at `nowMs`, but on none twice, however late it is; those that return false leave the wheel. */
  turn(nowMs: number, call: (item: T) => boolean): void {
    for (let ticks = 0; this.#nextMs <= nowMs; ticks++) {
      if (ticks === this.#places.length) {
        this.#nextMs = nowMs + this.#tickMs; // a process that was stopped for long does not catch up
        return;
      }
      this.#places[this.#at] = this.#places[this.#at]!.filter(call);
      this.#at = (this.#at + 1) % this.#places.length;
      this.#nextMs += this.#tickMs;
    }
  }
}
