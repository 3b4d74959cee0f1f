/**
 * What can be asked of a running node, and told to it: the contract between the control socket (routes.ts) and the node
 * behind it (node.ts). Plain JSON in both directions. Names are stable; more may be added.
 *
 * What goes wrong comes back as {error: {code, message, hint?, problems?}} with a status of 4xx, and changed nothing; 5xx is a
 * fault of the node. Of what is wrong with the request itself: 400 ERR_REQUEST (a field; it is named), ERR_HTTP; 404 ERR_NOT_FOUND;
 * 405 ERR_METHOD; 408 ERR_TIMEOUT; 413 and 431 ERR_TOO_LARGE; 415 ERR_CONTENT_TYPE; 417 ERR_EXPECTATION. 429 ERR_BUSY: too many
 * changes wait for their turn, too many clients follow, or somebody captures already. A connection takes one request.
 */
import type { BackendEdit } from '../config/edit/wanted.js';
import type { ConfigProblem } from '../config/error.js';
import type { EventsReport } from '../events/event.js';
import type { EventsQuery } from '../events/ring.js';
import type { Endpoint } from '../packet/compose.js';
import type { OverridePatch } from '../pool/override.js';
import type { PoolPlan } from '../pool/plan.js';
import type { Health } from '../table/state.js';
import type { CaptureFields, CaptureReport } from './capture.js';
import type { DefendActions } from './defend.js';
import type { Feed } from './followers.js';
import type { InForceReport, Moment } from './in-force.js';
import type { Recorded } from './recorders.js';
import type { NodeStatus, QueuedStatus, Readiness, RevisionReport } from './status.js';
import type { TraceQuestion, TraceReport } from './trace.js';

export type { EventsReport, NodeEvent } from '../events/event.js';

export interface ControlActions extends DefendActions {
  status(): Promise<NodeStatus>;
  /** Answers at any time, also while the node starts or stops. @throws ControlError 404 for a service that is not there */
  ready(service: string | undefined): Readiness;
  /** Answers at any time. @throws ControlError 404 for a node in no fleet, or without a revision */
  revision(): RevisionReport;
  /** Lines of follow.ts, from the start of the node to its end. */
  follow(): Feed;
  /** What `record` can be asked for. */
  capture(): Promise<CaptureReport>;
  /**
   * What an engine records in this process. Begins when it is answered.
   * @throws ControlError 404 for a backend that is not there, 409 for an engine that others read without the node
   */
  record(filter: CaptureFields): Promise<Recorded>;
  /** Answers at any time. */
  events(query: EventsQuery): EventsReport;
  health(): Promise<HealthReport>;
  counters(): Promise<CounterReport>;
  /** @throws ControlError 404 for a pool that is not there */
  tables(pool: string | undefined): Promise<TablesReport>;
  inForce(): Promise<InForceReport>;
  which(flow: Flow): Promise<WhichReport>;
  trace(question: TraceQuestion): Promise<TraceReport>;
  /** @throws ControlError 422 for a config file that is wrong */
  plan(): Promise<PlanReport>;
  /** @throws ControlError 422 for a config file that is wrong, 409 for a change that takes a restart, 429 for a full queue */
  reload(options: ChangeOptions): Promise<ChangeReport>;
  /** @throws ControlError 404 for a backend that no pool has, 429 for a full queue */
  drain(target: BackendTarget, options: ChangeOptions): Promise<ChangeReport>;
  undrain(target: BackendTarget, options: ChangeOptions): Promise<ChangeReport>;
  weight(target: BackendTarget, weight: number, options: ChangeOptions): Promise<ChangeReport>;
  /** What one of these three would do; changes nothing. @throws as these */
  planFor(target: BackendTarget, patch: OverridePatch, options: ChangeOptions): Promise<PlanReport>;
  /**
   * Adds a backend, or drains and removes one.
   * @throws ControlError 404 for a pool or backend that is not there, 409 in a fleet, 422 where the config would be wrong, 429 for a full queue
   */
  edit(edit: MemberEdit, options: ChangeOptions): Promise<ChangeReport>;
  /** What that would do; changes nothing. @throws as `edit` */
  planEdit(edit: MemberEdit, options: ChangeOptions): Promise<PlanReport>;
  changes(): Promise<QueuedReport>;
  /** @throws ControlError 404 for an id that no change that waits has */
  cancel(id: string): Promise<ChangeReport>;
  force(id: string): Promise<ChangeReport>;
}

/** A backend more, or one less. */
export type MemberEdit = Exclude<BackendEdit, { readonly kind: 'set' }>;

export interface Flow {
  readonly protocol: 'tcp' | 'udp';
  /** Both of one family. */
  readonly source: Endpoint;
  readonly destination: Endpoint;
}

export interface WhichReport extends Moment {
  readonly answer: Explanation;
}

export interface ChangeOptions {
  /**
   * Not to wait for one of two changes before it to settle, whatever that breaks. What is said of one backend comes alone; a reload
   * brings all that waits.
   */
  readonly force: boolean;
}

export interface BackendTarget {
  readonly backend: string;
  /** Undefined for every pool that has the backend. */
  readonly pool: string | undefined;
}

/** A request that the node refuses; nothing was changed. */
export class ControlError extends Error {
  override readonly name = 'ControlError';
  /** HTTP. */
  readonly status: number;
  /** Stable, `ERR_...`. */
  readonly code: string;
  readonly hint: string | undefined;
  /** Of a config file, each with its place. */
  readonly problems: readonly ConfigProblem[] | undefined;

  constructor(
    status: number,
    code: string,
    message: string,
    { hint, problems }: { hint?: string | undefined; problems?: readonly ConfigProblem[] } = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.hint = hint;
    this.problems = problems;
  }
}

/** What comes back for a request that is refused, in the place of `error`. */
export interface ErrorReport {
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly problems?: readonly ConfigProblem[] | undefined;
}

export interface HealthReport {
  readonly backends: readonly {
    readonly pool: string;
    readonly backend: string;
    readonly health: Health;
    readonly reason?: string;
    /** ISO 8601. */
    readonly since: string;
  }[];
}

/** Packets and IP bytes since the counters began. */
export interface CounterReport {
  readonly verdicts: Readonly<Record<string, number>>;
  readonly services: Readonly<Record<string, Counted>>;
  /** By `pool/backend`. */
  readonly backends: Readonly<Record<string, Counted>>;
}

export interface Counted {
  readonly packets: number;
  readonly bytes: number;
}

export interface TablesReport {
  readonly generation: number;
  readonly pools: readonly {
    readonly pool: string;
    readonly slots: number;
    /** What the entries of the tables are indexes of. */
    readonly backends: readonly string[];
    /** For each slot an index, or null for none; NONE of table/layers.ts is null too, so that tables need no copy. */
    readonly owners: ArrayLike<number | null>;
    /** The first alternates of all slots, then the second ones. */
    readonly alternates: ArrayLike<number | null>;
  }[];
}

/** What became of a pool that was to change. */
export interface PoolChangeReport {
  readonly pool: string;
  /**
   * `in_force`: the tables have it. `queued`: it waits for one of two changes before it to settle, and for drains to be done. `unchanged`: members, weights and
   * admin states are as they were (or wait already). `added`, `removed`: the pool itself.
   */
  readonly effect: 'in_force' | 'queued' | 'unchanged' | 'added' | 'removed';
  /** In words: `web-2 state active -> draining`; against what is in force, or what waits before it. */
  readonly changes: readonly string[];
  /** Of a queued one. */
  readonly id?: string;
  /** What waited before, and is in force now beside what was asked for: a forced reload brings it. Absent when there is none. */
  readonly came?: readonly QueuedStatus[];
  /** What waited before, and does not come any more: the opposite was asked for, or it was cancelled. Absent when there is none. */
  readonly takenBack?: readonly QueuedStatus[];
  /** ISO 8601: when a queued one comes into force, at the latest. */
  readonly dueAt?: string;
  /** Backends that drain and still have connections, for which a queued one waits; absent when for none. */
  readonly waitsFor?: readonly string[];
  /** ISO 8601: when one that is in force has settled. */
  readonly settlesAt?: string;
}

export interface ChangeReport {
  /** Of the image in force. */
  readonly generation: number;
  readonly pools: readonly PoolChangeReport[];
  /** What changed beside the pools, in words: services, checks, thresholds. */
  readonly changes: readonly string[];
  /** Of the config file, in words with their places. */
  readonly warnings: readonly string[];
}

export interface QueuedReport {
  readonly changes: readonly (QueuedStatus & {
    readonly pool: string;
    /** What it waits for: `web-3 drains`, `web:2`, `one of two changes settles`. */
    readonly waitsFor: readonly string[];
  })[];
}

export interface PlanReport {
  /** What was asked: `reload`, `drain web-2`. */
  readonly of: string;
  /** The file that was compared with what is in force; absent when nothing was read. */
  readonly file?: string;
  readonly pools: readonly (PoolChangeReport & {
    /**
     * What it would move and break when it comes into force; of an `unchanged` pool, what another panic threshold does. Absent for a pool
     * that stays, comes or goes.
     */
    readonly plan?: PoolPlan;
    /** TCP services of the pool that second chance is off for: what `plan` says of it is not theirs. */
    readonly withoutSecondChance?: readonly string[];
    /**
     * ISO 8601: states were in force until then that had to make room in the memory: connections of that time may break, and are not
     * counted. Absent when none had to.
     */
    readonly forgottenUntil?: string;
    /** What waits already and `force` would bring too; absent when there is none. */
    readonly forceBrings?: readonly QueuedStatus[];
    /** Shares (0 to 1) of the flows that `force` would break, by age; empty when nothing has to wait. */
    readonly atRiskByForce: readonly {
      /** ISO 8601: born until then; absent for the youngest. */
      readonly bornUntil?: string;
      readonly share: number;
    }[];
  })[];
  readonly changes: readonly string[];
  readonly warnings: readonly string[];
}

export interface StackEntry {
  readonly backend: string;
  readonly state: 'active' | 'draining';
  readonly health: Health;
  /** No packet gets there from here, whatever its check says. */
  readonly unreachable?: true;
}

export interface Explanation {
  readonly verdict: string;
  readonly meaning: string;
  /** The rest is there when the packet got as far as a slot. */
  readonly service?: string;
  readonly pool?: string;
  /** The keyed flow hash, unsigned. */
  readonly hash?: number;
  readonly slot?: number;
  readonly slots?: number;
  readonly owner?: string | null;
  readonly ownerAddress?: string;
  /** The candidates of the slot, in order; at most two. */
  readonly alternates?: readonly { readonly backend: string; readonly id: number }[];
  /** While the flow hash key changes: the former secret, the flow's slot by it, and who may hold its connections. */
  readonly formerKey?: { readonly id: string; readonly slot: number; readonly holders: readonly string[] };
  /** The GRE key that the packet carries, and the backends that its ids name, in order; absent without one. */
  readonly key?: { readonly word: string; readonly backends: readonly string[] };
  /** Who claimed the slot in each layer, from the first. */
  readonly stack?: readonly StackEntry[];
  /** How the pool's backends were found eligible. */
  readonly mode?: string;
}
