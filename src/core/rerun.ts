/**
 * Runs a task one at a time, and once more if it is asked for during a run. So each caller gets a run that begins after its call,
 * and many callers share one.
 */
export class Rerun<T = void> {
  readonly #task: () => Promise<T>;
  #isAsked = false;
  #running: Promise<T> | undefined;

  /** @param task handles its own failures */
  constructor(task: () => Promise<T>) {
    this.#task = task;
  }

  /** Starts in the next turn: calls of one turn share one run. Resolves to the result of the last run. */
  ask(): Promise<T> {
    this.#isAsked = true;
    this.#running ??= Promise.resolve().then(() => this.#run());
    return this.#running;
  }

  /** Resolves when no run is in progress. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<T> {
    try {
      for (;;) {
        this.#isAsked = false;
        const done = await this.#task();
        if (!this.#isAsked) return done;
      }
    } finally {
      // In the same turn as the last look at what is asked: a later one would lose what is asked in between.
      this.#running = undefined;
    }
  }
}
