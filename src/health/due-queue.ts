/**
 * Which of many is due next: a binary heap over small numbers, each of which has one time at most. What it knows of an
 * element's place makes setting a new time and removing cheap: O(log n), and nothing is allocated once it has grown.
 */

export class DueQueue {
  /** Elements, the earliest at 0; the children of i are at 2i + 1 and 2i + 2. */
  readonly #heap: number[] = [];
  /** By element: its time, and where it is in the heap or -1. */
  readonly #times: number[] = [];
  readonly #places: number[] = [];

  get size(): number {
    return this.#heap.length;
  }

  /** The earliest time; Infinity when there is none. */
  get nextMs(): number {
    return this.#heap.length === 0 ? Number.POSITIVE_INFINITY : this.#times[this.#heap[0]];
  }

  /** @param element a whole number, 0 or more; its former time no longer counts */
  set(element: number, timeMs: number): void {
    let place = this.#places[element] ?? -1;
    if (place < 0) place = this.#heap.length;
    this.#times[element] = timeMs;
    this.#put(element, place);
    this.#sink(this.#rise(place));
  }

  remove(element: number): void {
    const place = this.#places[element] ?? -1;
    if (place < 0) return;
    this.#places[element] = -1;
    const last = this.#heap.pop()!;
    if (last === element) return;
    this.#put(last, place);
    this.#sink(this.#rise(place));
  }

  /** Takes out the earliest one if its time has come; -1 if none has. */
  take(nowMs: number): number {
    if (this.nextMs > nowMs) return -1;
    const first = this.#heap[0];
    this.remove(first);
    return first;
  }

  /** The time of an element that is in the queue. */
  timeMs(element: number): number {
    return this.#times[element];
  }

  #put(element: number, place: number): void {
    this.#heap[place] = element;
    this.#places[element] = place;
  }

  /** @returns where it came to rest */
  #rise(from: number): number {
    let place = from;
    const element = this.#heap[place];
    while (place > 0) {
      const above = (place - 1) >> 1;
      if (this.#times[this.#heap[above]] <= this.#times[element]) break;
      this.#put(this.#heap[above], place);
      place = above;
    }
    this.#put(element, place);
    return place;
  }

  #sink(from: number): void {
    let place = from;
    const element = this.#heap[place];
    for (;;) {
      let below = 2 * place + 1;
      if (below >= this.#heap.length) break;
      if (
        below + 1 < this.#heap.length &&
        this.#times[this.#heap[below + 1]] < this.#times[this.#heap[below]]
      )
        below += 1;
      if (this.#times[this.#heap[below]] >= this.#times[element]) break;
      this.#put(this.#heap[below], place);
      place = below;
    }
    this.#put(element, place);
  }
}
