/**
 * What a node answers and does when it is asked over its control socket: the contract (api.ts) over its pools and what it
 * forwards. Nothing here is on the packet path.
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
  type PoolChangeReport,
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
import { formatProblem, logWarnings } from '../config/error.js';
import type { LoadedConfig, PoolConfig } from '../config/types.js';
import { listed } from '../core/listed.js';
import type { Logger } from '../core/log.js';
import { clockTime } from '../core/time.js';
import type { Engine } from '../engine/contract.js';
import type { EventsQuery } from '../events/ring.js';
import { describeMembers } from '../pool/describe-change.js';
import { type Effect, effects } from '../pool/effects.js';
import type { OverridePatch } from '../pool/override.js';
import { askedByAgents, bringForward, cancel, findQueued } from '../pool/runtime.js';
import type { BackendFacts } from '../pool/states.js';
import { refuseUndrain, stepOfAgents } from './agent-refusals.js';
import type { Assembly } from './assemble.js';
import { captureReport, recorded } from './captures.js';
import { queuedReport, reportOf, settingsChanges } from './change-reports.js';
import { ConfigFile, type ReadConfig } from './config-file.js';
import type { NodeDefence } from './defence.js';
import { editing, editWarnings, isActive } from './editing.js';
import { explain } from './explain.js';
import type { Forwarding } from './forwarding.js';
import { inForceReport } from './in-force.js';
import { keyIdOf, keyWaits } from './key-change.js';
import type { KnownKeys } from './known-keys.js';
import { noChange, noPool, poolsNamed, serviceNamed } from './named.js';
import type { ChangeRequest, NodePools } from './node-pools.js';
import { counterReport, healthReport, tablesReport } from './node-reports.js';
import { planReload, planSaying, refusal } from './plans.js';
import { reloadTo, saying, warningsAfter } from './requests.js';
import type { RuntimeEdits } from './runtime-edits.js';
import { traceReport } from './trace.js';

export interface TakeOptions extends ChangeOptions {
  /** Reads something else than the config file as it is. @throws ConfigError */
  readonly load?: (() => ReadConfig) | undefined;
}

/** What there is once the node forwards. */
export interface Forwarded {
  readonly engine: Engine;
  readonly forwarding: Forwarding;
  status(): Promise<NodeStatus>;
}

export interface NodeActionsOptions {
  readonly pools: NodePools;
  readonly defence: NodeDefence;
  /** Reads the config file again. @throws ConfigError */
  readonly load: () => ReadConfig;
  /** What lies over the file; undefined in a fleet. */
  readonly edits: RuntimeEdits | undefined;
  /** A config is in force. @returns warnings */
  readonly accepted: (read: ReadConfig, force: boolean) => Promise<readonly string[]>;
  readonly keys: KnownKeys;
  readonly readiness: () => Readiness;
  /** Of the fleet, in force here. */
  readonly revision: () => RevisionReport | undefined;
  readonly following: Feed;
  readonly events: (query: EventsQuery) => EventsReport;
  /** Why what the node remembers is not kept; undefined when it is. */
  readonly unkept: () => string | undefined;
  readonly facts: (pool: string) => BackendFacts;
  /** Whether the drain of a backend is done. */
  readonly isDrained: (pool: string, backend: string) => boolean;
  /** Undefined until the node forwards. */
  readonly forwarded: () => Forwarded | undefined;
  readonly configFile: ConfigFileStatus;
  readonly now: () => number;
  readonly log: Logger;
}

export class NodeActions implements ControlActions {
  readonly #options: NodeActionsOptions;
  readonly #file: ConfigFile;

  constructor(options: NodeActionsOptions) {
    this.#options = options;
    const { load, edits, configFile, log } = options;
    this.#file = new ConfigFile(() => edits?.over(load()) ?? load(), configFile, log);
  }

  /** When the config in force was read, and why the last one was refused. */
  get configFile(): ConfigFileStatus {
    return this.#file.status;
  }

  async status(): Promise<NodeStatus> {
    return this.#started().status();
  }

  ready(service?: string): Readiness {
    const readiness = this.#options.readiness();
    if (service === undefined) return readiness;
    const found = serviceNamed(service, readiness.services);
    const { ready, reason } = found;
    return { ready, reasons: reason === undefined ? [] : [reason], services: [found] };
  }

  revision(): RevisionReport {
    const revision = this.#options.revision();
    if (revision !== undefined) return { number: revision.number, record: revision.record };
    throw new ControlError(404, 'ERR_NOT_FOUND', 'this node has no revision of a fleet', {
      hint: '`anyhop status` says whether it is in one.',
    });
  }

  /** Digests of the owners in force, by pool; empty until the node forwards. */
  owners(): Record<string, string> {
    const pools = this.#options.forwarded()?.forwarding.assembly.pools ?? [];
    return Object.fromEntries(pools.map(({ name, tables }) => [name, tables.ownersDigest]));
  }

  /** Fingerprints of the secret in force, and of all that the key file has by now. */
  keys(): { readonly inForce: string; readonly held: string[] } {
    return this.#options.keys.held(this.#options.pools.file.node);
  }

  follow(): Feed {
    return this.#options.following;
  }

  async capture(): Promise<CaptureReport> {
    return captureReport(this.#started(), this.#options.pools.file.node);
  }

  async record(fields: CaptureFields): Promise<Recorded> {
    return recorded(this.#started(), fields, this.#options.log);
  }

  events(query: EventsQuery): EventsReport {
    return this.#options.events(query);
  }

  async health(): Promise<HealthReport> {
    return healthReport(this.#options.pools);
  }

  async counters(): Promise<CounterReport> {
    const { engine, forwarding } = this.#started();
    return counterReport(engine.counters(), forwarding.assembly.numbers);
  }

  async tables(pool: string | undefined): Promise<TablesReport> {
    const report = tablesReport(this.#started().forwarding.assembly, pool);
    if (pool !== undefined && report.pools.length === 0) throw noPool(pool, this.#options.pools.file.pools);
    return report;
  }

  async inForce(): Promise<InForceReport> {
    const { assembly } = this.#started().forwarding;
    return inForceReport(assembly, this.#options.pools.file.node, this.#moment(assembly));
  }

  async which({ protocol, source, destination }: Flow): Promise<WhichReport> {
    const { engine, forwarding } = this.#started();
    const { assembly } = forwarding;
    const answer = explain(assembly, protocol, source, destination, engine.defence.lists);
    return { ...this.#moment(assembly), answer };
  }

  async trace(question: TraceQuestion): Promise<TraceReport> {
    const forwarded = this.#started();
    const report = await traceReport(forwarded, this.#options.pools.file, question);
    return { ...this.#moment(forwarded.forwarding.assembly), ...report };
  }

  #moment({ image: { generation } }: Assembly): Moment {
    const { file } = this.#options.pools;
    return {
      node: file.node.name,
      at: new Date().toISOString(),
      generation,
      configFile: resolve(file.file),
    };
  }

  async plan(): Promise<PlanReport> {
    this.#started();
    const { pools, facts } = this.#options;
    const { config } = this.#file.read(pools.file.node);
    const report = planReload(pools, facts, config);
    const waits = keyWaits(pools.pools, config, this.#options.now());
    if (waits.length === 0) return report;
    const warning = `another flow hash key has to wait: ${waits.join('; ')}; a reload takes it now with --force only`;
    return { ...report, warnings: [warning, ...report.warnings] };
  }

  async planFor(target: BackendTarget, patch: OverridePatch, { force }: ChangeOptions): Promise<PlanReport> {
    this.#started();
    const { pools, facts } = this.#options;
    return planSaying(pools, facts, target, patch, force);
  }

  reload({ force }: ChangeOptions): Promise<ChangeReport> {
    return this.take({ force });
  }

  /**
   * Makes ready what `take` needs of the same config.
   * @param force takes it also where connections break by it
   * @returns the config, and what of it would wait if it came now, in words
   * @throws ControlError
   */
  async prepare({ force, load }: TakeOptions): Promise<{ config: LoadedConfig<'run'>; waits: string[] }> {
    this.#started();
    const { pools } = this.#options;
    const { config } = this.#file.readToReload(pools.file, pools.served(), force, load);
    const effects = await pools
      .prepare(() => reloadTo(pools.file, config, false))
      .catch((error: unknown) => {
        throw refusal(error);
      });
    const keys = keyWaits(pools.pools, config, this.#options.now());
    const late = effects.filter(({ effect }) => effect === 'queued').map(({ pool }) => pool);
    if (keyIdOf(pools.file) !== keyIdOf(config) && keys.length === 0 && late.length > 0 && !force)
      throw new ControlError(
        409,
        'ERR_BREAKS',
        `node.key_id changes together with backends of ${listed(late)}: connections would break`,
        { hint: 'Change the key by itself: `anyhop fleet rotate-key`.' },
      );
    return { config, waits: keys.length > 0 ? keys : effects.flatMap(waitOf) };
  }

  /** What was prepared does not come. */
  release(): void {
    this.#options.pools.release();
  }

  /** Puts a config in force: what the file says, or what `load` reads. @throws ControlError when it cannot; what was in force stays */
  async take({ force, load }: TakeOptions): Promise<ChangeReport> {
    this.#started();
    const { pools, log } = this.#options;
    let read: ReadConfig;
    let report: ChangeReport;
    const was = pools.file;
    try {
      read = this.#file.readToReload(was, pools.served(), force, load);
      if (!force) this.#refuseEarlyKey(read.config);
      report = await this.#change(() => reloadTo(pools.file, read.config, force));
    } catch (error) {
      this.#file.refused(error);
      throw error;
    }
    const changes = settingsChanges(was, read.config);
    this.#file.accepted(read);
    await this.#options.edits?.accepted(read);
    const ofLists = await this.#options.accepted(read, force);
    const { generation } = report;
    log.info({ event: 'reloaded', generation, changes }, `reloaded; generation ${generation} is in force`);
    logWarnings(read.config.warnings, log);
    const warnings = [...report.warnings, ...read.config.warnings.map(formatProblem), ...ofLists];
    return { ...report, changes, warnings };
  }

  /** @throws ControlError 409 when another flow hash key would be a third change that overlaps */
  #refuseEarlyKey(config: LoadedConfig<'run'>): void {
    const waits = keyWaits(this.#options.pools.pools, config, this.#options.now());
    if (waits.length === 0) return;
    throw new ControlError(409, 'ERR_BREAKS', `another flow hash key has to wait: ${waits.join('; ')}`, {
      hint: 'Reload when other changes have settled. `anyhop reload --force` does not wait, and breaks connections.',
    });
  }

  drain(target: BackendTarget, options: ChangeOptions): Promise<ChangeReport> {
    return this.#say(target, { state: 'draining' }, options);
  }

  undrain(target: BackendTarget, options: ChangeOptions): Promise<ChangeReport> {
    return this.#say(target, { state: 'active' }, options);
  }

  weight(target: BackendTarget, weight: number, options: ChangeOptions): Promise<ChangeReport> {
    return this.#say(target, { weight }, options);
  }

  async edit(edit: MemberEdit, { force }: ChangeOptions): Promise<ChangeReport> {
    this.#started();
    const { pools } = this.#options;
    const asked = editing(this.#options.edits, pools.file.pools, edit);
    this.#file.read(pools.file.node, asked.read); // refused before anything drains
    const drained = asked.leaves && !force ? await this.#drainFirst(asked.leaves) : undefined;
    if (drained !== undefined) return drained;
    const was = pools.file;
    let read: ReadConfig | undefined;
    const report = await this.#change(() => {
      read = this.#file.readToReload(pools.file, pools.served(), force, asked.read);
      return { ...reloadTo(pools.file, read.config, force), why: asked.words };
    });
    await this.#options.edits?.accepted(read!);
    await this.#options.accepted(read!, force);
    const warnings = [...report.warnings, ...editWarnings(edit, was, read!.config)];
    return { ...report, pools: report.pools.filter(asked.concerns), warnings };
  }

  async planEdit(edit: MemberEdit, { force }: ChangeOptions): Promise<PlanReport> {
    this.#started();
    const { pools, facts } = this.#options;
    const asked = editing(this.#options.edits, pools.file.pools, edit);
    const { config } = this.#file.read(pools.file.node, asked.read);
    if (asked.leaves && !force && isActive(asked.leaves, pools.pools))
      return planSaying(pools, facts, asked.leaves, { state: 'draining' }, false);
    const { file: _, ...plan } = planReload(pools, facts, config);
    return { ...plan, of: asked.words, pools: plan.pools.filter(asked.concerns) };
  }

  /** Who is to leave drains first. @returns the answer when that has to wait, and so the removal cannot be asked for yet */
  async #drainFirst(target: BackendTarget): Promise<ChangeReport | undefined> {
    const { pools } = this.#options.pools;
    if (!isActive(target, pools)) return undefined;
    const report = await this.drain(target, { force: false });
    if (!isActive(target, this.#options.pools.pools)) return undefined;
    const later = `${target.backend} is not removed: its drain waits; remove it again when it drains`;
    return { ...report, warnings: [...report.warnings, later] };
  }

  /** The pools as the config in force has them. */
  get pools(): readonly PoolConfig[] {
    return this.#options.pools.file.pools;
  }

  /** Public keys of nodes whose findings the fleet takes. */
  get discoverers(): ReadonlyMap<string, Uint8Array> {
    return this.#options.pools.file.discoverers;
  }

  /** What other pools would have to wait for if they came now, in words. */
  wouldWait(pools: readonly PoolConfig[]): string[] {
    const { file } = this.#options.pools;
    return this.#waitsOf(reloadTo(file, { ...file, pools }, false));
  }

  #waitsOf(request: ChangeRequest): string[] {
    const { pools } = this.#options;
    return effects(pools.pools, pools.preview(request)).flatMap(waitOf);
  }

  /** Whether the drain of a backend is done. */
  isDrained(pool: string, backend: string): boolean {
    return this.#options.isDrained(pool, backend);
  }

  /**
   * Puts backends in force that sources have found, unless they would have to wait.
   * @param load the config with them
   * @returns what they would wait for, in words; empty when they are in force
   * @throws ControlError when they are refused; what was in force stays
   */
  async discover(load: () => ReadConfig, why: string): Promise<string[]> {
    this.#started();
    const { pools } = this.#options;
    let read: ReadConfig | undefined;
    const request = (): ChangeRequest => {
      read = this.#file.readToReload(pools.file, pools.served(), false, load);
      return { ...reloadTo(pools.file, read.config, false), why };
    };
    const waits = this.#waitsOf(request());
    if (waits.length > 0) return waits;
    await this.#change(request);
    await this.#options.edits?.accepted(read!);
    await this.#options.accepted(read!, false);
    return [];
  }

  async defend(): Promise<DefendReport> {
    this.#started();
    return this.#options.defence.report();
  }

  async defendTop(): Promise<DefendTopReport> {
    this.#started();
    return this.#options.defence.top();
  }

  async block({ prefixes, ...said }: ListedPrefixes): Promise<BlockReport> {
    this.#started();
    return this.#options.defence.list(prefixes, 'block', said);
  }

  async allow({ prefixes, ...said }: ListedPrefixes): Promise<BlockReport> {
    this.#started();
    return this.#options.defence.list(prefixes, 'allow', said);
  }

  async unblock({ prefixes }: Pick<ListedPrefixes, 'prefixes'>): Promise<BlockReport> {
    this.#started();
    return this.#options.defence.unlist(prefixes);
  }

  async changes(): Promise<QueuedReport> {
    return queuedReport(this.#options.pools.pools);
  }

  async cancel(id: string): Promise<ChangeReport> {
    let fromFile = false;
    const report = await this.#queued(id, (before, at) => {
      const asked = askedByAgents(before, id);
      if (asked.length > 0) throw stepOfAgents(id, asked);
      const after = cancel(before, id, at);
      fromFile = [...after].some(
        ([name, { file }]) => file !== before.get(name)!.file && !sameMembers(file, before.get(name)!.file),
      );
      return after;
    });
    if (!fromFile || (await this.#options.edits?.forgetUnlike(this.#options.pools.file.pools))) return report;
    const { file } = this.#file.status;
    const warning = `${file} still says it: the next reload or restart plans it again`;
    return { ...report, warnings: [...report.warnings, warning] };
  }

  force(id: string): Promise<ChangeReport> {
    return this.#queued(id, (before, at) => bringForward(before, id, at));
  }

  async #queued(id: string, next: ChangeRequest['next']): Promise<ChangeReport> {
    this.#started();
    const { pools } = this.#options;
    let pool = '';
    const report = await this.#change(() => {
      const found = findQueued(pools.pools, id);
      if (found === undefined) {
        const ids = queuedReport(pools.pools).changes.map((change) => change.id);
        throw noChange(id, ids);
      }
      pool = found.pool;
      return { file: pools.file, next };
    });
    return { ...report, pools: report.pools.filter((each) => each.pool === pool).map(alone) };
  }

  async #say(target: BackendTarget, patch: OverridePatch, { force }: ChangeOptions): Promise<ChangeReport> {
    this.#started();
    const { pools } = this.#options;
    let names: readonly string[] = [];
    const report = await this.#change(() => {
      names = poolsNamed(target, pools.file.pools);
      if (patch.state === 'active') refuseUndrain(names, target.backend, pools.pools);
      return saying(pools.file, names, target, patch, force);
    });
    return {
      ...report,
      pools: report.pools.filter(({ pool }) => names.includes(pool)).map(alone),
      warnings: [...report.warnings, ...warningsAfter(names, target, patch, pools.pools)],
    };
  }

  async #change(request: () => ChangeRequest): Promise<ChangeReport> {
    const { forwarding } = this.#started();
    const done = await this.#options.pools.change(request).catch((error: unknown) => {
      throw refusal(error);
    });
    const unkept = this.#options.unkept();
    const warnings = unkept === undefined ? [] : [`this will not survive a restart of the node: ${unkept}`];
    return { generation: forwarding.image.generation, pools: done.map(reportOf), changes: [], warnings };
  }

  /** @throws ControlError 503 while the node starts */
  #started(): Forwarded {
    const forwarded = this.#options.forwarded();
    if (forwarded !== undefined) return forwarded;
    throw new ControlError(503, 'ERR_STARTING', `the node starts: ${this.ready().reasons.join('; ')}`, {
      hint: '`anyhop ready --wait 30` waits for it.',
    });
  }
}

/** In words: what of a change of one pool would not be in force at once. */
function waitOf({ pool, effect, step }: Effect): string[] {
  if (effect !== 'queued' || step === undefined) return [];
  const drains = step.waitsFor.length === 0 ? '' : `, or until ${listed(step.waitsFor)} has drained`;
  return [`pool ${pool}: at the latest until ${clockTime(new Date(step.dueAtMs).toISOString())}${drains}`];
}

/** What is asked of one change brings no other; that it waited before itself is no news. */
function alone({ came: _, ...report }: PoolChangeReport): PoolChangeReport {
  return report;
}

function sameMembers(one: PoolConfig, other: PoolConfig): boolean {
  return describeMembers(one.backends, other.backends).length === 0;
}
