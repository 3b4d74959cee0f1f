/**
 * A clock of its own for everything that runs in this process: timers, dates, chance. What takes minutes takes milliseconds, and a seed
 * repeats it. Between two moments all promises settle.
 *
 *   const clock = new SimulatedClock(seed);
 *   clock.begin(); await clock.pass(60_000); clock.end();
 */

/** All is rounded up to it, so that what happens at nearly one moment is one step. */
const GRAIN_MS = 5;
const ENOUGH_MS = 1_000;
const START_MS = Date.UTC(2030, 0, 1);

interface Due {
  readonly atMs: number;
  readonly order: number;
  run: (() => void) | undefined;
}

const real = {
  setTimeout,
  setInterval,
  clearTimeout,
  clearInterval,
  setImmediate,
  random: Math.random,
  now: performance.now,
  Date,
};

export class SimulatedClock {
  nowMs = 0;
  #order = 0;
  #state: number;
  /** A heap, the next one first. */
  readonly #due: Due[] = [];

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 to below 1 (mulberry32). */
  readonly chance = (): number => {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let x = this.#state;
    x = Math.imul(x ^ (x >>> 15), x | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };

  /** Puts it in the place of the real one. */
  begin(): void {
    const clock = this;
    const handle = (due: Due) =>
      Object.assign(due, { ref: () => due, unref: () => due, hasRef: () => false });
    const clear = (due: Due | undefined): void => {
      if (due !== undefined) due.run = undefined;
    };
    const every = (run: () => void, ms: number): Due => {
      const due = handle(clock.#at(ms, () => undefined));
      const turn = (): void => {
        run();
        const next = clock.#at(ms, () => due.run?.());
        void next;
      };
      due.run = turn;
      return due;
    };
    class SimulatedDate extends real.Date {
      constructor(...args: [] | [number]) {
        super(...((args.length === 0 ? [START_MS + clock.nowMs] : args) as [number]));
      }
      static override now(): number {
        return START_MS + clock.nowMs;
      }
    }
    Object.assign(globalThis, {
      setTimeout: (run: () => void, ms = 0) => handle(clock.#at(ms, run)),
      setInterval: every,
      clearTimeout: clear,
      clearInterval: clear,
      Date: SimulatedDate,
    });
    Math.random = this.chance;
    performance.now = () => this.nowMs;
  }

  end(): void {
    const { random, now, ...globals } = real;
    Object.assign(globalThis, globals);
    Math.random = random;
    performance.now = now;
  }

  /** @param run once, in some time */
  after(ms: number, run: () => void): void {
    this.#at(ms, run);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  /**
   * @param look after each moment at which something happened
   * @param isEnough once a second, whether it may end before its time
   */
  async pass(ms: number, look: () => void, isEnough: () => boolean = () => false): Promise<void> {
    let nextMs = this.nowMs + ENOUGH_MS;
    const endMs = this.nowMs + ms;
    await settled();
    for (;;) {
      const next = this.#due[0];
      if (next === undefined || next.atMs > endMs) break;
      this.nowMs = next.atMs;
      let hasRun = false;
      while (this.#due[0] !== undefined && this.#due[0].atMs <= this.nowMs) {
        const { run } = this.#pop();
        if (run === undefined) continue;
        hasRun = true;
        run();
      }
      if (!hasRun) continue;
      await settled();
      look();
      if (this.nowMs < nextMs) continue;
      if (isEnough()) return;
      nextMs += ENOUGH_MS;
    }
    this.nowMs = endMs;
  }

  #at(ms: number, run: () => void): Due {
    const atMs = Math.ceil((this.nowMs + Math.max(0, ms)) / GRAIN_MS) * GRAIN_MS;
    const due = { atMs, order: this.#order++, run };
    this.#due.push(due);
    for (let i = this.#due.length - 1; i > 0; ) {
      const up = (i - 1) >> 1;
      if (!isBefore(this.#due[i]!, this.#due[up]!)) break;
      [this.#due[i], this.#due[up]] = [this.#due[up]!, this.#due[i]!];
      i = up;
    }
    return due;
  }

  #pop(): Due {
    const first = this.#due[0]!;
    const last = this.#due.pop()!;
    if (this.#due.length === 0) return first;
    this.#due[0] = last;
    for (let i = 0; ; ) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2])
        if (child < this.#due.length && isBefore(this.#due[child]!, this.#due[least]!)) least = child;
      if (least === i) return first;
      [this.#due[i], this.#due[least]] = [this.#due[least]!, this.#due[i]!];
      i = least;
    }
  }
}

function isBefore(a: Due, b: Due): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** All promises that can settle have. */
function settled(): Promise<void> {
  return new Promise((resolve) => real.setImmediate(resolve));
}
