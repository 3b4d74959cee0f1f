/** How health checks went, and how long they took, by pool and kind: counted as they end, told at each scrape. */
import type { FinishedCheck } from '../health/check-runner.js';
import { Histogram, histogramColumn } from '../metrics/histogram.js';
import type { MetricTable } from '../metrics/table.js';

const OUTCOMES = ['good', 'failed', 'not_made'] as const satisfies readonly FinishedCheck['outcome'][];

interface Counted {
  readonly pool: string;
  readonly kind: string;
  readonly outcomes: Record<FinishedCheck['outcome'], number>;
  readonly times: Histogram;
}

export class CheckTimes {
  /** By pool and kind. */
  readonly #counted = new Map<string, Map<string, Counted>>();

  /** Quick, and never throws: it is called with every check. */
  readonly count = ({ name, check: { kind }, tookMs, outcome }: FinishedCheck): void => {
    const pool = name.slice(0, name.indexOf('/'));
    const counted = this.#counted.get(pool)?.get(kind) ?? this.#begin(pool, kind);
    counted.outcomes[outcome]++;
    if (outcome !== 'not_made') counted.times.record(tookMs / 1000);
  };

  #begin(pool: string, kind: string): Counted {
    const counted = { pool, kind, outcomes: { good: 0, failed: 0, not_made: 0 }, times: new Histogram() };
    const kinds = this.#counted.get(pool) ?? new Map<string, Counted>();
    this.#counted.set(pool, kinds.set(kind, counted));
    return counted;
  }

  /** Only these are told and kept: pools come and go. */
  keep(pools: { has(name: string): boolean }): void {
    for (const name of this.#counted.keys()) if (!pools.has(name)) this.#counted.delete(name);
  }

  tables(): MetricTable[] {
    const all = [...this.#counted.values()].flatMap((kinds) => [...kinds.values()]);
    return [
      {
        rows: all.flatMap(({ pool, kind }) => OUTCOMES.map((outcome) => [pool, kind, outcome])),
        columns: {
          anyhop_checks_total: all.flatMap(({ outcomes }) => OUTCOMES.map((each) => outcomes[each])),
        },
      },
      {
        rows: all.map(({ pool, kind }) => [pool, kind]),
        columns: { anyhop_check_duration_seconds: histogramColumn(all.map(({ times }) => times)) },
      },
    ];
  }
}
