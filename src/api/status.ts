/**
 * What a running node says about itself: engine, what is in force, who is up, and what has been counted. One plain object,
 * which `GET /status` returns and `anyhop status` draws. Names are stable; more may be added.
 */
import type { BackendConfig, Config, HashMode, NodeConfig, PoolConfig } from '../config/types.js';
import { VERDICTS } from '../core/layout.gen.js';
import { logLosses } from '../core/log-sink.js';
import { VERSION } from '../core/version.js';
import type { Engine, EngineCounters } from '../engine/contract.js';
import { COUNTERS_PER_ENTRY } from '../forward/counters.js';
import { NONE } from '../table/layers.js';
import type { PoolTables } from '../table/resolve.js';
import { imageDigest } from '../image/inspect.js';
import type { Health, Member } from '../table/state.js';
import type { PathReportCounts } from '../underlay/path-mtus.js';
import type { Assembly } from '../node/assemble.js';
import type { BackendMark } from '../node/marks.js';
import type { Rates } from '../node/rates.js';

/** Packets and IP bytes as received, since the counters began, and a second. */
export interface Traffic {
  readonly packets: number;
  readonly bytes: number;
  readonly packetsPerSecond: number;
  readonly bytesPerSecond: number;
}

export interface BackendStatus extends Traffic {
  readonly name: string;
  readonly address: string;
  readonly weight: number;
  readonly state: 'active' | 'draining';
  /** `dead` is down for longer than the pool's dead_after. */
  readonly health: Health;
  /** What is wrong; absent when it is up. */
  readonly healthReason?: string;
  /** ISO 8601: since when it is up, or not. */
  readonly healthSince: string;
  /** Whether link, route and neighbour are there for its packets; one that cannot be reached is not up. */
  readonly reachable: boolean;
  /** How it is checked; absent when it is not. */
  readonly check?: string;
  /** Slots that it owns. */
  readonly slots: number;
  /** While it drains. */
  readonly drain?: DrainStatus;
  /** Absent when it runs none. */
  readonly agent?: AgentStatus;
  /** Where its packets leave, or why they cannot. */
  readonly nextHop: NextHopStatus | { readonly missing: string };
}

export interface NextHopStatus {
  readonly interface: string;
  readonly mac: string;
  readonly vlan?: number;
  /** At layer 3, in bytes: what is sent at most. */
  readonly mtu: number;
  /** By which router it is less than the route says, and until when that is believed; absent when it is the route's. */
  readonly learned?: { readonly router: string; readonly until: string; readonly routeMtu: number };
  /** The MTU that the route would have to have for IPv6 services; absent when it has. */
  readonly ipv6Needs?: number;
}

/** What a backend's agent reported last. */
export interface AgentStatus {
  readonly reachable: boolean;
  /** ISO 8601: when it was asked. */
  readonly at: string;
  /** Why it is not reachable. */
  readonly why?: string;
  /** The others are there when it is reachable. Of anyhop. */
  readonly version?: string;
  /** ISO 8601: when its process started. */
  readonly startedAt?: string;
  /** VIPs that can have connections, of those that its config has. */
  readonly vips?: readonly string[];
  /** TCP connections to these. */
  readonly connections?: number;
}

/** How far a drain has come. */
export interface DrainStatus {
  /** ISO 8601: since when it drains, and when it counts as done whatever is left. */
  readonly since: string;
  readonly deadline: string;
  /** TCP connections that its agent still has to the pool's VIPs; null when nobody can tell. */
  readonly connections: number | null;
  /** Why nobody can tell; absent when somebody can. */
  readonly unknown?: string;
  /** No connection is left, or the deadline is over. */
  readonly done: boolean;
}

/** A planned change of a pool that is settling, and those that wait for it. */
export interface PoolChangeStatus {
  /** ISO 8601; absent when nothing settles. */
  readonly settlesAt?: string;
  /** Backends that drain and still have connections, for which the first that is queued waits; absent when for none. */
  readonly waitsFor?: readonly string[];
  /** The next one first. */
  readonly queued: readonly QueuedStatus[];
}

export interface QueuedStatus {
  /** `web:3`, for as long as it waits: what `cancel` and `force` take. */
  readonly id: string;
  /** ISO 8601. */
  readonly plannedAt: string;
  /** ISO 8601: at the latest. */
  readonly dueAt: string;
  /** In words, each against what comes before it. */
  readonly changes: readonly string[];
}

/** A member of a prior state. */
export interface PriorStatus {
  readonly name: string;
  readonly weight: number;
  readonly state: 'active' | 'draining';
  readonly health: 'up' | 'down';
  /** As it is now. */
  readonly reachable: boolean;
}

/** What was said at runtime and not by the file; the other fields of the backend are the file's. */
export interface OverrideStatus {
  readonly pool: string;
  readonly backend: string;
  readonly state?: 'active' | 'draining';
  readonly weight?: number;
  /** ISO 8601. */
  readonly since: string;
}

export interface Readiness {
  readonly ready: boolean;
  /** What is missing, or that it stops; empty when ready. */
  readonly reasons: readonly string[];
  /** In the order of the file. */
  readonly services: readonly ServiceReadiness[];
}

export interface ServiceReadiness {
  readonly name: string;
  /** Whether what is sent to it here reaches a backend. */
  readonly ready: boolean;
  /** Why not; absent when it does. */
  readonly reason?: string;
  readonly pool: string;
  /** Of the pool, with those that drain; absent while the node starts. How many are up decides nothing. */
  readonly backends?: { readonly total: number; readonly reachable: number; readonly up: number };
}

export interface ConfigFileStatus {
  readonly file: string;
  /** ISO 8601: when what is in force was read. */
  readonly loadedAt: string;
  /** The last attempt to read it anew, when that failed. */
  readonly refused?: { readonly at: string; readonly message: string };
}

export interface PoolStatus {
  readonly name: string;
  /** `normal`, or in which need its owners were found. */
  readonly mode: string;
  readonly slots: number;
  readonly layers: number;
  readonly panicThreshold: number;
  /** What the alternates are resolved by. */
  readonly prior: readonly PriorStatus[];
  readonly change: PoolChangeStatus;
  readonly digests: { readonly owners: string; readonly alternates: string };
  readonly backends: readonly BackendStatus[];
}

export interface ServiceStatus extends Traffic {
  readonly name: string;
  readonly vip: string;
  readonly protocol: string;
  readonly portFirst: number;
  readonly portLast: number;
  readonly pool: string;
  readonly hash: HashMode;
  readonly secondChance: boolean;
}

export interface VerdictStatus {
  readonly packets: number;
  readonly packetsPerSecond: number;
}

export interface NodeStatus {
  readonly node: string;
  readonly version: string;
  readonly pid: number;
  /** Lines that could not be written to the log, and the last reason; absent when all could. */
  readonly log?: { readonly lost: number; readonly why: string };
  /** ISO 8601. */
  readonly startedAt: string;
  readonly interface: string;
  /** Tells whether two nodes have the same secret; nothing of the secret can be learned from it. */
  readonly keyFingerprint: string;
  readonly readiness: Readiness;
  readonly config: ConfigFileStatus;
  readonly overrides: readonly OverrideStatus[];
  readonly engine: {
    readonly name: string;
    readonly mode: string;
    /** Why this one. */
    readonly reason: string;
    /** Packets; null for what cannot be told. */
    readonly counters: { readonly [Name in keyof EngineCounters]: number | null };
  };
  readonly image: {
    readonly generation: number;
    readonly digest: string;
    readonly bytes: number;
    /** Why what the rest of this status tells is not in force; absent when it is. It is tried again and again. */
    readonly failed?: string;
  };
  readonly services: readonly ServiceStatus[];
  readonly pools: readonly PoolStatus[];
  /** What routers said about packets that are too big, and taught nothing. */
  readonly pathReports: Readonly<PathReportCounts>;
  /** Those that happened, by name. */
  readonly verdicts: Readonly<Record<string, VerdictStatus>>;
}

export interface StatusInput {
  readonly config: Config;
  readonly node: NodeConfig & { readonly interface: string };
  readonly startedAt: Date;
  readonly keyFingerprint: string;
  readonly engine: Engine;
  readonly engineReason: string;
  readonly forwarding: { readonly assembly: Assembly; readonly failure?: string | undefined };
  readonly rates: Rates;
  /** By the text of a backend's address. */
  readonly nextHop: (address: string) => BackendStatus['nextHop'];
  readonly pathReports: () => Readonly<PathReportCounts>;
  /** Of a present member. */
  readonly mark: (pool: PoolConfig, backend: BackendConfig) => BackendMark | undefined;
  readonly readiness: () => Readiness;
  readonly configFile: () => ConfigFileStatus;
  readonly overrides: () => readonly OverrideStatus[];
  /** By the pool's name. */
  readonly change: (pool: string) => PoolChangeStatus;
  /** By the text of a backend's address; undefined before it was asked. */
  readonly agent: (address: string) => AgentStatus | undefined;
  /** Undefined for a member that does not drain. */
  readonly drain: (pool: PoolConfig, backend: BackendConfig) => DrainStatus | undefined;
}

export async function nodeStatus(input: StatusInput): Promise<NodeStatus> {
  const { config, node, engine } = input;
  const engineCounters = await engine.engineCounters();
  const { assembly } = input.forwarding; // after the wait: one that goes with the counters
  const { sample, rate } = input.rates.now();
  const traffic = (kind: 'services' | 'backends', name: string): Traffic => {
    const at = assembly.numbers[kind].of(name) * COUNTERS_PER_ENTRY;
    return {
      packets: sample[kind][at] ?? 0,
      bytes: sample[kind][at + 1] ?? 0,
      packetsPerSecond: rate(kind, at),
      bytesPerSecond: rate(kind, at + 1),
    };
  };
  const losses = logLosses();
  return {
    node: node.name,
    version: VERSION,
    pid: process.pid,
    startedAt: input.startedAt.toISOString(),
    interface: node.interface,
    keyFingerprint: input.keyFingerprint,
    readiness: input.readiness(),
    config: input.configFile(),
    ...(losses !== undefined && { log: { lost: losses.lines, why: losses.why } }),
    overrides: input.overrides(),
    engine: {
      name: engine.name,
      mode: engine.mode,
      reason: input.engineReason,
      counters: {
        received: known(engineCounters.received),
        sent: known(engineCounters.sent),
        sendFailed: known(engineCounters.sendFailed),
        missed: known(engineCounters.missed),
      },
    },
    image: {
      generation: assembly.image.generation,
      digest: imageDigest(assembly.image),
      bytes: assembly.image.bytes.length,
      ...(input.forwarding.failure !== undefined && { failed: input.forwarding.failure }),
    },
    services: config.services.map(
      ({ name, vip, protocol, portFirst, portLast, pool, hash, secondChance }) => ({
        name,
        vip: vip.text,
        protocol,
        portFirst,
        portLast,
        pool,
        hash,
        secondChance,
        ...traffic('services', name),
      }),
    ),
    pools: assembly.pools.map(({ config: pool, state, prior, tables, backends }) => {
      const slots = slotsOf(tables);
      const present = new Set(pool.backends.map(({ name }) => name));
      const marked = new Map(state.map((member) => [member.name, member]));
      return {
        name: pool.name,
        mode: tables.mode,
        slots: pool.tableSize,
        layers: tables.layers,
        panicThreshold: pool.panicThreshold,
        prior: (prior ?? state).map(priorStatus),
        change: input.change(pool.name),
        digests: { owners: tables.ownersDigest, alternates: tables.alternatesDigest },
        backends: backends.flatMap((backend, index): BackendStatus[] => {
          const { name, address, weight, state } = backend;
          if (!present.has(name)) return []; // known from the prior state alone
          const nextHop = input.nextHop(address.text);
          const mark = input.mark(pool, backend);
          if (mark === undefined) return []; // it came into force a moment ago
          const { reason, since } = mark;
          const { health, unreachable } = marked.get(name)!; // by which the tables were made; the mark may be newer
          const drain = input.drain(pool, backend);
          const agent = backend.agent ? input.agent(address.text) : undefined;
          return [
            {
              name,
              address: address.text,
              weight,
              state,
              health,
              ...(health !== 'up' && reason !== undefined && { healthReason: reason }),
              healthSince: since.toISOString(),
              reachable: unreachable !== true,
              ...(pool.health && { check: pool.health.kind }),
              slots: slots[index],
              ...(drain && { drain }),
              ...(agent && { agent }),
              nextHop,
              ...traffic('backends', `${pool.name}/${name}`),
            },
          ];
        }),
      };
    }),
    pathReports: { ...input.pathReports() },
    verdicts: Object.fromEntries(
      VERDICTS.flatMap(({ name }, number): [string, VerdictStatus][] => {
        const packets = sample.verdicts[number] ?? 0;
        return packets === 0 ? [] : [[name, { packets, packetsPerSecond: rate('verdicts', number) }]];
      }),
    ),
  };
}

/** Slots by owner: counted once for each table, not for each who asks. */
const counted = new WeakMap<PoolTables, Uint32Array>();

function slotsOf(tables: PoolTables): Uint32Array {
  const known = counted.get(tables);
  if (known !== undefined) return known;
  const slots = new Uint32Array(tables.names.length);
  for (const owner of tables.owners) if (owner !== NONE) slots[owner]++;
  counted.set(tables, slots);
  return slots;
}

function priorStatus({ name, weight, state, health, unreachable }: Member): PriorStatus {
  return {
    name,
    weight,
    state,
    health: health === 'up' ? 'up' : 'down',
    reachable: unreachable !== true,
  };
}

/** JSON has no NaN. */
function known(count: number): number | null {
  return Number.isNaN(count) ? null : count;
}
