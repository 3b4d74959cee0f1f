/**
 * What travels from a node's dashboard to the page in the browser, and between the dashboards of a fleet. Plain JSON.
 *
 * The page shows a board: values by key. A stream (`/api/stream`, server-sent events) tells all of it at first and then, once a second, only
 * the values that changed. Keys:
 *
 *   node               NodeCard          of this node
 *   peer/NAME          PeerCard          of a node of the fleet, this one too
 *   service/NAME       ServiceCard
 *   pool/NAME          PoolCard
 *   backend/POOL/NAME  BackendCard
 *   rates/services     number[]          packets and bytes a second of each service, in the order of NodeCard.services
 *   rates/pool/NAME    number[]          the same of each backend, in the order of PoolCard.backends
 *   verdicts           VerdictCard[]
 *   event/AT/N         EventCard
 */

export interface Update {
  /** Nothing that was told before holds: the first of a stream. */
  readonly first?: true;
  /** How long ago the node answered last, in milliseconds; null when it has not answered yet. */
  readonly ageMs: number | null;
  /** Why it does not answer; absent when it did. */
  readonly silent?: string;
  readonly set: Readonly<Record<string, unknown>>;
  /** Keys that are gone. */
  readonly gone: readonly string[];
}

export interface NodeCard {
  readonly node: string;
  readonly version: string;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly interface: string;
  readonly engine: string;
  readonly engineReason: string;
  readonly generation: number;
  readonly ready: boolean;
  /** Why it is not ready; empty when it is. */
  readonly reasons: readonly string[];
  readonly config: { readonly file: string; readonly loadedAt: string; readonly refused?: string };
  /** Why the image in force is an older one; absent when it is not. */
  readonly imageFailed?: string;
  /** In the order of the file. */
  readonly services: readonly string[];
  readonly pools: readonly string[];
}

/** A node at a glance. */
export interface Glance {
  readonly node: string;
  readonly version: string;
  readonly ready: boolean;
  readonly reasons: readonly string[];
  readonly engine: string;
  readonly packetsPerSecond: number;
  readonly bytesPerSecond: number;
  readonly dropsPerSecond: number;
  readonly backends: { readonly total: number; readonly up: number; readonly draining: number };
  /** Of the owners of each pool: equal on all nodes whose config and health marks are equal. */
  readonly digests: Readonly<Record<string, string>>;
}

export interface PeerCard {
  readonly name: string;
  readonly isSelf: boolean;
  /** What it said last; absent when it has not answered yet. */
  readonly glance?: Glance;
  /** ISO 8601: when it answered last. */
  readonly heardAt?: string;
  /** Why it does not answer, and since when (ISO 8601); absent when it does. */
  readonly silent?: { readonly why: string; readonly since: string };
  /** Pools whose tables differ from this node's; empty when none do. */
  readonly differs: readonly string[];
}

export interface ServiceCard {
  readonly vip: string;
  readonly protocol: string;
  /** `80`, or `8000-8010`. */
  readonly ports: string;
  readonly pool: string;
  readonly ready: boolean;
  readonly reason?: string;
}

export interface PoolCard {
  /** `normal`, or the need in which owners were found. */
  readonly mode: string;
  readonly slots: number;
  readonly digest: string;
  readonly backends: readonly string[];
  /** ISO 8601: when what changed last has settled; absent when all has. */
  readonly settlesAt?: string;
  /** Changes that wait, in words. */
  readonly queued: readonly string[];
}

export interface BackendCard {
  readonly address: string;
  readonly weight: number;
  readonly state: 'active' | 'draining';
  /** `unreachable`: no next hop, whatever its check says. */
  readonly health: 'up' | 'down' | 'dead' | 'unreachable';
  /** Why it is not up. */
  readonly reason?: string;
  /** ISO 8601: since when it is up, or not. */
  readonly since: string;
  readonly slots: number;
  /** TCP connections that its agent counts; null when nobody can tell. */
  readonly connections: number | null;
  readonly drain?: {
    readonly since: string;
    readonly deadline: string;
    readonly left: number | null;
    readonly unknown?: string;
    readonly done: boolean;
  };
  /** Why its agent does not answer; absent when it does, or there is none. */
  readonly agentSilent?: string;
}

export interface VerdictCard {
  readonly name: string;
  readonly action: string;
  readonly meaning: string;
  readonly packets: number;
  readonly packetsPerSecond: number;
}

export interface EventCard {
  readonly at: string;
  readonly level: 'info' | 'warn' | 'error';
  readonly event: string;
  readonly message: string;
}

/** `/api/slots?pool=NAME`. */
export interface SlotsReport {
  readonly pool: string;
  readonly generation: number;
  readonly digest: string;
  readonly slots: number;
  /** What the entries of the tables are indexes of; 65535 is none. */
  readonly backends: readonly string[];
  /** Base64 of 16-bit numbers, little-endian: the owner of each slot. */
  readonly owners: string;
  /** The same: the first alternates of all slots, then the second ones. */
  readonly alternates: string;
}

/** `/api/moves?pool=NAME&backend=NAME`: what would move if the backend drained, or drained no more. */
export interface MovesReport {
  readonly pool: string;
  readonly backend: string;
  readonly generation: number;
  /** `drain` of a backend that is active; `undrain` of one that drains. */
  readonly change: 'drain' | 'undrain';
  /** Slots that get another owner. */
  readonly moved: number;
  readonly slots: number;
  /** Who gets how many of them; the most first. */
  readonly to: readonly { readonly backend: string; readonly slots: number }[];
  /** Base64 of 16-bit numbers, little-endian: the owner of each slot after the change, by the backends of SlotsReport. */
  readonly owners: string;
}
