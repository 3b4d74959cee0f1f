/**
 * Nested ranges become bounds: places from which on something else holds. Ranges come in the order of their starts, the larger first, and
 * lie in one another or apart, as prefixes do.
 *
 *     allow      [-----------------------)
 *     block          [------)    [--)
 *     bounds     a   b      a    b  a    base
 *
 * Places are 64 bits wide, as two words.
 */
const DEPTH_MAX = 260; // of prefixes in one another, each of them perhaps on both lists
const ONES = 0xffffffff;

export class Sweep {
  /** Two words a bound, the lower first, as they stand in compiled lists; and what holds from there on. */
  bounds = new Uint32Array(1024);
  values = new Uint8Array(512);
  count = 0;
  /** What holds before the first bound. */
  base = 0;
  /** What holds outside of all ranges. */
  #around = 0;
  readonly #lastHigh = new Uint32Array(DEPTH_MAX);
  readonly #lastLow = new Uint32Array(DEPTH_MAX);
  readonly #inside = new Uint8Array(DEPTH_MAX);
  #depth = 0;

  begin(base: number): void {
    this.base = base;
    this.#around = base;
    this.count = 0;
    this.#depth = 0;
  }

  /** A range up to and with its last place. */
  add(startHigh: number, startLow: number, lastHigh: number, lastLow: number, value: number): void {
    while (this.#depth > 0 && this.#endsBefore(startHigh, startLow)) this.#leave();
    this.#bound(startHigh, startLow, value);
    this.#lastHigh[this.#depth] = lastHigh;
    this.#lastLow[this.#depth] = lastLow;
    this.#inside[this.#depth++] = value;
  }

  /** @param high of the last place that there is @param low of it */
  end(high: number, low: number): void {
    while (this.#depth > 0) {
      const top = this.#depth - 1;
      if (this.#lastHigh[top] === high && this.#lastLow[top] === low) this.#depth--;
      else this.#leave();
    }
  }

  #endsBefore(high: number, low: number): boolean {
    const top = this.#depth - 1;
    return this.#lastHigh[top] < high || (this.#lastHigh[top] === high && this.#lastLow[top] < low);
  }

  /** Behind the innermost range, the one around it holds. */
  #leave(): void {
    const top = --this.#depth;
    const low = this.#lastLow[top];
    const high = this.#lastHigh[top];
    const value = top > 0 ? this.#inside[top - 1] : this.#around;
    if (low === ONES) this.#bound(high + 1, 0, value);
    else this.#bound(high, low + 1, value);
  }

  #bound(high: number, low: number, value: number): void {
    if (high === 0 && low === 0) {
      this.base = value; // nothing lies before it
      return;
    }
    const last = this.count - 1;
    if (last >= 0 && this.bounds[last * 2] === low && this.bounds[last * 2 + 1] === high) this.count--;
    if (value === (this.count > 0 ? this.values[this.count - 1] : this.base)) return;
    if (this.count === this.values.length) this.#grow();
    this.bounds[this.count * 2] = low;
    this.bounds[this.count * 2 + 1] = high;
    this.values[this.count++] = value;
  }

  #grow(): void {
    const bounds = new Uint32Array(this.bounds.length * 2);
    const values = new Uint8Array(this.values.length * 2);
    bounds.set(this.bounds);
    values.set(this.values);
    [this.bounds, this.values] = [bounds, values];
  }
}
