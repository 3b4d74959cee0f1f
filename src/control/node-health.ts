/**
 * A node's view of its backends' health: the checks, what they and the next hops together say, and the clock that makes of
 * one that is down one that is dead.
 */
import type { BackendConfig, LoadedConfig, PoolConfig } from '../config/types.js';
import type { Logger } from '../core/log.js';
import { HealthChecks, type HealthTarget } from '../health/health-checks.js';
import { Probes } from '../health/probes.js';
import { type BackendMark, Marks } from './marks.js';

export class NodeHealth {
  readonly #config: LoadedConfig<'run'>;
  readonly #probes: Probes;
  readonly #checks: HealthChecks;
  readonly #targets: readonly HealthTarget[];
  #marks: Marks | undefined;
  #changed = (): void => {};
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;

  constructor(config: LoadedConfig<'run'>, log: Logger) {
    const { source4, source6, interface: name } = config.node;
    this.#config = config;
    this.#targets = targetsOf(config.pools);
    this.#probes = new Probes({ source4, source6, interface: name });
    this.#checks = new HealthChecks({ log, probe: this.#probes.make });
  }

  /**
   * Loads what the checks need.
   * @throws AnyhopError when this host cannot make them
   */
  prepare(): Promise<void> {
    return this.#probes.prepare(this.#targets);
  }

  /** Starts the checks; resolves once each has its first result, after the longest timeout at the latest. */
  start(): Promise<void> {
    return this.#checks.setTargets(this.#targets);
  }

  /** From now on marks depend on these ways too. @param noWay why there is none to a backend; undefined when there is one */
  follow(noWay: (backend: BackendConfig) => string | undefined): void {
    this.#marks = new Marks(this.#config.pools, { noWay, checks: this.#checks.current() }, Date.now());
  }

  /** Of a present member, once `follow` has been called. */
  markOf(pool: PoolConfig, backend: BackendConfig): BackendMark {
    return this.#marks!.of(pool, backend);
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
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    this.#checks.close();
    this.#probes.close();
  }

  #refresh(): void {
    clearTimeout(this.#timer);
    const nextMs = this.#marks?.refresh(Date.now());
    if (nextMs !== undefined) this.#timer = setTimeout(() => this.#refresh(), Math.max(1, nextMs)).unref();
    this.#changed();
  }
}

function targetsOf(pools: readonly PoolConfig[]): HealthTarget[] {
  return pools.flatMap(({ name: pool, health, backends }) =>
    health === undefined
      ? []
      : backends.map(({ name, address }) => ({ name: `${pool}/${name}`, address, check: health })),
  );
}
