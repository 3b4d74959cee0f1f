/**
 * What is to happen, in the order of time; of the same moment, in the order in which it was said. Times are whole steps of STEP_MS, so
 * that what happens to many nodes within a step is looked at once.
 */

export const STEP_MS = 10;

interface Entry {
  readonly atMs: number;
  readonly order: number;
  readonly act: () => void;
}

export class Agenda {
  /** A heap: no entry is later than the two at twice its place. */
  readonly #heap: Entry[] = [];
  #order = 0;
  nowMs = 0;

  /** In the step that `atMs` is in, and not before now. */
  at(atMs: number, act: () => void): void {
    const step = Math.max(this.nowMs, Math.ceil(atMs / STEP_MS) * STEP_MS);
    const heap = this.#heap;
    heap.push({ atMs: step, order: this.#order++, act });
    for (let i = heap.length - 1; i > 0; ) {
      const parent = (i - 1) >> 1;
      if (!isBefore(heap[i], heap[parent])) return;
      swap(heap, i, parent);
      i = parent;
    }
  }

  in(ms: number, act: () => void): void {
    this.at(this.nowMs + ms, act);
  }

  /** When something happens next; never when nothing does. */
  get nextMs(): number {
    return this.#heap.length === 0 ? Number.POSITIVE_INFINITY : this.#heap[0].atMs;
  }

  /** All that happens in the next step, with what it brings about in the same one. */
  step(): void {
    this.nowMs = this.nextMs;
    while (this.nextMs === this.nowMs) this.#take().act();
  }

  #take(): Entry {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    heap[0] = last;
    for (let i = 0; ; ) {
      const [left, right] = [2 * i + 1, 2 * i + 2];
      let least = i;
      if (left < heap.length && isBefore(heap[left], heap[least])) least = left;
      if (right < heap.length && isBefore(heap[right], heap[least])) least = right;
      if (least === i) return first;
      swap(heap, i, least);
      i = least;
    }
  }
}

function isBefore(one: Entry, other: Entry): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}

function swap(heap: Entry[], i: number, j: number): void {
  [heap[i], heap[j]] = [heap[j], heap[i]];
}
