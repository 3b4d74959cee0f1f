/**
 * A task that runs one at a time, and once more when it is asked for while it runs. So whoever asks gets a run that begins after
 * that, and many who ask at once get the same one.
 */
export class Rerun<T = void> {
  readonly #task: () => Promise<T>;
  #isAsked = false;
  #running: Promise<T> | undefined;

  /** @param task deals with its own failures */
  constructor(task: () => Promise<T>) {
    this.#task = task;
  }

  /** Starts a turn later: what is asked for in one turn is one run. Resolves to what the last run does. */
  ask(): Promise<T> {
    this.#isAsked = true;
    this.#running ??= Promise.resolve().then(() => this.#run());
    return this.#running;
  }

  /** Resolves when no run is under way. */
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
