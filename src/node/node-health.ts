/** A node's view of its backends' health: their checks, and what these and the next hops together say (marks.ts). */
import type { BackendConfig } from '../config/types.js';
import type { Logger } from '../core/log.js';
import {
  type CheckListener,
  type CheckState,
  HealthChecks,
  type HealthTarget,
} from '../health/health-checks.js';
import type { Probes } from '../health/probes.js';
import type { NamedBackend } from '../pool/membership.js';
import { type Why, whyBy } from './marks.js';

/** What a benchmark or a test puts something of its own in the place of. */
export type ProbeMaker = Pick<Probes, 'prepare' | 'make' | 'close'>;

export class NodeHealth {
  readonly #probes: ProbeMaker;
  readonly #checks: HealthChecks;
  #why: Why = () => 'it was before the restart';
  #changed = (): void => {};
  #immediate: NodeJS.Immediate | undefined;
  #isClosed = false;

  /** @param probes is closed with this */
  constructor(log: Logger, probes: ProbeMaker) {
    this.#probes = probes;
    this.#checks = new HealthChecks({ log, probe: this.#probes.make });
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

  /** First results and next hops are there. @param noWay why there is no way to a backend; undefined when there is one */
  follow(noWay: (backend: BackendConfig) => string | undefined): void {
    this.#why = whyBy(noWay, this.#checks.current());
  }

  /** By what is known now, of backends that are checked. Before `follow`, all that can be said is what was. */
  readonly why: Why = (pool, backend) => this.#why(pool, backend);

  /** Calls `listener` when marks may have changed. */
  onChange(listener: () => void): void {
    this.#changed = listener;
    this.#checks.onChange(() => this.refresh());
  }

  /** Calls `listener` with every check that ends; it must be quick, and must not throw. */
  onCheck(listener: CheckListener): () => void {
    return this.#checks.onCheck(listener);
  }

  /** The checks of a backend, in the order of the file; none when it has none. */
  checksOf(pool: string, backend: string): CheckState[] {
    return this.#checks.checksOf(`${pool}/${backend}`);
  }

  /** What marks come from has changed. Results that came together are looked at together, before the loop waits again. */
  refresh(): void {
    this.#immediate ??= setImmediate(() => {
      this.#immediate = undefined;
      this.#changed();
    });
  }

  close(): void {
    this.#isClosed = true;
    clearImmediate(this.#immediate);
    this.#checks.close();
    this.#probes.close();
  }
}

function targetOf({ pool, backend: { name, address } }: NamedBackend): HealthTarget | [] {
  return pool.health.length === 0 ? [] : { name: `${pool.name}/${name}`, address, checks: pool.health };
}
