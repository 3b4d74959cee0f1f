/**
 * The tier on one proxy host: the config in force, what was said of servers at runtime, and the certificates. Every change of them goes
 * through here, one after the other, and then to HAProxy (in-force.ts). A change that is refused changes nothing.
 */
import { ControlError } from '../api/api.js';
import { ConfigError, formatProblem } from '../config/error.js';
import { nearest } from '../config/nearest.js';
import type { LoadedConfig } from '../config/types.js';
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import { SerialQueue } from '../core/serial-queue.js';
import type { Applied, L7Change, ServerTarget } from './api.js';
import { type Certificates, readCertificates, sameCertificates } from './certificates.js';
import type { HaproxyDaemon } from './haproxy/haproxy.js';
import type { StopOutcome } from './haproxy/runner.js';
import { InForce } from './in-force.js';
import type { Inputs } from './inputs.js';
import { located } from './located.js';
import { fittedToHost } from './needs.js';
import { ticketHour } from './render/keys.js';
import { Repeated } from './repeated.js';
import {
  override,
  type ServerOverrides,
  type ServerPatch,
  saidAgainst,
  saidOf,
  serverKey,
  stillNeeded,
  withOverrides,
} from './servers.js';
import { readState, writeState } from './state.js';
import { sameUses } from './uses.js';

const HOUR_CHECK_MS = 10_000;

export interface TierOptions {
  /** Reads the config, at the start and at each reload. */
  readonly load: () => LoadedConfig<'l7'>;
  readonly config: LoadedConfig<'l7'>;
  readonly log: Logger;
  /** For the keys of session tickets. */
  readonly now?: () => Date;
}

export interface LastReload {
  readonly at: Date;
  /** How it came into force; undefined when it was refused. */
  readonly applied: Applied | undefined;
  /** Why it was refused. */
  readonly problems: readonly string[];
}

export class Tier {
  readonly #log: Logger;
  readonly #load: () => LoadedConfig<'l7'>;
  readonly #now: () => Date;
  readonly #changes = new SerialQueue();
  readonly #inForce: InForce;
  readonly #hours: Repeated;
  #config: LoadedConfig<'l7'>;
  #overrides: ServerOverrides;
  /** The faults of certificates that were told. */
  #toldFaults = '';
  lastReload: LastReload | undefined;
  /** When the config in force was read; undefined before the first reload. */
  inForceSince: Date | undefined;
  failedReloads = 0;
  #reloaded = (_config: LoadedConfig<'l7'>): void => {};

  private constructor({ load, config, log, now = () => new Date() }: TierOptions) {
    const { l7 } = config;
    this.#log = log;
    this.#load = load;
    this.#now = now;
    this.#config = config;
    this.#overrides = stillNeeded(readState(l7.runDirectory, log), l7);
    const inputs = this.#inputsOf(config, this.#overrides, readCertificates(l7).certificates);
    this.#inForce = new InForce({ run: l7.runDirectory, user: l7.user }, inputs, log);
    this.#hours = new Repeated({
      what: 'the change of session ticket keys',
      everyMs: () => HOUR_CHECK_MS,
      task: () => this.takeHour(),
      log,
    });
  }

  /**
   * Starts HAProxy. Resolves when it serves.
   * @throws ConfigError for a config that HAProxy or this host refuses; AnyhopError when it cannot be tried
   */
  static async start(options: TierOptions): Promise<Tier> {
    const tier = new Tier(options);
    try {
      await tier.startHaproxy();
    } catch (error) {
      await tier.close();
      throw error;
    }
    return tier;
  }

  get config(): LoadedConfig<'l7'> {
    return this.#config;
  }

  /** With what was said at runtime. */
  get inputs(): Inputs {
    return this.#inForce.inputs;
  }

  /** Undefined while this host is drained. */
  get haproxy(): HaproxyDaemon | undefined {
    return this.#inForce.haproxy;
  }

  /** Of HAProxy since this process started: a reload says nothing of a start that failed. */
  get counts(): { readonly reloads: number; readonly restarts: number; readonly transfersLost: number } {
    return this.#inForce;
  }

  /** Calls `listener` whenever another config is in force. */
  onReload(listener: (config: LoadedConfig<'l7'>) => void): void {
    this.#reloaded = listener;
  }

  /** Starts HAProxy, which does not run. @throws as `start` */
  startHaproxy(): Promise<void> {
    return this.#changes.add(async () => {
      try {
        for (const { message } of await this.#inForce.start(this.#now()))
          this.#log.warn({ event: 'config_warning' }, `HAProxy warns: ${message}`);
      } catch (error) {
        throw located(this.#config, error);
      }
    });
  }

  /** Lets HAProxy end its connections, and ends it when time is up. */
  stopHaproxy(timeoutMs: number): Promise<StopOutcome> {
    return this.#inForce.softStop(timeoutMs);
  }

  /** Ends HAProxy and its connections. */
  killHaproxy(): Promise<void> {
    return this.#inForce.hardStop();
  }

  /**
   * Has HAProxy check a config that may come; nothing is in force.
   * @throws as `reload`
   */
  prepare(config: LoadedConfig<'l7'>): Promise<void> {
    return this.#changes.add(async () => {
      this.#requireSamePlace(config);
      const { l7 } = config;
      const { certificates } = readCertificates(l7, this.inputs.certificates);
      try {
        await this.#inForce.check(this.#inputsOf(config, stillNeeded(this.#overrides, l7), certificates));
      } catch (error) {
        throw located(config, error);
      }
    });
  }

  /**
   * Reads the config file again, or what \`load\` reads, and puts it in force.
   * @throws ConfigError when it is wrong or refused; ControlError 422 when it needs a restart of this process; AnyhopError when it cannot
   *   be tried. What was in force still is then.
   */
  reload(load = this.#load): Promise<L7Change> {
    return this.#changes.add(async () => {
      try {
        const change = await this.#reload(load);
        this.lastReload = { at: new Date(), applied: change.applied, problems: [] };
        this.inForceSince = this.lastReload.at;
        return change;
      } catch (error) {
        this.#refused(error);
        throw error;
      }
    });
  }

  async #reload(load: TierOptions['load']): Promise<L7Change> {
    const startedMs = performance.now();
    const config = load();
    this.#requireSamePlace(config);
    const overrides = stillNeeded(this.#overrides, config.l7);
    const certificates = this.#readCertificates(config);
    const former = { tier: this.inputs.config, file: this.#config };
    const done = await this.#apply(config, this.#inputsOf(config, overrides, certificates));
    const isSame = sameUses(former, { tier: this.inputs.config, file: config });
    const applied = done === 'nothing to change' && !isSame ? 'without a reload' : done;
    this.#config = config;
    this.#reloaded(config);
    await this.#remember(overrides);
    const how = applied === 'nothing to change' ? 'changes nothing' : `is in force ${applied}`;
    const tookMs = Math.round(performance.now() - startedMs);
    this.#log.info({ event: 'l7_reloaded', applied, tookMs }, `the config ${how}`);
    return {
      applied,
      warnings: [...config.warnings.map(formatProblem), ...saidAgainst(overrides, config.l7)],
    };
  }

  #refused(error: unknown): void {
    const problems = error instanceof ConfigError ? error.problems.map(formatProblem) : [reasonOf(error)];
    this.failedReloads++;
    this.lastReload = { at: new Date(), applied: undefined, problems };
    this.#log.error(
      { event: 'l7_reload_refused', problems },
      `the config is refused, and the former one stays in force: ${problems.join('; ')}`,
    );
  }

  /** @throws ControlError 404 for a server that is not there; ConfigError, AnyhopError as `reload` */
  setServer(target: ServerTarget, patch: ServerPatch): Promise<L7Change> {
    return this.#changes.add(async () => {
      const key = this.#serverKey(target);
      const overrides = override(this.#overrides, this.#config.l7, key, patch);
      const { certificates } = this.inputs;
      const applied = await this.#apply(this.#config, this.#inputsOf(this.#config, overrides, certificates));
      await this.#remember(overrides);
      this.#log.info({ event: 'l7_server', server: key, applied, ...patch }, `${key} is ${saidOf(patch)}`);
      return { applied, warnings: [] };
    });
  }

  /** Looks at the certificates of all frontends. @throws ConfigError, AnyhopError as `reload` */
  renewCertificates(): Promise<void> {
    return this.#changes.add(async () => {
      const certificates = this.#readCertificates(this.#config);
      if (sameCertificates(certificates, this.inputs.certificates)) return;
      const applied = await this.#apply(this.#config, { ...this.inputs, certificates });
      this.#log.info({ event: 'l7_certificates', applied }, `other certificates are in force ${applied}`);
    });
  }

  /** Ticket keys change with the hour. @throws ConfigError, AnyhopError as `reload` */
  takeHour(): Promise<void> {
    return this.#changes.add(async () => {
      const now = this.#now();
      if (ticketHour(now) !== ticketHour(this.inputs.now))
        await this.#apply(this.#config, { ...this.inputs, now });
    });
  }

  /** HAProxy is left as it is. */
  async close(): Promise<void> {
    await this.#hours.close();
    await this.#changes.idle();
  }

  /** @param config whose fields are named by what is wrong */
  async #apply(config: LoadedConfig<'l7'>, next: Inputs): Promise<Applied> {
    try {
      return await this.#inForce.apply(next);
    } catch (error) {
      throw located(config, error);
    }
  }

  #inputsOf({ l7 }: LoadedConfig<'l7'>, overrides: ServerOverrides, certificates: Certificates): Inputs {
    return { config: fittedToHost(withOverrides(l7, overrides)), certificates, now: this.#now() };
  }

  /** The same faults are not told again at each look. */
  #readCertificates({ l7 }: LoadedConfig<'l7'>): Certificates {
    const { certificates, faults } = readCertificates(l7, this.inputs.certificates);
    const text = faults.join('; ');
    if (text !== '' && text !== this.#toldFaults)
      this.#log.warn(
        { event: 'certificate_refused', faults },
        `certificates cannot be used, and the former ones stay in force: ${text}`,
      );
    this.#toldFaults = text;
    return certificates;
  }

  async #remember(overrides: ServerOverrides): Promise<void> {
    this.#overrides = overrides;
    await writeState(this.#config.l7.runDirectory, overrides, this.#log);
  }

  #serverKey({ upstream, server }: ServerTarget): string {
    const { upstreams } = this.#config.l7;
    const found = upstreams.find(({ name }) => name === upstream);
    if (found === undefined)
      throw notThere(
        `there is no upstream ${upstream}`,
        upstream,
        upstreams.map(({ name }) => name),
      );
    const names = found.servers.map(({ name }) => name);
    if (!names.includes(server))
      throw notThere(`upstream ${upstream} has no server ${server}`, server, names);
    return serverKey(upstream, server);
  }

  #requireSamePlace({ l7 }: LoadedConfig<'l7'>): void {
    const { runDirectory, user } = this.#config.l7;
    for (const [field, now, was] of [
      ['run_dir', l7.runDirectory, runDirectory],
      ['user', l7.user, user],
    ] as const) {
      if (now === was) continue;
      const message = `l7.${field} is ${now} now, and was ${was}: a reload cannot change it`;
      throw new ControlError(422, 'ERR_RESTART', message, {
        hint: 'Drain this host (anyhop l7 drain --wait), then start anyhop l7 run again.',
      });
    }
  }
}

const NAMES_SHOWN_MAX = 10;

function notThere(message: string, asked: string, known: readonly string[]): ControlError {
  const meant = nearest(asked, known);
  const more = known.length > NAMES_SHOWN_MAX ? ', ...' : '';
  return new ControlError(404, 'ERR_NOT_FOUND', message, {
    hint:
      meant === undefined
        ? `There are ${known.slice(0, NAMES_SHOWN_MAX).join(', ')}${more}.`
        : `Did you mean ${meant}?`,
  });
}
