/**
 * A node's view of its backends' health: the checks, what they and the next hops together say, and the clock that makes of
 * one that is down one that is dead.
 */
import type { BackendConfig } from '../config/types.js';
import type { Logger } from '../core/log.js';
import { HealthChecks, type HealthTarget } from '../health/health-checks.js';
import type { Probes } from '../health/probes.js';
import type { NamedBackend } from '../pool/membership.js';
import { type HealthMark, Marks } from './marks.js';

/** What a benchmark or a test puts something of its own in the place of. */
export type ProbeMaker = Pick<Probes, 'prepare' | 'make' | 'close'>;

export class NodeHealth {
  readonly #probes: ProbeMaker;
  readonly #now: () => number;
  readonly #checks: HealthChecks;
  #marks: Marks;
  #changed = (): void => {};
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;
  #isClosed = false;

  /**
   * @param remembered marks of a process before this one, by `pool/backend`
   * @param now milliseconds as in pool/change.ts: a clock that is set must make nobody dead
   * @param probes is closed with this
   */
  constructor(
    remembered: ReadonlyMap<string, HealthMark>,
    log: Logger,
    now: () => number,
    probes: ProbeMaker,
  ) {
    this.#probes = probes;
    this.#now = now;
    this.#checks = new HealthChecks({ log, probe: this.#probes.make });
    this.#marks = new Marks({ noWay: () => undefined, checks: this.#checks.current() }, remembered);
  }

  /**
   * Checks these backends from now on and no others. Resolves once each has its first result, after the longest timeout at the
   * latest.
   * @throws AnyhopError when this host cannot make the checks; the former ones go on then
   */
  async check(backends: readonly NamedBackend[]): Promise<void> {
    const targets = backends.flatMap(targetOf);
    await this.#probes.prepare(targets);
    if (this.#isClosed) return;
    await this.#checks.setTargets(targets);
  }

  /** From now on marks depend on ways too. @param noWay why there is none to a backend; undefined when there is one */
  follow(noWay: (backend: BackendConfig) => string | undefined): void {
    this.#marks = new Marks({ noWay, checks: this.#checks.current() }, this.#marks.all());
  }

  /** Marks these backends from now on and no others, at once. */
  judge(backends: readonly NamedBackend[]): void {
    this.#marks.setMembers(backends, this.#now());
    this.refresh(); // whoever is down now will be dead some day
  }

  /** Undefined for a backend that is not judged. */
  markOf(pool: string, backend: string): HealthMark | undefined {
    return this.#marks.of(pool, backend);
  }

  /** Calls `listener` when marks may have changed. */
  onChange(listener: () => void): void {
    this.#changed = listener;
    this.#checks.onChange(() => this.refresh());
  }

  /** What marks come from has changed. Results that came together are looked at together, before the loop waits again. */
  refresh(): void {
    this.#immediate ??= setImmediate(() => {
      this.#immediate = undefined;
      this.#refresh();
    });
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    this.#checks.close();
    this.#probes.close();
  }

  #refresh(): void {
    clearTimeout(this.#timer);
    const nextMs = this.#marks.refresh(this.#now());
    if (nextMs !== undefined) this.#timer = setTimeout(() => this.#refresh(), Math.max(1, nextMs)).unref();
    this.#changed();
  }
}

function targetOf({ pool, backend: { name, address } }: NamedBackend): HealthTarget | [] {
  return pool.health === undefined ? [] : { name: `${pool.name}/${name}`, address, check: pool.health };
}
