/** SIGINT and SIGTERM, caught from the start: the first one asks for an end, a second one for a quick end. Further ones say nothing new. */

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;
export type StopSignal = (typeof SIGNALS)[number];

const TAKEN_MAX = 2;

export class StopSignals {
  readonly #came: StopSignal[] = [];
  #waiting: ((signal: StopSignal) => void) | undefined;
  #taken = 0;

  constructor() {
    for (const signal of SIGNALS) process.on(signal, () => this.#take(signal));
  }

  /** Resolves at the next signal that has not been taken. */
  next(): Promise<StopSignal> {
    return new Promise((resolve) => {
      const signal = this.#came.shift();
      if (signal === undefined) this.#waiting = resolve;
      else resolve(signal);
    });
  }

  #take(signal: StopSignal): void {
    if (this.#taken === TAKEN_MAX) return;
    this.#taken++;
    if (this.#waiting === undefined) this.#came.push(signal);
    else this.#waiting(signal);
    this.#waiting = undefined;
  }
}
