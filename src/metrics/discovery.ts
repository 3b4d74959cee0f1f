/** What sources of backends and servers say, as tables. */
import type { MetricTable } from './table.js';

/** As a status has it. */
interface MeasuredSource {
  readonly pool?: string;
  readonly upstream?: string;
  readonly answeredAt: string | null;
  readonly backends?: number | null;
  readonly servers?: number | null;
  readonly alarm?: unknown;
}

export function poolSourceTable(sources: readonly MeasuredSource[]): MetricTable {
  const pools = sources.filter(({ pool }) => pool !== undefined);
  return {
    rows: pools.map(({ pool }) => [pool!]),
    columns: {
      anyhop_discovery_alarm: pools.map(alarmOf),
      anyhop_discovery_backends: pools.map(({ backends }) => backends ?? 0),
      anyhop_discovery_answered_timestamp_seconds: pools.map(answeredOf),
    },
  };
}

export function upstreamSourceTable(sources: readonly MeasuredSource[]): MetricTable {
  const upstreams = sources.filter(({ upstream }) => upstream !== undefined);
  return {
    rows: upstreams.map(({ upstream }) => [upstream!]),
    columns: {
      anyhop_discovery_upstream_alarm: upstreams.map(alarmOf),
      anyhop_discovery_upstream_servers: upstreams.map(({ servers }) => servers ?? 0),
      anyhop_discovery_upstream_answered_timestamp_seconds: upstreams.map(answeredOf),
    },
  };
}

function alarmOf({ alarm }: MeasuredSource): number {
  return Number(alarm !== undefined);
}

function answeredOf({ answeredAt }: MeasuredSource): number {
  return answeredAt === null ? 0 : Date.parse(answeredAt) / 1000;
}
