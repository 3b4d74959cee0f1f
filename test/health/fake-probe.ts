/** A probe whose results are for the test to give. */
import type { CheckTarget } from '#anyhop/health/check-runner.js';
import type { Done, Probe } from '#anyhop/health/probe.js';

export class FakeProbe implements Probe {
  starts = 0;
  cancelled = 0;
  isClosed = false;
  isRunning = false;
  readonly target: CheckTarget;
  readonly #done: Done;
  readonly #react: (probe: FakeProbe) => void;

  /** @param react is called at every start */
  constructor(target: CheckTarget, done: Done, react: (probe: FakeProbe) => void) {
    this.target = target;
    this.#done = done;
    this.#react = react;
  }

  start(): void {
    if (this.isRunning || this.isClosed) throw new Error('started at the wrong time');
    this.isRunning = true;
    this.starts++;
    this.#react(this);
  }

  finish(failure?: string, isOwnFault?: boolean): void {
    this.isRunning = false;
    this.#done(failure, isOwnFault);
  }

  cancel(): string {
    if (!this.isRunning) throw new Error('cancelled at the wrong time');
    this.isRunning = false;
    this.cancelled++;
    return 'no answer';
  }

  close(): void {
    this.isClosed = true;
  }
}
