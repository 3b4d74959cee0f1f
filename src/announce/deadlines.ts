/** The moments that a decision depends on: each is asked for once, and the next one of them says when to decide again. */
export class Deadlines {
  readonly nowMs: number;
  #next: number | undefined;

  constructor(nowMs: number) {
    this.nowMs = nowMs;
  }

  /** Whether this moment has come. */
  passed(atMs: number): boolean {
    if (atMs <= this.nowMs) return true;
    this.#next = Math.min(this.#next ?? atMs, atMs);
    return false;
  }

  /** The first one that has not come; undefined when there is none. */
  next(): number | undefined {
    return this.#next;
  }
}
