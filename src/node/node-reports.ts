/** What a node's counters, health marks and tables are, as reports. */
import type { Counted, CounterReport, HealthReport, TablesReport } from '../api/api.js';
import { VERDICTS } from '../core/layout.gen.js';
import { COUNTERS_PER_ENTRY, type Counters } from '../forward/counters.js';
import type { Assembly } from './assemble.js';
import type { NodePools } from './node-pools.js';

export function healthReport(pools: Pick<NodePools, 'pools' | 'marks'>): HealthReport {
  return {
    backends: [...pools.pools].flatMap(([pool, { changes }]) => {
      const marks = pools.marks(pool);
      return changes.members.flatMap(({ name }) => {
        const mark = marks.get(name);
        if (mark === undefined) return [];
        const { health, reason, since } = mark;
        const why = reason === undefined ? {} : { reason };
        return [{ pool, backend: name, health, ...why, since: since.toISOString() }];
      });
    }),
  };
}

export function counterReport(
  { verdicts, services, backends }: Counters,
  numbers: Assembly['numbers'],
): CounterReport {
  const byName = (names: readonly string[], counted: Float64Array): Record<string, Counted> =>
    Object.fromEntries(
      names.map((name, number) => {
        const at = number * COUNTERS_PER_ENTRY;
        return [name, { packets: counted[at] ?? 0, bytes: counted[at + 1] ?? 0 }];
      }),
    );
  return {
    verdicts: Object.fromEntries(VERDICTS.map(({ name }, number) => [name, verdicts[number]])),
    services: byName(numbers.services.names(), services),
    backends: byName(numbers.backends.names(), backends),
  };
}

/** @param pool undefined: of all pools */
export function tablesReport(
  { image: { generation }, pools }: Pick<Assembly, 'image' | 'pools'>,
  pool: string | undefined,
): TablesReport {
  const asked = pools.filter(({ name }) => pool === undefined || name === pool);
  return {
    generation,
    pools: asked.map(({ name, slots, tables }) => ({
      pool: name,
      slots,
      backends: tables.names,
      owners: tables.owners,
      alternates: tables.alternates,
    })),
  };
}
