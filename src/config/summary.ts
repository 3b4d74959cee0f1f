/** What a node does with a config, as plain values without the secret, for `anyhop check`. */

import { ROUTE_TABLE_MAIN } from '../core/limits.js';
import { formatDuration } from '../core/time.js';
import type { IpPrefix } from '../packet/address.js';
import type { AnnounceConfig } from './announce/types.js';
import { summarizeDefend } from './defend/summary.js';
import { formatEndpoint } from './endpoint.js';
import type { L7Bind, L7Config } from './l7/types.js';
import type { MetricsConfig } from './metrics/types.js';
import { formatPorts } from './ports.js';
import type { BackendConfig, Config, HealthConfig, PoolConfig, PriorBackendConfig } from './types.js';

export type ConfigSummary = ReturnType<typeof summarize>;
export type L7Summary = ReturnType<typeof summarizeL7>;
export type PoolSummary = ReturnType<typeof summarizePool>;

export function summarize(config: Config) {
  const { node, agent } = config;
  return {
    ...(node && {
      node: {
        name: node.name,
        ...(node.interface !== undefined && { interface: node.interface }),
        engine: node.engine,
        source: [node.source4, node.source6].flatMap((prefix) =>
          prefix === undefined ? [] : shortText(prefix),
        ),
        ...(node.metrics && { metrics: summarizeMetrics(node.metrics) }),
        ...(node.siblings.length > 0 && { siblings: node.siblings.map(({ name }) => name) }),
      },
    }),
    ...(agent && {
      agent: {
        ...(agent.interface !== undefined && { interface: agent.interface }),
        forwarders: agent.forwarders.map(shortText),
      },
    }),
    pools: config.pools.map(summarizePool),
    services: config.services.map((service) => ({
      name: service.name,
      vip: service.vip.text,
      protocol: service.protocol,
      port: formatPorts({ first: service.portFirst, last: service.portLast }),
      pool: service.pool,
      hash: service.hash,
      secondChance: service.secondChance,
    })),
    ...(config.defend && { defend: summarizeDefend(config.defend) }),
    ...(config.l7 && { l7: summarizeL7(config.l7) }),
    announce: summarizeAnnounce(config.announce),
  };
}

function summarizeMetrics({ listen, tls, login }: MetricsConfig) {
  return {
    listen: formatEndpoint(listen),
    tls: tls !== undefined,
    clientCertificates: tls?.authorities !== undefined,
    password: login !== undefined,
  };
}

/** What `anyhop announce` would do; the section need not be there for it. */
function summarizeAnnounce({
  vips,
  table,
  metric,
  drainMetric,
  withdrawWhen,
  trackFile,
  region,
}: AnnounceConfig) {
  return {
    vips: vips.map(({ text }) => text),
    table: table === ROUTE_TABLE_MAIN ? 'main' : table,
    metric,
    drainMetric,
    withdrawWhen,
    ...(trackFile !== undefined && { trackFile }),
    ...(region !== undefined && { region: region.name, regionWeight: region.weight }),
  };
}

export function summarizeL7({ frontends, upstreams }: L7Config) {
  const names = (binds: readonly L7Bind[]): string[] => binds.map(({ service }) => service);
  return {
    frontends: frontends.map(({ name, binds, redirectBinds, certificates, clientsCa, routes }) => ({
      name,
      services: names(binds),
      redirectFrom: names(redirectBinds),
      ...(certificates !== undefined && { certificates }),
      ...(clientsCa !== undefined && { clients: clientsCa.path }),
      routes: routes.length,
    })),
    upstreams: upstreams.map(({ name, balance, servers, health, tls, stickyCookie }) => ({
      name,
      balance,
      servers: servers.length,
      active: servers.filter(({ state }) => state === 'active').length,
      ...(health && { health: health.kind, interval: formatDuration(health.intervalMs) }),
      ...(tls && { tls: tls.serverName }),
      ...(stickyCookie !== undefined && { sticky: stickyCookie }),
    })),
  };
}

/** Shows a prefix of full length as an address. */
function shortText(prefix: IpPrefix): string {
  return prefix.length === prefix.address.bytes.length * 8 ? prefix.address.text : prefix.text;
}

function summarizePool(pool: PoolConfig) {
  const shareOf = shares(pool.backends);
  return {
    name: pool.name,
    tableSize: pool.tableSize,
    panicThreshold: pool.panicThreshold,
    health: pool.health.map(summarizeHealth),
    deadAfter: formatDuration(pool.deadAfterMs),
    settleTime: formatDuration(pool.settleMs),
    drainDeadline: formatDuration(pool.drainDeadlineMs),
    ...(pool.backendsFrom && { discovered: true }),
    backends: pool.backends.map((backend) => ({ ...summarizeBackend(backend), share: shareOf(backend) })),
    ...(pool.prior && { prior: pool.prior.map(summarizePrior) }),
  };
}

function summarizeHealth(health: HealthConfig) {
  return {
    kind: health.kind,
    tries: triesOf(health),
    interval: formatDuration(health.intervalMs),
    timeout: formatDuration(health.timeoutMs),
    rise: health.rise,
    fall: health.fall,
  };
}

function triesOf(health: HealthConfig): string[] {
  if (health.kind === 'tunnel') return health.endpoints.map(({ vip, port }) => `${vip.text} port ${port}`);
  const hasPath = (health.kind === 'http' || health.kind === 'https') && health.path !== '/';
  return [`port ${health.port}${hasPath ? ` ${health.path}` : ''}`];
}

function summarizePrior(backend: PriorBackendConfig) {
  return { ...summarizeBackend(backend), health: backend.health };
}

function summarizeBackend({ name, address, weight, state, agent, id }: BackendConfig) {
  return { name, address: address.text, weight, state, agent, id };
}

/**
 * A backend's share of the slots while all are up, 0 to 1; the table comes close to it (`anyhop table`). Active backends share by
 * weight; without any, the draining ones do (src/table/eligible.ts).
 */
function shares(backends: readonly BackendConfig[]): (backend: BackendConfig) => number {
  const weightOf = (state: string) =>
    backends.reduce((sum, backend) => sum + (backend.state === state ? backend.weight : 0), 0);
  const owning = weightOf('active') > 0 ? 'active' : 'draining';
  const total = Math.max(1, weightOf(owning));
  return (backend) => (backend.state === owning ? backend.weight / total : 0);
}
