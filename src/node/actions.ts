/**
 * What a node answers and does when it is asked over its control socket: the contract (api.ts) over its pools and what it
 * forwards. Nothing here is on the packet path.
 *
 *   a whole config ------ config-changes.ts --\
 *   one backend --------- backend-changes.ts --> action-parts.ts: change --> NodePools
 *   a change that waits - queued-changes.ts --/
 */
import { resolve } from 'node:path';
import {
  type BackendTarget,
  type ChangeOptions,
  type ChangeReport,
  type ControlActions,
  ControlError,
  type CounterReport,
  type EventsReport,
  type Flow,
  type HealthReport,
  type MemberEdit,
  type PlanReport,
  type QueuedReport,
  type TablesReport,
  type WhichReport,
} from '../api/api.js';
import type { CaptureFields, CaptureReport } from '../api/capture.js';
import type { BlockReport, DefendReport, DefendTopReport, ListedPrefixes } from '../api/defend.js';
import type { Feed } from '../api/followers.js';
import type { InForceReport, Moment } from '../api/in-force.js';
import type { Recorded } from '../api/recorders.js';
import type { ConfigFileStatus, NodeStatus, Readiness, RevisionReport } from '../api/status.js';
import type { TraceQuestion, TraceReport } from '../api/trace.js';
import type { EventsQuery } from '../events/ring.js';
import type { OverridePatch } from '../pool/override.js';
import { type ActionParts, actionParts, type NodeActionsOptions, started } from './action-parts.js';
import type { Assembly } from './assemble.js';
import { editBackend, planEdit, planOfBackend, sayOfBackend } from './backend-changes.js';
import { captureReport, recorded } from './captures.js';
import { queuedReport } from './change-reports.js';
import { ConfigChanges } from './config-changes.js';
import { explain } from './explain.js';
import { inForceReport } from './in-force.js';
import { noPool, serviceNamed } from './named.js';
import { counterReport, healthReport, tablesReport } from './node-reports.js';
import { cancelQueued, forceQueued } from './queued-changes.js';
import { traceReport } from './trace.js';

export class NodeActions implements ControlActions {
  readonly #parts: ActionParts;
  /** Other configs for the node, as its fleet and what it finds of backends ask for them. */
  readonly config: ConfigChanges;

  constructor(options: NodeActionsOptions) {
    this.#parts = actionParts(options);
    this.config = new ConfigChanges(this.#parts);
  }

  /** When the config in force was read, and why the last one was refused. */
  get configFile(): ConfigFileStatus {
    return this.#parts.file.status;
  }

  async status(): Promise<NodeStatus> {
    return started(this.#parts).status();
  }

  ready(service?: string): Readiness {
    const readiness = this.#parts.readiness();
    if (service === undefined) return readiness;
    const found = serviceNamed(service, readiness.services);
    const { ready, reason } = found;
    return { ready, reasons: reason === undefined ? [] : [reason], services: [found] };
  }

  revision(): RevisionReport {
    const revision = this.#parts.revision();
    if (revision !== undefined) return { number: revision.number, record: revision.record };
    throw new ControlError(404, 'ERR_NOT_FOUND', 'this node has no revision of a fleet', {
      hint: '`anyhop status` says whether it is in one.',
    });
  }

  /** Digests of the owners in force, by pool; empty until the node forwards. */
  owners(): Record<string, string> {
    const pools = this.#parts.forwarded()?.forwarding.assembly.pools ?? [];
    return Object.fromEntries(pools.map(({ name, tables }) => [name, tables.ownersDigest]));
  }

  /** Fingerprints of the secret in force, and of all that the key file has by now. */
  keys(): { readonly inForce: string; readonly held: string[] } {
    return this.#parts.keys.held(this.#parts.pools.file.node);
  }

  follow(): Feed {
    return this.#parts.following;
  }

  async capture(): Promise<CaptureReport> {
    return captureReport(started(this.#parts), this.#parts.pools.file.node);
  }

  async record(fields: CaptureFields): Promise<Recorded> {
    return recorded(started(this.#parts), fields, this.#parts.log);
  }

  events(query: EventsQuery): EventsReport {
    return this.#parts.events(query);
  }

  async health(): Promise<HealthReport> {
    return healthReport(this.#parts.pools);
  }

  async counters(): Promise<CounterReport> {
    const { engine, forwarding } = started(this.#parts);
    return counterReport(engine.counters(), forwarding.assembly.numbers);
  }

  async tables(pool: string | undefined): Promise<TablesReport> {
    const report = tablesReport(started(this.#parts).forwarding.assembly, pool);
    if (pool !== undefined && report.pools.length === 0) throw noPool(pool, this.#parts.pools.file.pools);
    return report;
  }

  async inForce(): Promise<InForceReport> {
    const { assembly } = started(this.#parts).forwarding;
    return inForceReport(assembly, this.#parts.pools.file.node, this.#moment(assembly));
  }

  async which({ protocol, source, destination }: Flow): Promise<WhichReport> {
    const { engine, forwarding } = started(this.#parts);
    const { assembly } = forwarding;
    const answer = explain(assembly, protocol, source, destination, engine.defence.lists);
    return { ...this.#moment(assembly), answer };
  }

  async trace(question: TraceQuestion): Promise<TraceReport> {
    const forwarded = started(this.#parts);
    const report = await traceReport(forwarded, this.#parts.pools.file, question);
    return { ...this.#moment(forwarded.forwarding.assembly), ...report };
  }

  #moment({ image: { generation } }: Assembly): Moment {
    const { file } = this.#parts.pools;
    return {
      node: file.node.name,
      at: new Date().toISOString(),
      generation,
      configFile: resolve(file.file),
    };
  }

  async plan(): Promise<PlanReport> {
    return this.config.plan();
  }

  reload({ force }: ChangeOptions): Promise<ChangeReport> {
    return this.config.take({ force });
  }

  async planFor(target: BackendTarget, patch: OverridePatch, options: ChangeOptions): Promise<PlanReport> {
    return planOfBackend(this.#parts, target, patch, options);
  }

  drain(target: BackendTarget, options: ChangeOptions): Promise<ChangeReport> {
    return sayOfBackend(this.#parts, target, { state: 'draining' }, options);
  }

  undrain(target: BackendTarget, options: ChangeOptions): Promise<ChangeReport> {
    return sayOfBackend(this.#parts, target, { state: 'active' }, options);
  }

  weight(target: BackendTarget, weight: number, options: ChangeOptions): Promise<ChangeReport> {
    return sayOfBackend(this.#parts, target, { weight }, options);
  }

  edit(edit: MemberEdit, options: ChangeOptions): Promise<ChangeReport> {
    return editBackend(this.#parts, edit, options);
  }

  async planEdit(edit: MemberEdit, options: ChangeOptions): Promise<PlanReport> {
    return planEdit(this.#parts, edit, options);
  }

  async changes(): Promise<QueuedReport> {
    return queuedReport(this.#parts.pools.pools);
  }

  cancel(id: string): Promise<ChangeReport> {
    return cancelQueued(this.#parts, id);
  }

  force(id: string): Promise<ChangeReport> {
    return forceQueued(this.#parts, id);
  }

  async defend(): Promise<DefendReport> {
    started(this.#parts);
    return this.#parts.defence.report();
  }

  async defendTop(): Promise<DefendTopReport> {
    started(this.#parts);
    return this.#parts.defence.top();
  }

  async block({ prefixes, ...said }: ListedPrefixes): Promise<BlockReport> {
    started(this.#parts);
    return this.#parts.defence.list(prefixes, 'block', said);
  }

  async allow({ prefixes, ...said }: ListedPrefixes): Promise<BlockReport> {
    started(this.#parts);
    return this.#parts.defence.list(prefixes, 'allow', said);
  }

  async unblock({ prefixes }: Pick<ListedPrefixes, 'prefixes'>): Promise<BlockReport> {
    started(this.#parts);
    return this.#parts.defence.unlist(prefixes);
  }
}
