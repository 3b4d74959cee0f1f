/**
 * Backends over all nodes: who is down and why, since when, and what a drain still waits for. Each node checks for itself, so nodes can
 * disagree; a row tells the worst that any node says, and which nodes say it.
 */
import type { AgentStatus, BackendStatus, DrainStatus, Traffic } from '../api/status.js';
import { gathered, sum } from './gather.js';
import { type Source, since } from './seen.js';

/** From the best to the worst. `drained`: it drains and has no connection left. */
export const BACKEND_STATES = ['up', 'drained', 'draining', 'unreachable', 'down', 'dead'] as const;
export type BackendState = (typeof BACKEND_STATES)[number];

export interface BackendRow extends Traffic {
  readonly pool: string;
  readonly name: string;
  readonly address: string;
  readonly weight: number;
  readonly state: BackendState;
  /** Whether it is up and takes new flows on every node. */
  readonly isUp: boolean;
  /** By config or command: no new flows, whatever its state. */
  readonly isDraining: boolean;
  /** Milliseconds since its health is what it is, on the node that says the worst. */
  readonly sinceMs?: number | undefined;
  /** Why it is not up, as the node says that says the worst. */
  readonly reason?: string | undefined;
  /** Nodes on which it is not up. */
  readonly downOn: readonly string[];
  /** How many nodes have it. */
  readonly nodes: number;
  /** Slots that it owns, by the first node. */
  readonly slots: number;
  /** The newest word of its agent; absent when it runs none or was not asked yet. */
  readonly agent?: AgentStatus | undefined;
  /** While it drains. */
  readonly drain?: DrainStatus | undefined;
  /** The last of its checks that took longest, on the node that says the worst; absent before the first result, and without checks. */
  readonly check?: SlowestCheck | undefined;
}

export interface SlowestCheck {
  /** `http 9612`. */
  readonly name: string;
  readonly tookMs: number;
  /** Milliseconds since it ended. */
  readonly ageMs?: number | undefined;
}

export function backendRows(sources: readonly Source[], now: number): BackendRow[] {
  const all = gathered(sources, ({ status }) => eachBackend(status.pools));
  return [...all.values()].map((seen) => {
    const [first] = seen;
    const { pool, backend } = first.thing;
    const backends = seen.map(({ thing }) => thing.backend);
    const worst = backends.reduce((one, other) => (badness(other) > badness(one) ? other : one));
    const state = stateOf(worst);
    const downOn = seen.flatMap(({ source, thing }) => (isDown(thing.backend) ? [source.name] : []));
    return {
      pool,
      name: backend.name,
      address: backend.address,
      weight: backend.weight,
      state,
      isUp: backends.every((one) => stateOf(one) === 'up'),
      isDraining: backends.some((one) => one.state === 'draining'),
      sinceMs: since(
        state === 'draining' || state === 'drained' ? worst.drain?.since : worst.healthSince,
        now,
      ),
      reason: reasonOf(worst),
      downOn,
      nodes: seen.length,
      slots: backend.slots,
      agent: newestAgent(backends),
      drain: backends
        .flatMap(({ drain }) => drain ?? [])
        .reduce<DrainStatus | undefined>(furthestBack, undefined),
      check: slowestCheck(worst, now),
      ...sum(backends),
    };
  });
}

export function stateOf({ health, reachable, state, drain }: BackendStatus): BackendState {
  if (health !== 'up') return health;
  if (!reachable) return 'unreachable';
  if (state === 'draining') return drain?.done ? 'drained' : 'draining';
  return 'up';
}

/** Whether it takes no packet, though it may have to. */
export function isDown(backend: BackendStatus): boolean {
  return badness(backend) >= BACKEND_STATES.indexOf('unreachable');
}

function badness(backend: BackendStatus): number {
  return BACKEND_STATES.indexOf(stateOf(backend));
}

function* eachBackend(
  pools: Source['status']['pools'],
): Iterable<readonly [string, { readonly pool: string; readonly backend: BackendStatus }]> {
  for (const { name: pool, backends } of pools)
    for (const backend of backends) yield [`${pool}/${backend.name}`, { pool, backend }];
}

function reasonOf(backend: BackendStatus): string | undefined {
  if (!isDown(backend)) return undefined;
  return backend.healthReason ?? ('missing' in backend.nextHop ? backend.nextHop.missing : undefined);
}

/** Every node asks the same agent. */
function newestAgent(backends: readonly BackendStatus[]): AgentStatus | undefined {
  return backends
    .flatMap(({ agent }) => agent ?? [])
    .reduce<AgentStatus | undefined>(
      (one, other) => (one === undefined || other.at > one.at ? other : one),
      undefined,
    );
}

/** A drain is done when it is done on every node. One that nobody can count is further back than any number. */
function furthestBack(one: DrainStatus | undefined, other: DrainStatus): DrainStatus {
  if (one === undefined || (one.done && !other.done)) return other;
  if (other.done && !one.done) return one;
  return (other.connections ?? Number.POSITIVE_INFINITY) > (one.connections ?? Number.POSITIVE_INFINITY)
    ? other
    : one;
}

function slowestCheck({ checks = [] }: BackendStatus, now: number): SlowestCheck | undefined {
  return checks
    .flatMap(({ name, last }) =>
      last === undefined ? [] : { name, tookMs: last.tookMs, ageMs: since(last.at, now) },
    )
    .reduce<SlowestCheck | undefined>(
      (one, other) => (one === undefined || other.tookMs > one.tookMs ? other : one),
      undefined,
    );
}
