/**
 * What travels from a node's dashboard to the page in the browser. Plain JSON, made of the rows of src/view, so that the page says what
 * `anyhop top` says.
 *
 * The page shows a board: values by key. A stream (`/api/stream`, server-sent events) tells all of it at first and then, once a second, only
 * the values that changed. So what changes every second (rates, ages) stands apart from what does not, and moments stand for ages. Keys:
 *
 *   here               HereCard          the node whose dashboard this is
 *   summary            SummaryCard
 *   troubles           TroubleCard[]     the worst first
 *   node/LABEL         NodeCard          a node of the fleet, this one too
 *   service/NAME       ServiceCard
 *   pool/NAME          PoolCard
 *   backend/POOL/NAME  BackendCard
 *   rates/services     number[]          packets and bytes a second of each service, in the order of HereCard.services
 *   rates/pool/NAME    number[]          of each backend, in the order of PoolCard.members: the same, and TCP connections; -1 when nobody
 *                                        can tell these
 *   verdicts           VerdictCard[]
 *   event/AT/NODE/N    EventRow
 */
import type { BackendRow } from '../view/backends.js';
import type { Summary } from '../view/fleet.js';
import type { NodeDetail, NodeRow } from '../view/nodes.js';
import type { PoolRow } from '../view/pools.js';
import type { ServiceRow } from '../view/services.js';
import type { Trouble } from '../view/troubles.js';
import type { VerdictRow } from '../view/verdicts.js';

export interface Update {
  /** Nothing that was told before holds: the first of a stream. */
  readonly first?: true;
  /** How long ago a node answered last, in milliseconds; null when none has yet. */
  readonly ageMs: number | null;
  /** No node answers, and why this one does not; absent when one does. */
  readonly silent?: string;
  readonly set: Readonly<Record<string, unknown>>;
  /** Keys that are gone. */
  readonly gone: readonly string[];
}

export interface HereCard {
  readonly node: string;
  readonly nodes: readonly string[];
  readonly services: readonly string[];
  readonly pools: readonly string[];
}

export type SummaryCard = Summary & {
  /** Troubles beyond those that are told. */
  readonly more: number;
};
export type TroubleCard = Pick<Trouble, 'level' | 'kind' | 'text'>;

/** Moments as milliseconds since 1970, whole seconds. */
export interface NodeCard extends Pick<NodeRow, 'label' | 'name' | 'state' | 'reasons'> {
  /** When it answered last; absent while it answers, and when it never did. */
  readonly heardAt?: number | undefined;
  readonly detail?: (Omit<NodeDetail, 'upMs'> & { readonly startedAt?: number | undefined }) | undefined;
}

type Rates = 'packets' | 'bytes' | 'packetsPerSecond' | 'bytesPerSecond';
export type ServiceCard = Omit<ServiceRow, Rates>;
export type PoolCard = Omit<PoolRow, 'name'> & { readonly members: readonly string[] };

export interface VerdictCard extends VerdictRow {
  /** Of a drop: nodes where it happens now, the busiest first. */
  readonly on: readonly { readonly node: string; readonly packetsPerSecond: number }[];
}

export interface BackendCard
  extends Pick<
    BackendRow,
    'address' | 'weight' | 'state' | 'isDraining' | 'downOn' | 'nodes' | 'slots' | 'drain'
  > {
  /** Why it is not up. */
  readonly reason?: string | undefined;
  /** Since when its state is what it is. */
  readonly since?: number | undefined;
  /** Why its agent does not answer; absent when it does, or there is none. */
  readonly agentSilent?: string | undefined;
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
  /** Of these, those that are not the backend's before a drain or after it: only where the mode of the pool changes, as in a panic. */
  readonly ofOthers: number;
  readonly slots: number;
  /** Who gets how many of them; the most first. */
  readonly to: readonly { readonly backend: string; readonly slots: number }[];
  /** Base64 of 16-bit numbers, little-endian: the owner of each slot after the change, by the backends of SlotsReport. */
  readonly owners: string;
}
