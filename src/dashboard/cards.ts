/**
 * From what a node says about itself to what the page shows: NodeStatus and EventsReport to values of the board (wire.ts). Pure. Every text
 * that came from elsewhere (reasons of checks, messages of agents) becomes one safe line here.
 */
import type { EventsReport } from '../api/api.js';
import type { BackendStatus, NodeStatus, PoolStatus, ServiceStatus } from '../api/status.js';
import { VERDICTS } from '../core/layout.gen.js';
import { printable } from '../core/printable.js';
import type { BackendCard, EventCard, Glance, NodeCard, PoolCard, ServiceCard, VerdictCard } from './wire.js';

/** What the keys of a status begin with. */
export const STATUS_PREFIXES = ['node', 'service/', 'pool/', 'backend/', 'rates/', 'verdicts'] as const;
export const EVENT_PREFIXES = ['event/'] as const;
const EVENT_CHARS_MAX = 600;

const ACTIONS = new Map(VERDICTS.map((verdict) => [verdict.name, verdict]));

export function cardsOf(status: NodeStatus): Map<string, unknown> {
  const cards = new Map<string, unknown>();
  cards.set('node', nodeCard(status));
  const readiness = new Map(status.readiness.services.map((service) => [service.name, service]));
  for (const service of status.services)
    cards.set(`service/${service.name}`, serviceCard(service, readiness.get(service.name)));
  cards.set('rates/services', ratesOf(status.services));
  for (const pool of status.pools) {
    cards.set(`pool/${pool.name}`, poolCard(pool));
    cards.set(`rates/pool/${pool.name}`, ratesOf(pool.backends));
    for (const backend of pool.backends)
      cards.set(`backend/${pool.name}/${backend.name}`, backendCard(backend));
  }
  cards.set('verdicts', verdictCards(status));
  return cards;
}

export function eventCards({ events }: EventsReport): Map<string, unknown> {
  const cards = new Map<string, unknown>();
  const count = new Map<string, number>();
  for (const { at, level, event, message } of events) {
    const number = count.get(at) ?? 0;
    count.set(at, number + 1);
    const card: EventCard = { at, level, event, message: printable(message, EVENT_CHARS_MAX) };
    cards.set(`event/${at}/${number}`, card);
  }
  return cards;
}

export function glanceOf(status: NodeStatus): Glance {
  const backends = status.pools.flatMap((pool) => pool.backends);
  const drops = Object.entries(status.verdicts).filter(([name]) => ACTIONS.get(name)?.action === 'drop');
  return {
    node: status.node,
    version: status.version,
    ready: status.readiness.ready,
    reasons: status.readiness.reasons.map((reason) => printable(reason)),
    engine: status.engine.name,
    packetsPerSecond: Math.round(sum(status.services.map((service) => service.packetsPerSecond))),
    bytesPerSecond: Math.round(sum(status.services.map((service) => service.bytesPerSecond))),
    dropsPerSecond: Math.round(sum(drops.map(([, verdict]) => verdict.packetsPerSecond))),
    backends: {
      total: backends.length,
      up: backends.filter((backend) => healthOf(backend) === 'up').length,
      draining: backends.filter(({ state }) => state === 'draining').length,
    },
    digests: Object.fromEntries(status.pools.map(({ name, digests }) => [name, digests.owners])),
  };
}

function nodeCard(status: NodeStatus): NodeCard {
  const { engine, readiness, config, image } = status;
  return {
    node: status.node,
    version: status.version,
    startedAt: status.startedAt,
    interface: status.interface,
    engine: engine.name,
    engineReason: printable(engine.reason),
    generation: image.generation,
    ready: readiness.ready,
    reasons: readiness.reasons.map((reason) => printable(reason)),
    config: {
      file: printable(config.file),
      loadedAt: config.loadedAt,
      ...(config.refused && { refused: printable(config.refused.message, EVENT_CHARS_MAX) }),
    },
    ...(image.failed !== undefined && { imageFailed: printable(image.failed) }),
    services: status.services.map(({ name }) => name),
    pools: status.pools.map(({ name }) => name),
  };
}

function serviceCard(
  { vip, protocol, portFirst, portLast, pool }: ServiceStatus,
  readiness: { readonly ready: boolean; readonly reason?: string } | undefined,
): ServiceCard {
  return {
    vip,
    protocol,
    ports: portFirst === portLast ? `${portFirst}` : `${portFirst}-${portLast}`,
    pool,
    ready: readiness?.ready ?? false,
    ...(readiness?.reason !== undefined && { reason: printable(readiness.reason) }),
  };
}

function poolCard({ mode, slots, digests, backends, change }: PoolStatus): PoolCard {
  return {
    mode,
    slots,
    digest: digests.owners,
    backends: backends.map(({ name }) => name),
    ...(change.settlesAt !== undefined && { settlesAt: change.settlesAt }),
    queued: change.queued.flatMap(({ changes }) => changes.map((text) => printable(text))),
  };
}

function backendCard(backend: BackendStatus): BackendCard {
  const { address, weight, state, healthReason, healthSince, slots, drain, agent, nextHop } = backend;
  const health = healthOf(backend);
  const reason = healthReason ?? ('missing' in nextHop ? nextHop.missing : undefined);
  return {
    address,
    weight,
    state,
    health,
    ...(health !== 'up' && reason !== undefined && { reason: printable(reason) }),
    since: healthSince,
    slots,
    connections: agent?.connections ?? null,
    ...(drain && {
      drain: {
        since: drain.since,
        deadline: drain.deadline,
        left: drain.connections,
        ...(drain.unknown !== undefined && { unknown: printable(drain.unknown) }),
        done: drain.done,
      },
    }),
    ...(agent?.why !== undefined && { agentSilent: printable(agent.why) }),
  };
}

function healthOf({ health, reachable }: BackendStatus): BackendCard['health'] {
  return health === 'up' && !reachable ? 'unreachable' : health;
}

function verdictCards({ verdicts }: NodeStatus): VerdictCard[] {
  return Object.entries(verdicts).map(([name, { packets, packetsPerSecond }]) => {
    const { action = 'drop', description = '' } = ACTIONS.get(name) ?? {};
    return { name, action, meaning: description, packets, packetsPerSecond: Math.round(packetsPerSecond) };
  });
}

/** Packets and bytes a second of each, one after the other. */
function ratesOf(
  counted: readonly { readonly packetsPerSecond: number; readonly bytesPerSecond: number }[],
): number[] {
  return counted.flatMap(({ packetsPerSecond, bytesPerSecond }) => [
    Math.round(packetsPerSecond),
    Math.round(bytesPerSecond),
  ]);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
