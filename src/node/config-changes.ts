/**
 * Another config for a running node: that of its file, of its fleet (made ready, then taken), or one with backends that sources have
 * found. Each is taken whole, or refused, and then what was in force stays.
 */
import { type ChangeOptions, type ChangeReport, ControlError, type PlanReport } from '../api/api.js';
import { formatProblem, logWarnings } from '../config/error.js';
import type { LoadedConfig, PoolConfig } from '../config/types.js';
import { listed } from '../core/listed.js';
import { clockTime } from '../core/time.js';
import { type Effect, effects } from '../pool/effects.js';
import { recall } from '../pool/missed.js';
import { type ActionParts, change, started } from './action-parts.js';
import { settingsChanges } from './change-reports.js';
import type { ReadConfig } from './config-file.js';
import { keyIdOf, keyWaits } from './key-change.js';
import { type MissedConfig, missedPools } from './missed.js';
import { planReload, refusal } from './plans.js';
import { reloadTo } from './requests.js';
import type { ChangeRequest } from './surroundings.js';
import { idHolders } from './taken-ids.js';

export interface TakeOptions extends ChangeOptions {
  /** Reads something else than the config file as it is. @throws ConfigError */
  readonly load?: (() => ReadConfig) | undefined;
}

export class ConfigChanges {
  readonly #parts: ActionParts;

  constructor(parts: ActionParts) {
    this.#parts = parts;
  }

  /** The pools as the config in force has them. */
  get pools(): readonly PoolConfig[] {
    return this.#parts.pools.file.pools;
  }

  /** Public keys of nodes whose findings the fleet takes. */
  get discoverers(): ReadonlyMap<string, Uint8Array> {
    return this.#parts.pools.file.discoverers;
  }

  /** Whether the drain of a backend is done. */
  isDrained(pool: string, backend: string): boolean {
    return this.#parts.isDrained(pool, backend);
  }

  /** Who has each id, or had it within the settle time; undefined for a pool whose backends need none. */
  idHolders(pool: string): ReadonlyMap<number, ReadonlySet<string>> | undefined {
    return idHolders(this.#parts.pools.served(), pool);
  }

  /** What a reload would do. @throws ConfigError */
  plan(): PlanReport {
    started(this.#parts);
    const { pools, facts, file } = this.#parts;
    const { config } = file.read(pools.file.node);
    const report = planReload(pools, facts, config);
    const waits = this.#keyWaits(config);
    if (waits.length === 0) return report;
    const warning = `another flow hash key has to wait: ${waits.join('; ')}; a reload takes it now with --force only`;
    return { ...report, warnings: [warning, ...report.warnings] };
  }

  /**
   * Makes ready what `take` needs of the same config.
   * @param force takes it also where connections break by it
   * @returns the config, and what of it would wait if it came now, in words
   * @throws ControlError
   */
  async prepare({ force, load }: TakeOptions): Promise<{ config: LoadedConfig<'run'>; waits: string[] }> {
    started(this.#parts);
    const { pools, file } = this.#parts;
    const { config } = file.readToReload(pools.file, pools.served(), force, load);
    const effects = await pools
      .prepare(() => reloadTo(pools.file, config, false))
      .catch((error: unknown) => {
        throw refusal(error);
      });
    const keys = this.#keyWaits(config);
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
    this.#parts.pools.release();
  }

  /** Puts a config in force: what the file says, or what `load` reads. @throws ControlError when it cannot; what was in force stays */
  async take({ force, load }: TakeOptions): Promise<ChangeReport> {
    started(this.#parts);
    const { pools, file, edits, accepted, log } = this.#parts;
    let read: ReadConfig;
    let report: ChangeReport;
    const was = pools.file;
    try {
      read = file.readToReload(was, pools.served(), force, load);
      if (!force) this.#refuseEarlyKey(read.config);
      report = await change(this.#parts, () => reloadTo(pools.file, read.config, force));
    } catch (error) {
      file.refused(error);
      throw error;
    }
    const changes = settingsChanges(was, read.config);
    file.accepted(read);
    await edits?.accepted(read);
    const ofLists = await accepted(read, force);
    const { generation } = report;
    log.info({ event: 'reloaded', generation, changes }, `reloaded; generation ${generation} is in force`);
    logWarnings(read.config.warnings, log);
    const warnings = [...report.warnings, ...read.config.warnings.map(formatProblem), ...ofLists];
    return { ...report, changes, warnings };
  }

  /**
   * Remembers configs that other nodes had in force meanwhile.
   * @param load reads one. @throws ConfigError
   * @throws ControlError when what is remembered cannot be put in force
   */
  async recall(missed: readonly MissedConfig[]): Promise<void> {
    const { pools, log } = this.#parts;
    const known = missedPools(missed, pools.file.pools, log);
    if (known.length === 0) return;
    const numbers = known.map(({ number }) => number).reverse();
    await change(this.#parts, () => ({
      file: pools.file,
      why: 'other nodes have had it in force',
      next: (before, { nowMs }) => recall(before, known, nowMs),
    }));
    log.info(
      { event: 'fleet_missed', revisions: numbers },
      `revisions that other nodes had in force meanwhile are remembered: ${numbers.join(', ')}`,
    );
  }

  /** What other pools would have to wait for if they came now, in words. */
  wouldWait(pools: readonly PoolConfig[]): string[] {
    const { file } = this.#parts.pools;
    return this.#waitsOf(reloadTo(file, { ...file, pools }, false));
  }

  /**
   * Puts backends in force that sources have found, unless they would have to wait.
   * @param load the config with them
   * @returns what they would wait for, in words; empty when they are in force
   * @throws ControlError when they are refused; what was in force stays
   */
  async discover(load: () => ReadConfig, why: string): Promise<string[]> {
    started(this.#parts);
    const { pools, file, edits, accepted } = this.#parts;
    let read: ReadConfig | undefined;
    const request = (): ChangeRequest => {
      read = file.readToReload(pools.file, pools.served(), false, load);
      return { ...reloadTo(pools.file, read.config, false), why };
    };
    const waits = this.#waitsOf(request());
    if (waits.length > 0) return waits;
    await change(this.#parts, request);
    await edits?.accepted(read!);
    await accepted(read!, false);
    return [];
  }

  /** @throws ControlError 409 when another flow hash key would be a third change that overlaps */
  #refuseEarlyKey(config: LoadedConfig<'run'>): void {
    const waits = this.#keyWaits(config);
    if (waits.length === 0) return;
    throw new ControlError(409, 'ERR_BREAKS', `another flow hash key has to wait: ${waits.join('; ')}`, {
      hint: 'Reload when other changes have settled. `anyhop reload --force` does not wait, and breaks connections.',
    });
  }

  #keyWaits(config: LoadedConfig<'run'>): string[] {
    const { pools, now } = this.#parts;
    return keyWaits(pools.pools, config, now());
  }

  #waitsOf(request: ChangeRequest): string[] {
    const { pools } = this.#parts;
    return effects(pools.pools, pools.preview(request)).flatMap(waitOf);
  }
}

/** In words: what of a change of one pool would not be in force at once. */
function waitOf({ pool, effect, step }: Effect): string[] {
  if (effect !== 'queued' || step === undefined) return [];
  const drains = step.waitsFor.length === 0 ? '' : `, or until ${listed(step.waitsFor)} has drained`;
  return [`pool ${pool}: at the latest until ${clockTime(new Date(step.dueAtMs).toISOString())}${drains}`];
}
