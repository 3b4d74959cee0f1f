/** Runs tasks one at a time, in the order in which they were added. */
export class SerialQueue {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs the task after those added before it, even if they fail. Settles as the task does. */
  add<T>(task: () => T | PromiseLike<T>): Promise<T> {
    const done = this.#last.then(task);
    this.#last = done.catch(() => undefined); // the caller of `add` gets the error
    return done;
  }

  /** Resolves when the tasks added so far have ended. */
  async idle(): Promise<void> {
    await this.#last;
  }
}
