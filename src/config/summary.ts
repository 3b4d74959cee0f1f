/** What a config makes a node do, as plain values without the secret: for `anyhop check`. */

import { formatDuration } from '../core/time.js';
import type { IpPrefix } from '../packet/address.js';
import { formatPorts } from './ports.js';
import type { BackendConfig, Config, HealthConfig, PoolConfig, PriorBackendConfig } from './types.js';

export interface ConfigSummary {
  readonly node?: {
    readonly name: string;
    readonly interface?: string;
    readonly engine: string;
    readonly source: readonly string[];
    readonly secondChancePrefix?: string;
  };
  readonly agent?: { readonly interface?: string; readonly forwarders: readonly string[] };
  readonly pools: readonly PoolSummary[];
  readonly services: readonly ServiceSummary[];
}

export interface PoolSummary {
  readonly name: string;
  readonly tableSize: number;
  readonly panicThreshold: number;
  readonly health?: HealthSummary;
  /** `5m` */
  readonly deadAfter: string;
  readonly settleTime: string;
  readonly drainDeadline: string;
  readonly backends: readonly BackendSummary[];
  readonly prior?: readonly (Omit<BackendSummary, 'share'> & { readonly health: string })[];
}

export interface HealthSummary {
  readonly kind: string;
  /** What is tried: `port 80`, `203.0.113.10 port 80`. */
  readonly tries: readonly string[];
  /** `2s` */
  readonly interval: string;
  readonly timeout: string;
  readonly rise: number;
  readonly fall: number;
}

export interface BackendSummary {
  readonly name: string;
  readonly address: string;
  readonly weight: number;
  readonly state: string;
  readonly agent: boolean;
  /** Of the weight that owns slots while every backend is up, 0 to 1; the table comes near it (`anyhop table`). */
  readonly share: number;
}

export interface ServiceSummary {
  readonly name: string;
  readonly vip: string;
  readonly protocol: string;
  /** `80` or `8000-8999`. */
  readonly port: string;
  readonly pool: string;
  readonly hash: string;
  readonly secondChance: boolean;
}

export function summarize(config: Config): ConfigSummary {
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
        ...(node.secondChancePrefix && { secondChancePrefix: node.secondChancePrefix.text }),
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
  };
}

/** A prefix of full length as the address that it is. */
function shortText(prefix: IpPrefix): string {
  return prefix.length === prefix.address.bytes.length * 8 ? prefix.address.text : prefix.text;
}

function summarizePool(pool: PoolConfig): PoolSummary {
  const shareOf = shares(pool.backends);
  return {
    name: pool.name,
    tableSize: pool.tableSize,
    panicThreshold: pool.panicThreshold,
    ...(pool.health && { health: summarizeHealth(pool.health) }),
    deadAfter: formatDuration(pool.deadAfterMs),
    settleTime: formatDuration(pool.settleMs),
    drainDeadline: formatDuration(pool.drainDeadlineMs),
    backends: pool.backends.map((backend) => ({ ...summarizeBackend(backend), share: shareOf(backend) })),
    ...(pool.prior && { prior: pool.prior.map(summarizePrior) }),
  };
}

function summarizeHealth(health: HealthConfig): HealthSummary {
  return {
    kind: health.kind,
    tries:
      health.kind === 'tunnel'
        ? health.endpoints.map(({ vip, port }) => `${vip.text} port ${port}`)
        : [`port ${health.port}`],
    interval: formatDuration(health.intervalMs),
    timeout: formatDuration(health.timeoutMs),
    rise: health.rise,
    fall: health.fall,
  };
}

function summarizePrior(backend: PriorBackendConfig) {
  return { ...summarizeBackend(backend), health: backend.health };
}

function summarizeBackend({ name, address, weight, state, agent }: BackendConfig) {
  return { name, address: address.text, weight, state, agent };
}

/** By weight among the active backends; when there is none, the draining ones own (src/table/eligible.ts). */
function shares(backends: readonly BackendConfig[]): (backend: BackendConfig) => number {
  const weightOf = (state: string) =>
    backends.reduce((sum, backend) => sum + (backend.state === state ? backend.weight : 0), 0);
  const owning = weightOf('active') > 0 ? 'active' : 'draining';
  const total = Math.max(1, weightOf(owning));
  return (backend) => (backend.state === owning ? backend.weight / total : 0);
}
