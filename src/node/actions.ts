/**
 * What a running node answers and does when it is asked over its control socket: the implementation of api.ts over its
 * pools and what it forwards. Nothing here is on the packet path.
 */
import { resolve } from 'node:path';
import type { EventsReport } from '../api/api.js';
import {
  type BackendTarget,
  type ChangeOptions,
  type ChangeReport,
  type ControlActions,
  ControlError,
  type Counted,
  type CounterReport,
  type Flow,
  type HealthReport,
  type PlanReport,
  type PoolChangeReport,
  type QueuedReport,
  type TablesReport,
  type WhichReport,
} from '../api/api.js';
import type { InForceReport, Moment } from '../api/in-force.js';
import type { ConfigFileStatus, NodeStatus, Readiness } from '../api/status.js';
import { ConfigError, formatProblem, logWarnings } from '../config/error.js';
import { idleBackends } from '../config/idle.js';
import type { LoadedConfig, PoolConfig } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import { VERDICTS } from '../core/layout.gen.js';
import { listed } from '../core/listed.js';
import type { Logger } from '../core/log.js';
import type { Engine } from '../engine/contract.js';
import { COUNTERS_PER_ENTRY } from '../forward/counters.js';
import { describeMembers } from '../pool/describe-change.js';
import { effects } from '../pool/effects.js';
import { type Membership, take } from '../pool/membership.js';
import type { OverridePatch } from '../pool/override.js';
import { renamedPools } from '../pool/renames.js';
import { bringForward, cancel, findQueued, say } from '../pool/runtime.js';
import type { BackendFacts } from '../pool/states.js';
import type { Assembly } from './assemble.js';
import {
  losses,
  planOf,
  queuedReport,
  reportOf,
  restartFields,
  restartHint,
  riskOfForce,
  settingsChanges,
} from './change-reports.js';
import { explain } from './explain.js';
import type { Forwarding } from './forwarding.js';
import { inForceReport } from './in-force.js';
import type { BackendMark } from './marks.js';
import type { ChangeRequest, NodePools } from './node-pools.js';
import { queuedStatus } from './pool-status.js';

export interface ReadConfig {
  readonly config: LoadedConfig<'run'>;
  readonly text: string;
}

/** What there is once the node forwards. */
export interface Forwarded {
  readonly engine: Engine;
  readonly forwarding: Forwarding;
  status(): Promise<NodeStatus>;
}

export interface NodeActionsOptions {
  readonly pools: NodePools;
  /** Reads the config file again. @throws ConfigError */
  readonly load: () => ReadConfig;
  /** A config is in force. */
  readonly accepted: (read: ReadConfig) => Promise<void>;
  readonly mark: (pool: string, backend: string) => BackendMark | undefined;
  readonly readiness: () => Readiness;
  readonly events: () => EventsReport;
  /** Why what the node remembers is not kept; undefined when it is. */
  readonly unkept: () => string | undefined;
  readonly facts: (pool: string) => BackendFacts;
  /** Undefined until the node forwards. */
  readonly forwarded: () => Forwarded | undefined;
  readonly configFile: ConfigFileStatus;
  readonly now: () => number;
  readonly log: Logger;
}

export class NodeActions implements ControlActions {
  readonly #options: NodeActionsOptions;
  #configFile: ConfigFileStatus;

  constructor(options: NodeActionsOptions) {
    this.#options = options;
    this.#configFile = options.configFile;
  }

  /** When the config in force was read, and why the last one was refused. */
  get configFile(): ConfigFileStatus {
    return this.#configFile;
  }

  async status(): Promise<NodeStatus> {
    return this.#started().status();
  }

  ready(service?: string): Readiness {
    const readiness = this.#options.readiness();
    if (service === undefined) return readiness;
    const found = readiness.services.find(({ name }) => name === service);
    if (found === undefined) {
      const names = readiness.services.map(({ name }) => name);
      throw new ControlError(404, 'ERR_SERVICE', `there is no service ${service}`, {
        hint: `There are: ${some(names)}.`,
      });
    }
    const { ready, reason } = found;
    return { ready, reasons: reason === undefined ? [] : [reason], services: [found] };
  }

  events(): EventsReport {
    return this.#options.events();
  }

  async health(): Promise<HealthReport> {
    return {
      backends: [...this.#options.pools.pools].flatMap(([pool, { inForce }]) =>
        inForce.backends.flatMap(({ name }) => {
          const mark = this.#options.mark(pool, name);
          if (mark === undefined) return [];
          const { health, reason, since } = mark;
          const told = reason === undefined ? {} : { reason };
          return [{ pool, backend: name, health, ...told, since: since.toISOString() }];
        }),
      ),
    };
  }

  async counters(): Promise<CounterReport> {
    const { engine, forwarding } = this.#started();
    const { verdicts, services, backends } = engine.counters();
    const { numbers } = forwarding.assembly;
    const byName = (names: readonly string[], counted: Float64Array): Record<string, Counted> =>
      Object.fromEntries(
        names.map((name, number) => {
          const at = number * COUNTERS_PER_ENTRY;
          return [name, { packets: counted[at] ?? 0, bytes: counted[at + 1] ?? 0 }];
        }),
      );
    return {
      verdicts: Object.fromEntries(VERDICTS.map(({ name }, number) => [name, verdicts[number]])),
      services: byName(numbers.services.names(), services),
      backends: byName(numbers.backends.names(), backends),
    };
  }

  async tables(pool: string | undefined): Promise<TablesReport> {
    const { image, pools } = this.#started().forwarding.assembly;
    const asked = pools.filter(({ name }) => pool === undefined || name === pool);
    if (pool !== undefined && asked.length === 0) throw this.#noPool(pool);
    return {
      generation: image.generation,
      pools: asked.map(({ name, slots, tables }) => ({
        pool: name,
        slots,
        backends: tables.names,
        owners: tables.owners,
        alternates: tables.alternates,
      })),
    };
  }

  async inForce(): Promise<InForceReport> {
    const { assembly } = this.#started().forwarding;
    return inForceReport(assembly, this.#options.pools.file.node, this.#moment(assembly));
  }

  async which({ protocol, source, destination }: Flow): Promise<WhichReport> {
    const { assembly } = this.#started().forwarding;
    return { ...this.#moment(assembly), answer: explain(assembly, protocol, source, destination) };
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
    const { pools } = this.#options;
    const { config } = this.#read();
    return {
      of: 'reload',
      file: config.file,
      pools: this.#planPools((force) => reloadTo(pools.file, config, force), config),
      changes: settingsChanges(pools.file, config),
      warnings: [
        ...config.warnings.map(formatProblem),
        ...losses(pools.file, config).map((loss) => `${loss}; a reload takes it with --force only`),
      ],
    };
  }

  async planFor(target: BackendTarget, patch: OverridePatch, { force }: ChangeOptions): Promise<PlanReport> {
    this.#started();
    const { file } = this.#options.pools;
    const names = this.#poolsOf(target, file.pools);
    const request = (isForced: boolean): ChangeRequest =>
      this.#saying(names, target.backend, patch, isForced);
    const pools = this.#planPools((isForced) => request(isForced || force), file);
    return {
      of: `${wordOf(patch)} ${target.backend}`,
      pools: pools.filter(({ pool }) => names.includes(pool)),
      changes: [],
      warnings: this.#idle(
        names,
        orRefusal(() => this.#options.pools.preview(request(force))),
      ),
    };
  }

  #planPools(
    request: (force: boolean) => ChangeRequest,
    { services }: LoadedConfig<'run'>,
  ): PlanReport['pools'] {
    const { pools } = this.#options;
    const before = pools.pools;
    const [after, forced] = orRefusal(() => [false, true].map((force) => pools.preview(request(force))));
    const brought = new Map(effects(before, forced).map(({ pool, came }) => [pool, came]));
    return effects(before, after).map((effect) => {
      const { pool } = effect;
      const facts = this.#options.facts(pool);
      const isQueued = effect.effect === 'queued';
      const others = brought.get(pool)!.filter(({ id }) => id !== effect.step?.id);
      return {
        ...reportOf(effect),
        ...planOf(effect, before, after, facts),
        withoutSecondChance: services.flatMap(({ name, pool: of, protocol, secondChance }) =>
          of === pool && protocol === 'tcp' && !secondChance ? [name] : [],
        ),
        ...(isQueued && others.length > 0 && { forceBrings: others.map(queuedStatus) }),
        atRiskByForce: isQueued ? riskOfForce(pool, before, forced, facts) : [],
      };
    });
  }

  async reload({ force }: ChangeOptions): Promise<ChangeReport> {
    this.#started();
    const { pools, log } = this.#options;
    let read: ReadConfig;
    try {
      read = this.#read();
      const lost = force ? [] : losses(pools.file, read.config);
      if (lost.length > 0)
        throw new ControlError(409, 'ERR_BREAKS', `${read.config.file}: ${lost.join('; ')}`, LOSS_HINT);
    } catch (error) {
      this.#refused(error);
      throw error;
    }
    const changes = settingsChanges(pools.file, read.config);
    const report = await this.#change(() => reloadTo(pools.file, read.config, force)).catch(
      (error: unknown) => {
        this.#refused(error);
        throw error;
      },
    );
    this.#configFile = { file: read.config.file, loadedAt: new Date().toISOString() };
    await this.#options.accepted(read);
    const { generation } = report;
    log.info({ event: 'reloaded', generation, changes }, `reloaded; generation ${generation} is in force`);
    logWarnings(read.config.warnings, log);
    const warnings = [...report.warnings, ...read.config.warnings.map(formatProblem)];
    return { ...report, changes, warnings };
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

  async changes(): Promise<QueuedReport> {
    return queuedReport(this.#options.pools.pools);
  }

  async cancel(id: string): Promise<ChangeReport> {
    let fromFile = false;
    const report = await this.#queued(id, (before, at) => {
      const after = cancel(before, id, at);
      fromFile = [...after].some(
        ([name, { file }]) => file !== before.get(name)!.file && !sameMembers(file, before.get(name)!.file),
      );
      return after;
    });
    if (!fromFile) return report;
    const { file } = this.#configFile;
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
      if (found === undefined) throw this.#noChange(id);
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
      names = this.#poolsOf(target, pools.file.pools);
      return this.#saying(names, target.backend, patch, force);
    });
    return {
      ...report,
      pools: report.pools.filter(({ pool }) => names.includes(pool)).map(alone),
      warnings: [...report.warnings, ...this.#idle(names, pools.pools)],
    };
  }

  #saying(names: readonly string[], backend: string, patch: OverridePatch, force: boolean): ChangeRequest {
    return {
      file: this.#options.pools.file,
      next: (before, at) =>
        names.reduce((all, name) => say(all, name, backend, patch, { ...at, force }), before),
    };
  }

  /** Who gets no flows once all that waits has come, though the pool has them. */
  #idle(names: readonly string[], pools: Membership): string[] {
    return names.flatMap((name) => {
      const { changes, inForce } = pools.get(name)!;
      const members = changes.queue.at(-1)?.members ?? changes.members;
      return idleBackends(members, inForce.tableSize).map((idle) => `pool ${name}: ${idle}`);
    });
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

  /** @throws ControlError 422 for a config that is wrong, 409 for one that takes a restart */
  #read(): ReadConfig {
    let read: ReadConfig;
    try {
      read = this.#options.load();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      const { problems } = error;
      const count = `${problems.length} problem${problems.length === 1 ? '' : 's'}`;
      throw new ControlError(422, 'ERR_CONFIG', `the config file has ${count}; the config in force stays`, {
        problems,
        hint: '`anyhop check` tells when the file is good.',
      });
    }
    const differing = restartFields(this.#options.pools.file.node, read.config.node);
    if (differing.length === 0) return read;
    throw new ControlError(
      409,
      'ERR_RESTART',
      `${read.config.file}: ${differing.join(', ')} cannot change while the node runs; the config in force stays`,
      { hint: restartHint(differing) },
    );
  }

  #refused(error: unknown): void {
    const problems = error instanceof ControlError ? error.problems : undefined;
    const said = error instanceof Error ? error.message : String(error);
    const message = problems === undefined ? said : problems.map(formatProblem).join('\n');
    this.#configFile = { ...this.#configFile, refused: { at: new Date().toISOString(), message } };
    const { hint } = error as { hint?: string };
    this.#options.log.error(
      { event: 'reload_refused', ...(hint !== undefined && { hint }) },
      `reload refused, what was in force stays: ${message}`,
    );
  }

  /** @throws ControlError 503 while the node starts */
  #started(): Forwarded {
    const forwarded = this.#options.forwarded();
    if (forwarded !== undefined) return forwarded;
    throw new ControlError(503, 'ERR_STARTING', `the node starts: ${this.ready().reasons.join('; ')}`, {
      hint: '`anyhop ready --wait 30` waits for it.',
    });
  }

  #poolsOf({ backend, pool: asked }: BackendTarget, pools: readonly PoolConfig[]): string[] {
    const named = pools.filter(({ name }) => asked === undefined || name === asked);
    if (asked !== undefined && named.length === 0) throw this.#noPool(asked);
    const found = named.filter(({ backends }) => backends.some(({ name }) => name === backend));
    if (found.length > 0) return found.map(({ name }) => name);
    const where = asked === undefined ? 'no pool has' : `the pool ${asked} does not have`;
    throw new ControlError(404, 'ERR_BACKEND', `${where} a backend ${backend}`, {
      hint: `There are: ${some(named.flatMap(({ backends }) => backends.map(({ name }) => name)))}.`,
    });
  }

  #noChange(id: string): ControlError {
    const ids = queuedReport(this.#options.pools.pools).changes.map((change) => change.id);
    return new ControlError(404, 'ERR_CHANGE', `no change ${id} waits`, {
      hint: ids.length === 0 ? 'None waits: it may be in force by now.' : `There wait: ${some(ids)}.`,
    });
  }

  #noPool(pool: string): ControlError {
    const names = this.#options.pools.file.pools.map(({ name }) => name);
    return new ControlError(404, 'ERR_POOL', `there is no pool ${pool}`, {
      hint: `There are: ${some(names)}.`,
    });
  }
}

/** What a file says; forced, all that waits comes with it. */
function reloadTo(was: LoadedConfig<'run'>, file: LoadedConfig<'run'>, force: boolean): ChangeRequest {
  const renamed = renamedPools(was, file);
  return { file, next: (before, at) => take(before, file.pools, { ...at, force, renamed }) };
}

function wordOf({ state, weight }: OverridePatch): string {
  if (weight !== undefined) return `weight ${weight} of`;
  return state === 'draining' ? 'drain' : 'undrain';
}

/** What is asked of one change brings no other; that it waited before itself is no news. */
function alone({ came: _, ...report }: PoolChangeReport): PoolChangeReport {
  return report;
}

function sameMembers(one: PoolConfig, other: PoolConfig): boolean {
  return describeMembers(one.backends, other.backends).length === 0;
}

const LOSS_HINT = {
  hint: '`anyhop reload --force` takes it all the same. A restart does not: the node then starts with the config that is in force now.',
};
function some(names: readonly string[]): string {
  return listed([...new Set(names)], { most: 12 });
}

function orRefusal<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw refusal(error);
  }
}

/** Why a change was not taken, as an answer. */
function refusal(error: unknown): unknown {
  if (!(error instanceof AnyhopError)) return error;
  const { code, message, hint } = error;
  return new ControlError(code === 'ERR_LIMIT' ? 429 : 409, code, message, { hint });
}
