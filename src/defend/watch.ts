/**
 * Looks each second at what came to the services that have rules: learns their norms, sees attacks begin and end, and tells the engine
 * above how many SYNs cookies are to answer, and what time the fleet has.
 *
 *   counters of the engine --> rates --> norm --> threshold --> engine
 *                                \-----> attacks --> log
 */
import type { AttackStatus } from '../api/defend.js';
import type { DefendRules } from '../config/defend/types.js';
import { L } from '../core/layout.gen.js';
import { DEFEND_RATE_MAX } from '../core/limits.js';
import type { Logger } from '../core/log.js';
import { COUNTERS_PER_ENTRY } from '../forward/counters.js';
import { Attacks, type KeptAttack } from './attacks.js';
import { FleetClock, type TwoClocks } from './fleet-clock.js';
import type { KeptNorm } from './norm.js';
import { modeOf, ServiceWatch } from './service-watch.js';

/** Of a service whose rate is not limited. */
const WINDOW_MS = 1000;

/** A service with rules. */
export interface Watched {
  readonly name: string;
  /** Counter number. */
  readonly counter: number;
  readonly rules: DefendRules;
}

/** What an engine counts, and is told. */
export interface WatchedEngine {
  counters(): { readonly services: Float64Array };
  readonly defence: {
    guarded(): Float64Array;
    cookiesActive(): readonly boolean[];
    tune(tuning: { readonly thresholds: ReadonlyMap<number, number>; readonly fleetOffsetMs: number }): void;
  };
}

/** What of it outlives the process. */
export interface KeptWatch {
  readonly norms: Readonly<Record<string, KeptNorm>>;
  readonly attacks: readonly KeptAttack[];
}

export interface DefenceWatchOptions {
  readonly engine: WatchedEngine;
  readonly clocks: () => TwoClocks;
  readonly kept: KeptWatch;
  readonly log: Logger;
}

export class DefenceWatch {
  readonly #engine: WatchedEngine;
  readonly #clocks: () => TwoClocks;
  readonly #fleetClock: FleetClock;
  readonly #attacks: Attacks;
  readonly #services = new Map<string, ServiceWatch>();
  readonly #kept: Readonly<Record<string, KeptNorm>>;

  constructor({ engine, clocks, kept, log }: DefenceWatchOptions) {
    this.#engine = engine;
    this.#clocks = clocks;
    this.#fleetClock = new FleetClock(clocks, log);
    this.#attacks = new Attacks(log, kept.attacks, clocks().wallMs);
    this.#kept = kept.norms;
  }

  /**
   * About once a second.
   * @param services as they are in force now
   * @returns whether an attack has begun or ended
   */
  tick(services: readonly Watched[]): boolean {
    this.#keep(services);
    if (services.length > 0) this.#look(services);
    return this.#attacks.takeNews();
  }

  #look(services: readonly Watched[]): void {
    const { defence } = this.#engine;
    const guarded = defence.guarded();
    const active = defence.cookiesActive();
    const { services: forwarded } = this.#engine.counters();
    const { monotonicMs, wallMs } = this.#clocks();
    for (const { name, counter, rules } of services) {
      const look = {
        monotonicMs, // not spread: that costs 10 us a service
        wallMs,
        guarded,
        first: counter * L.GUARDED_KINDS,
        forwarded: forwarded[counter * COUNTERS_PER_ENTRY] ?? 0,
        cookies: active[counter] === true,
      };
      const known = this.#services.get(name);
      if (known === undefined) this.#services.set(name, new ServiceWatch(this.#kept[name], look));
      const came = known?.take(look);
      if (known === undefined || came === undefined) continue;
      for (const seen of known.seen(name, rules, came)) this.#attacks.take(seen, wallMs);
    }
    defence.tune({ thresholds: this.#thresholds(services), fleetOffsetMs: this.#fleetClock.offsetMs() });
  }

  /** Undefined before a service was seen. */
  of(service: string): ServiceWatch | undefined {
    return this.#services.get(service);
  }

  attacks(): AttackStatus[] {
    return this.#attacks.status(this.#clocks().wallMs);
  }

  get kept(): KeptWatch {
    const norms = [...this.#services].map(([name, { norm }]) => [name, norm.kept] as const);
    return { norms: Object.fromEntries(norms), attacks: this.#attacks.kept };
  }

  /** Forgets services and rules that are gone. */
  #keep(services: readonly Watched[]): void {
    const there = new Map(services.map(({ name, rules }) => [name, rules]));
    for (const name of this.#services.keys()) if (!there.has(name)) this.#services.delete(name);
    this.#attacks.keep((service, kind) => modeOf(there.get(service), kind) !== undefined);
  }

  #thresholds(services: readonly Watched[]): ReadonlyMap<number, number> {
    return new Map(
      services.flatMap(({ name, counter, rules: { serviceRate } }) => {
        const norm = this.#services.get(name)?.norm;
        if (norm === undefined) return [];
        const inWindow = (norm.threshold * (serviceRate?.perMs ?? WINDOW_MS)) / 1000;
        return [[counter, Math.min(Math.round(inWindow), DEFEND_RATE_MAX)] as const];
      }),
    );
  }
}
