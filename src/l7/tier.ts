/**
 * The tier on one proxy host: the config in force, what was said of servers at runtime, the certificates, and HAProxy, which runs by them. The
 * one place that changes any of these; changes run one after the other.
 *
 *   reload, drain and weight of a server, certificates, the hour --> inputs --> nothing differs
 *                                                                      |-----> runtime commands, and the files for the next start
 *                                                                      +-----> a reload
 *
 * A change that HAProxy refuses changes nothing: the former inputs stay in force.
 */
import { ControlError } from '../api/api.js';
import { ConfigError, type ConfigProblem, formatProblem } from '../config/error.js';
import { nearest } from '../config/nearest.js';
import { formatPath } from '../config/path.js';
import type { LoadedConfig } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { printable } from '../core/printable.js';
import { SerialQueue } from '../core/serial-queue.js';
import type { Applied, L7Change, ServerTarget } from './api.js';
import { type Certificates, readCertificates } from './certificate-watch.js';
import { HaproxyDaemon, HaproxyRefused } from './haproxy/haproxy.js';
import type { HaproxyConfig } from './haproxy/prepare.js';
import type { HaproxyProblem } from './haproxy/problems.js';
import { fittedToHost, needsOf } from './needs.js';
import { ticketHour } from './render/keys.js';
import { renderL7 } from './render/render.js';
import type { Rendering } from './render/rendering.js';
import { type Inputs, type RuntimeCommand, runtimePlan } from './runtime-plan.js';
import {
  override,
  type ServerOverrides,
  type ServerPatch,
  serverKey,
  stillNeeded,
  withOverrides,
} from './servers.js';
import { readState, writeState } from './state.js';

/** Renderings that are compared have this directory. */
const COMPARED = '/run/compared/g0';
const HOUR_CHECK_MS = 10_000;

export interface LastReload {
  readonly at: Date;
  readonly problems: readonly string[] | undefined;
}

export class Tier {
  readonly #log: Logger;
  readonly #load: () => LoadedConfig<'l7'>;
  readonly #runDirectory: string;
  readonly #changes = new SerialQueue();
  readonly #hours: NodeJS.Timeout;
  #config: LoadedConfig<'l7'>;
  #overrides: ServerOverrides;
  #inputs: Inputs;
  /** Undefined while this host is drained. */
  #daemon: HaproxyDaemon | undefined;
  #changed = (): void => {};
  lastReload: LastReload | undefined;
  reloads = 0;
  failedReloads = 0;
  restarts = 0;
  /** Of HAProxy processes that have been stopped since. */
  #formerTransfersLost = 0;

  private constructor(
    load: () => LoadedConfig<'l7'>,
    config: LoadedConfig<'l7'>,
    overrides: ServerOverrides,
    log: Logger,
  ) {
    this.#log = log;
    this.#load = load;
    this.#config = config;
    this.#runDirectory = config.l7.runDirectory;
    this.#overrides = stillNeeded(overrides, config.l7);
    this.#inputs = inputsOf(config, this.#overrides);
    this.#hours = setInterval(() => void this.#takeHour(), HOUR_CHECK_MS).unref();
  }

  /**
   * Starts HAProxy. Resolves when it serves.
   * @throws ConfigError for a config that HAProxy or this host refuses; AnyhopError when it cannot be tried
   */
  static async start(load: () => LoadedConfig<'l7'>, config: LoadedConfig<'l7'>, log: Logger): Promise<Tier> {
    const tier = new Tier(load, config, readState(config.l7.runDirectory, log), log);
    try {
      await tier.startHaproxy();
    } catch (error) {
      tier.close();
      throw error;
    }
    return tier;
  }

  get config(): LoadedConfig<'l7'> {
    return this.#config;
  }

  /** With what was said at runtime. */
  get inputs(): Inputs {
    return this.#inputs;
  }

  get haproxy(): HaproxyDaemon | undefined {
    return this.#daemon;
  }

  get transfersLost(): number {
    return this.#formerTransfersLost + (this.#daemon?.transfersLost ?? 0);
  }

  /** Calls `listener` after each change of the config in force. */
  onChange(listener: () => void): void {
    this.#changed = listener;
  }

  /** Starts HAProxy, which does not run. @throws as `start` */
  startHaproxy(): Promise<void> {
    return this.#changes.add(async () => {
      const { runDirectory: run, user } = this.#config.l7;
      this.#inputs = { ...this.#inputs, now: new Date() };
      try {
        const { daemon, warnings } = await HaproxyDaemon.start(
          { run, user, log: this.#log },
          haproxyConfig(this.#inputs),
        );
        for (const { message } of warnings)
          this.#log.warn({ event: 'config_warning' }, `HAProxy warns: ${message}`);
        daemon.onState(({ state }) => {
          if (state === 'restarting') this.restarts++;
        });
        this.#daemon = daemon;
      } catch (error) {
        throw error instanceof HaproxyRefused ? this.#refusal(this.#config, error.problems) : error;
      }
    });
  }

  /** Lets HAProxy end its connections, and ends it at the deadline. @returns whether it ended by itself */
  async stopHaproxy(timeoutMs: number): Promise<boolean> {
    const daemon = this.#daemon;
    if (daemon === undefined) return true;
    const ended = await daemon.softStop(timeoutMs);
    this.#forget(daemon);
    return ended;
  }

  /** Ends HAProxy and its connections. */
  async killHaproxy(): Promise<void> {
    const daemon = this.#daemon;
    await daemon?.hardStop();
    if (daemon !== undefined) this.#forget(daemon);
  }

  #forget(daemon: HaproxyDaemon): void {
    this.#formerTransfersLost += daemon.transfersLost;
    if (this.#daemon === daemon) this.#daemon = undefined;
  }

  /**
   * Reads the config file again and puts it in force.
   * @throws ConfigError when it is wrong or refused; ControlError 409 when it needs a restart of this process; what was in force still is
   */
  reload(): Promise<L7Change> {
    return this.#changes.add(async () => {
      try {
        const config = this.#load();
        this.#requireSamePlace(config);
        const overrides = stillNeeded(this.#overrides, config.l7);
        const applied = await this.#apply(inputsOf(config, overrides), config);
        this.#config = config;
        await this.#remember(overrides);
        this.lastReload = { at: new Date(), problems: undefined };
        this.#changed();
        this.#log.info({ event: 'l7_reloaded', applied }, `the config is in force ${applied}`);
        return { applied, warnings: config.warnings.map(formatProblem) };
      } catch (error) {
        this.failedReloads++;
        const problems =
          error instanceof ConfigError ? error.problems.map(formatProblem) : [(error as Error).message];
        this.lastReload = { at: new Date(), problems };
        this.#log.error(
          { event: 'l7_reload_refused', problems },
          `the config is refused, and the former one stays in force: ${problems[0]}`,
        );
        throw error;
      }
    });
  }

  /** @throws ControlError 404 for a server that is not there */
  setServer(target: ServerTarget, patch: ServerPatch): Promise<L7Change> {
    return this.#changes.add(async () => {
      const key = this.#serverKey(target);
      const overrides = override(this.#overrides, this.#config.l7, key, patch);
      const applied = await this.#apply(
        inputsOf(this.#config, overrides, this.#inputs.certificates),
        this.#config,
      );
      await this.#remember(overrides);
      this.#log.info({ event: 'l7_server', server: key, ...patch }, `${key} is changed by command`);
      return { applied, warnings: [] };
    });
  }

  /** Certificates that a frontend's directory has now. */
  setCertificates(certificates: Certificates): Promise<void> {
    return this.#changes.add(async () => {
      const applied = await this.#apply({ ...this.#inputs, certificates }, this.#config);
      this.#log.info({ event: 'l7_certificates', applied }, `other certificates are in force ${applied}`);
    });
  }

  close(): void {
    clearInterval(this.#hours);
  }

  /** Ticket keys change with the hour. */
  async #takeHour(): Promise<void> {
    if (ticketHour(new Date()) === ticketHour(this.#inputs.now)) return;
    await this.#changes.add(async () => {
      try {
        await this.#apply({ ...this.#inputs, now: new Date() }, this.#config);
      } catch (error) {
        if (!(error instanceof AnyhopError)) throw error;
        this.#log.warn(
          { event: 'l7_tickets', why: error.message },
          `session tickets keep their keys: ${error.message}`,
        );
      }
    });
  }

  /** @throws ConfigError when HAProxy refuses it; the former inputs stay in force then */
  async #apply(next: Inputs, config: LoadedConfig<'l7'>): Promise<Applied> {
    const daemon = this.#daemon;
    if (daemon === undefined) {
      this.#inputs = next;
      return 'at the next start';
    }
    const { loadedDirectory } = daemon; // undefined while HAProxy is down: a reload starts it
    const commands = loadedDirectory && runtimePlan(this.#inputs, next, compared, loadedDirectory);
    if (commands && commands.length === 0) {
      this.#inputs = next;
      return 'nothing to change';
    }
    if (commands && (await this.#command(daemon, commands))) {
      const outcome = await daemon.amend(haproxyConfig(next));
      if (outcome.inForce) {
        this.#inputs = next;
        return 'without a reload';
      }
    }
    const outcome = await daemon.reload(haproxyConfig(next));
    if (!outcome.inForce) throw this.#refusal(config, outcome.problems);
    this.reloads++;
    this.#inputs = next;
    return 'by a reload';
  }

  /** @returns false when HAProxy did not do one of them: a reload does them all */
  async #command(daemon: HaproxyDaemon, commands: readonly RuntimeCommand[]): Promise<boolean> {
    for (const { command, payload, done } of commands) {
      const [what] = command.split(' /', 1); // without paths and keys
      try {
        const answer = await daemon.command(command, payload === undefined ? {} : { payload });
        if (done.test(answer)) continue;
        this.#log.warn(
          { event: 'l7_command_refused', command: what },
          `HAProxy does not do "${what}", so it is reloaded: ${printable(answer.trim())}`,
        );
      } catch (error) {
        if (!(error instanceof AnyhopError)) throw error;
        this.#log.warn(
          { event: 'l7_command_refused', command: what },
          `HAProxy does not do "${what}", so it is reloaded: ${error.message}`,
        );
      }
      return false;
    }
    return true;
  }

  async #remember(overrides: ServerOverrides): Promise<void> {
    this.#overrides = overrides;
    await writeState(this.#runDirectory, overrides, this.#log);
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
    for (const [field, now, was] of [
      ['run_dir', l7.runDirectory, this.#config.l7.runDirectory],
      ['user', l7.user, this.#config.l7.user],
    ] as const) {
      if (now === was) continue;
      throw new ControlError(409, 'ERR_RESTART', `l7.${field} is ${now} now, and was ${was}`, {
        hint: 'A reload stays where it is: drain this host, and start "anyhop l7 run" again.',
      });
    }
  }

  #refusal(config: LoadedConfig<'l7'>, problems: readonly HaproxyProblem[]): ConfigError {
    return new ConfigError(locatedProblems(config, problems));
  }
}

/** Errors of HAProxy and the host, at the fields that caused them. */
export function locatedProblems(
  { file, placeOf }: Pick<LoadedConfig<'l7'>, 'file' | 'placeOf'>,
  problems: readonly HaproxyProblem[],
): ConfigProblem[] {
  return problems
    .filter(({ level }) => level === 'error')
    .map(({ at, message }) => ({
      file,
      ...(at.length === 0 ? { line: 0, column: 0 } : placeOf(at)),
      field: formatPath(at),
      message,
    }));
}

function inputsOf(
  { l7 }: LoadedConfig<'l7'>,
  overrides: ServerOverrides,
  certificates: Certificates = readCertificates(l7).certificates,
): Inputs {
  return { config: fittedToHost(withOverrides(l7, overrides)), certificates, now: new Date() };
}

export function haproxyConfig(inputs: Inputs): HaproxyConfig {
  return { render: (directory) => rendered(inputs, directory), needs: needsOf(inputs.config) };
}

const compared = (inputs: Inputs): Rendering => rendered(inputs, COMPARED);

function rendered({ config, certificates, now }: Inputs, directory: string): Rendering {
  return renderL7(config, { directory, certificates, now });
}

function notThere(message: string, asked: string, known: readonly string[]): ControlError {
  const meant = nearest(asked, known);
  return new ControlError(404, 'ERR_NOT_FOUND', message, {
    hint: meant === undefined ? `It has ${known.slice(0, 10).join(', ')}.` : `Did you mean ${meant}?`,
  });
}
