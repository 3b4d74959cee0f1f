/** Whether a node is to be sent traffic, and if not, what it still waits for: for routing daemons, by `anyhop ready`. */
import type { Readiness } from './status.js';

/** What must have happened, in words for as long as it has not. */
const STEPS = {
  nextHops: 'next hops of the backends are being resolved',
  health: 'first health checks are under way',
  engine: 'the engine has not started',
  selfTest: 'the engine has not passed its self-test',
} as const;

export type Step = keyof typeof STEPS;

export class ReadinessGate {
  readonly #missing = new Set<Step>(Object.keys(STEPS) as Step[]);
  #stopping: string | undefined;

  passed(step: Step): void {
    this.#missing.delete(step);
  }

  /** For good. @param why `SIGTERM`, say */
  stops(why: string): void {
    this.#stopping = why;
  }

  current(): Readiness {
    const reasons: string[] =
      this.#stopping === undefined
        ? [...this.#missing].map((step) => STEPS[step])
        : [`the node stops: ${this.#stopping}`];
    return { ready: reasons.length === 0, reasons };
  }
}
