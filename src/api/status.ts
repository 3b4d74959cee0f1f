/**
 * What a running node says about itself: engine, what is in force, who is up, and what has been counted. One plain object,
 * which `GET /status` returns and `anyhop status` draws. Names are stable; more may be added.
 */
import type { HashMode } from '../config/types.js';
import type { EngineCounters } from '../engine/contract.js';
import type { Health } from '../table/state.js';
import type { PathReportCounts } from '../underlay/path-mtus.js';
import type { DefendSummary } from './defend.js';

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
  /** Names it in GRE keys; 0: none can. */
  readonly id: number;
  /** Whether, by the config, an agent runs there: it takes GRE with a key. */
  readonly hasAgent: boolean;
  readonly weight: number;
  readonly state: 'active' | 'draining';
  /** `dead` is down for longer than the pool's dead_after. */
  readonly health: Health;
  /** What is wrong; of one that is up only where this node sees it down and its fleet does not. */
  readonly healthReason?: string;
  /** ISO 8601: since when it is up, or not. */
  readonly healthSince: string;
  /** Whether link, route and neighbour are there for its packets; one that cannot be reached is not up. */
  readonly reachable: boolean;
  /** How it is checked: `tunnel`, or all that must pass, `tunnel, http 9612`; absent when it is not. */
  readonly check?: string;
  /** Its checks one by one, in the order of the file; absent when it has none. */
  readonly checks?: readonly CheckStatus[];
  /** Slots that it owns. */
  readonly slots: number;
  /** While it drains. */
  readonly drain?: DrainStatus;
  /** Absent when it runs none. */
  readonly agent?: AgentStatus;
  /** Where its packets leave, or why they cannot. */
  readonly nextHop: NextHopStatus | { readonly missing: string };
}

/** A check of a backend. */
export interface CheckStatus {
  /** `tunnel`, `http 9612`. */
  readonly name: string;
  /** Whether it counts as passed, by `rise` and `fall`; absent before its first result. */
  readonly passes?: boolean;
  /** The last one that has ended; absent before the first. */
  readonly last?: {
    /** ISO 8601: when it ended. */
    readonly at: string;
    /** How long it took, in milliseconds. */
    readonly tookMs: number;
    /** `not_made`: this host could not make it, which says nothing of the backend. */
    readonly outcome: 'good' | 'failed' | 'not_made';
    /** Why it was not good. */
    readonly reason?: string;
  };
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
  /** VIPs of the pool's services that its host does not have, so that it drops their packets; absent when it has all. */
  readonly missingVips?: readonly string[];
  /** VIPs of the pool's TCP services that its config does not have; absent when it has all. */
  readonly unknownVips?: readonly string[];
  /** TCP connections to these. */
  readonly connections?: number;
  /** Whether its host asks to be drained. */
  readonly draining?: boolean;
}

/** How far a drain has come. */
export interface DrainStatus {
  /**
   * Who says that it drains: the config file, a command, its own agent. Empty when the file no longer has the backend; absent in answers of
   * nodes of a version before.
   */
  readonly askedBy?: readonly ('file' | 'runtime' | 'agent')[];
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

/** Planned changes of a pool that are settling, and those that wait for them. */
export interface PoolChangeStatus {
  /** ISO 8601: the last one; absent when nothing settles. */
  readonly settlesAt?: string;
  /** While the flow hash key changes: the former one, which packets are hashed with too. */
  readonly formerKey?: FormerKeyStatus;
  /** ISO 8601: states were in force until then that had to make room in the memory; absent when none had to. */
  readonly forgottenUntil?: string;
  /** Backends that drain and still have connections, for which the first that is queued waits; absent when for none. */
  readonly waitsFor?: readonly string[];
  /** The next one first. */
  readonly queued: readonly QueuedStatus[];
}

export interface FormerKeyStatus {
  /** Fingerprint of its secret. */
  readonly id: string;
  /** ISO 8601: when no connection is left of it at the latest. */
  readonly until: string;
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

/** A member of a remembered state. */
export interface FormerStatus {
  readonly name: string;
  readonly address: string;
  readonly weight: number;
  readonly state: 'active' | 'draining';
  readonly health: 'up' | 'down';
  /** As it is now. */
  readonly reachable: boolean;
}

/** What was said at runtime and not by the file; the other fields of the backend are the file's, if the file has it. */
export interface OverrideStatus {
  readonly pool: string;
  readonly backend: string;
  readonly state?: 'active' | 'draining';
  readonly weight?: number;
  /** Absent when the file has the backend, and it is to stay. */
  readonly member?: 'added' | 'removed';
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
  /** Others that were in force within the settle time, the newest first: what the alternates are resolved by. */
  readonly remembered: readonly (readonly FormerStatus[])[];
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

/** What a process knows of the fleet whose config it goes by. */
export interface FleetStatus {
  readonly name: string;
  /** In force here; 0 for none. */
  readonly revision: number;
  /** In force in the fleet, as the store said last; null before it did. */
  readonly revisionOfFleet: number | null;
  /** Ready to come here. */
  readonly prepared?: number;
  /** Why it has another revision than the fleet; absent when it has not. */
  readonly behind?: string;
  readonly store: {
    /** ISO 8601; null before it did. */
    readonly answeredAt: string | null;
    /** Absent while it answers. */
    readonly fault?: { readonly since: string; readonly why: string };
  };
}

/** What a source says of the backends of a pool, or the servers of an upstream: one of both is named. */
export interface DiscoveryStatus {
  readonly pool?: string;
  readonly upstream?: string;
  /** In words: a path, a URL. */
  readonly source: string;
  /** ISO 8601; null before it did. */
  readonly answeredAt: string | null;
  /** How many it named last; null before it did. */
  readonly backends?: number | null;
  readonly servers?: number | null;
  /** Why it is not followed; absent when it is. */
  readonly alarm?: { readonly kind: string; readonly text: string; readonly since: string };
  /** What a change waits for. */
  readonly waits?: readonly string[];
}

/** The revision of its fleet that a node has in force. */
export interface RevisionReport {
  readonly number: number;
  /** As the operator signed it. */
  readonly record: string;
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
  /** Nodes with different ones send nearly every flow to different backends. */
  readonly flowHashVersion: number;
  readonly readiness: Readiness;
  readonly config: ConfigFileStatus;
  /** Absent for a node whose config is in no store. */
  readonly fleet?: FleetStatus;
  /** Absent where this node asks no source. */
  readonly discovery?: readonly DiscoveryStatus[];
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
  /** Absent when no service has rules against floods. */
  readonly defend?: DefendSummary;
  /** What routers said about packets that are too big, and taught nothing. */
  readonly pathReports: Readonly<PathReportCounts>;
  /** Those that happened, by name. */
  readonly verdicts: Readonly<Record<string, VerdictStatus>>;
}
