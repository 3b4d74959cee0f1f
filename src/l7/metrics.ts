/**
 * What a proxy host measures, as tables. HAProxy's statistics are those of the last look at them (watch.ts), which is a second old with few
 * servers: HAProxy serves nobody while it lists them, so scrapers do not have it do so.
 */
import type { L7Config } from '../config/l7/types.js';
import { AnyhopError } from '../core/errors.js';
import { upstreamSourceTable } from '../metrics/discovery.js';
import { reloadTable } from '../metrics/reloads.js';
import { info, type MetricTable, single, states } from '../metrics/table.js';
import type { Stage } from './drain.js';
import type { BackendStat, HaproxyInfo, HaproxyStats, ServerStat, Traffic } from './haproxy/stats.js';
import { healthOf, type Observed } from './proxy-status.js';
import { serverKey } from './servers.js';
import { upstreamsOf } from './statistics.js';

const STAGES: readonly Stage[] = ['serving', 'following', 'unfollowed', 'closing', 'drained'];
const CLASSES = ['1xx', '2xx', '3xx', '4xx', '5xx', 'other'] as const;

export async function l7Tables(observed: Observed): Promise<readonly MetricTable[]> {
  const { tier, watch, drains, startedAt } = observed;
  const [haproxyInfo, oldWorkers] = await figures(observed);
  const { counts, failedReloads, lastReload, haproxy, inputs } = tier;
  return [
    reloadTable(
      lastReload === undefined || lastReload.applied !== undefined,
      (tier.inForceSince ?? startedAt).getTime(),
    ),
    single({
      anyhop_l7_healthy: healthOf(observed).ok,
      anyhop_l7_haproxy_up: haproxy?.state.state === 'up',
      anyhop_l7_haproxy_connections: haproxyInfo?.connections,
      anyhop_l7_haproxy_max_connections: haproxyInfo?.connectionsMax,
      anyhop_l7_haproxy_old_workers: oldWorkers,
      anyhop_l7_haproxy_restarts_total: counts.restarts,
      anyhop_l7_haproxy_reloads_total: counts.reloads,
      anyhop_l7_haproxy_failed_transfers_total: counts.transfersLost,
      anyhop_l7_failed_reloads_total: failedReloads,
      anyhop_l7_access_log_lines_dropped_total: haproxyInfo?.droppedLogs,
    }),
    info('anyhop_l7_haproxy_info', haproxyInfo === undefined ? [] : [[haproxyInfo.version]]),
    states('anyhop_l7_stage', STAGES, [{ labels: [], state: drains.stage }]),
    ofCertificates(observed),
    upstreamSourceTable(observed.discovery()),
    ...(watch.last === undefined ? [] : ofStatistics(inputs.config, watch.last, observed)),
  ];
}

/** Undefined while HAProxy does not answer. */
async function figures({ tier: { haproxy } }: Observed): Promise<[info?: HaproxyInfo, oldWorkers?: number]> {
  if (haproxy === undefined) return [];
  try {
    return await Promise.all([haproxy.info(), haproxy.oldWorkers()]);
  } catch (error) {
    if (!(error instanceof AnyhopError)) throw error;
    return [];
  }
}

function ofCertificates({ tier }: Observed): MetricTable {
  const all = [...tier.inputs.certificates].flatMap(([frontend, certificates]) =>
    certificates.map(({ path, notAfter }) => ({ row: [frontend, path], seconds: notAfter.getTime() / 1000 })),
  );
  return {
    rows: all.map(({ row }) => row),
    columns: { anyhop_l7_certificate_expiry_timestamp_seconds: all.map(({ seconds }) => seconds) },
  };
}

function ofStatistics(config: L7Config, stats: HaproxyStats, { watch }: Observed): MetricTable[] {
  return [
    ...ofFrontends(config, stats),
    ...ofUpstreams(config, stats),
    ofServers(config, stats),
    ofPanic(config, stats, watch.down),
  ];
}

function ofFrontends({ frontends }: L7Config, stats: HaproxyStats): MetricTable[] {
  const byName = new Map(stats.frontends.map((one) => [one.frontend, one]));
  const all = frontends.map(({ name }) => ({ name, stat: byName.get(`f_${name}`) }));
  const column = (of: (stat: NonNullable<(typeof all)[number]['stat']>) => number | undefined): number[] =>
    all.map(({ stat }) => (stat === undefined ? Number.NaN : (of(stat) ?? Number.NaN)));
  return [
    {
      rows: all.map(({ name }) => [name]),
      columns: {
        anyhop_l7_frontend_sessions: column(({ sessions }) => sessions.current),
        anyhop_l7_frontend_sessions_total: column(({ sessions }) => sessions.total),
        anyhop_l7_frontend_requests_total: column(({ requests }) => requests.total),
        anyhop_l7_frontend_received_bytes_total: column(({ bytesIn }) => bytesIn),
        anyhop_l7_frontend_sent_bytes_total: column(({ bytesOut }) => bytesOut),
      },
    },
    {
      rows: all.flatMap(({ name }) => CLASSES.map((code) => [name, code])),
      columns: { anyhop_l7_frontend_responses_total: all.flatMap(({ stat }) => responses([stat])) },
    },
  ];
}

/** An upstream with panic is two backends of HAProxy. */
function twins<T extends BackendStat | ServerStat>(
  by: ReadonlyMap<string, T>,
  keyOf: (prefix: 'u_' | 'p_') => string,
): readonly (T | undefined)[] {
  return [by.get(keyOf('u_')), by.get(keyOf('p_'))];
}

function ofUpstreams({ upstreams }: L7Config, stats: HaproxyStats): MetricTable[] {
  const byName = new Map(stats.backends.map((one) => [one.backend, one]));
  const all = upstreams.map(({ name }) => ({ name, parts: twins(byName, (prefix) => `${prefix}${name}`) }));
  return [
    {
      rows: all.map(({ name }) => [name]),
      columns: {
        anyhop_l7_upstream_usable_servers: all.map(({ parts: [main] }) => main?.activeServers ?? 0),
        anyhop_l7_upstream_queued_requests: all.map(({ parts }) => sum(parts, ({ queue }) => queue.current)),
      },
    },
    {
      rows: all.flatMap(({ name }) => CLASSES.map((code) => [name, code])),
      columns: { anyhop_l7_upstream_responses_total: all.flatMap(({ parts }) => responses(parts)) },
    },
  ];
}

function ofPanic(config: L7Config, stats: HaproxyStats, down: Observed['watch']['down']): MetricTable {
  const all = upstreamsOf(config, stats, down);
  return {
    rows: all.map(({ name }) => [name]),
    columns: { anyhop_l7_upstream_panic: all.map(({ panic }) => Number(panic)) },
  };
}

function ofServers({ upstreams }: L7Config, stats: HaproxyStats): MetricTable {
  const byKey = new Map(stats.servers.map((one) => [serverKey(one.backend, one.server), one]));
  const all = upstreams.flatMap(({ name, health, servers }) =>
    servers.map((server) => ({
      row: [name, server.name],
      server,
      isChecked: health !== undefined,
      parts: twins(byKey, (prefix) => serverKey(`${prefix}${name}`, server.name)),
    })),
  );
  const column = (of: (stat: ServerStat) => number | undefined): number[] =>
    all.map(({ parts }) => sum(parts, of));
  return {
    rows: all.map(({ row }) => row),
    columns: {
      anyhop_l7_server_up: all.map(({ isChecked, parts: [main] }) =>
        isChecked && main !== undefined ? Number(!main.status.startsWith('DOWN')) : Number.NaN,
      ),
      anyhop_l7_server_draining: all.map(({ server }) => Number(server.state === 'draining')),
      anyhop_l7_server_weight: all.map(({ server }) => server.weight),
      anyhop_l7_server_sessions: column(({ sessions }) => sessions.current),
      anyhop_l7_server_sessions_total: column(({ sessions }) => sessions.total),
      anyhop_l7_server_queued_requests: column(({ queue }) => queue.current),
      anyhop_l7_server_retries_total: column(({ retries }) => retries),
      anyhop_l7_server_redispatches_total: column(({ redispatches }) => redispatches),
      anyhop_l7_server_response_seconds: all.map(({ parts: [main] }) =>
        main?.average.responseMs === undefined ? Number.NaN : main.average.responseMs / 1000,
      ),
    },
  };
}

function responses(parts: readonly (Traffic | undefined)[]): number[] {
  return CLASSES.map((code) => sum(parts, (part) => part.responses[code]));
}

/** 0 of what HAProxy does not tell. */
function sum<T>(parts: readonly (T | undefined)[], of: (part: T) => number | undefined): number {
  return parts.reduce((total, part) => total + (part === undefined ? 0 : (of(part) ?? 0)), 0);
}
