/**
 * HAProxy as a daemon: started with one config, then given others. A config that the host or HAProxy refuses never replaces the one in
 * force: each step that can fail leaves that one running.
 *
 *     what the host has --> write gN --> haproxy -c --> current -> gN --> reload --> a new worker serves
 *              |                             |                              |
 *              +-----------------------------+--> refused                   +--> current -> the former one; refused
 *
 * Changes run one after the other, and a restart that is due is one of them: nothing comes between two steps of a reload.
 */
import { formatPath } from '../../config/path.js';
import { AnyhopError } from '../../core/errors.js';
import { listed } from '../../core/listed.js';
import type { Logger } from '../../core/log.js';
import { SerialQueue } from '../../core/serial-queue.js';
import { haproxySockets } from '../render/rendering.js';
import { type Amended, Deployment, type Refused, type Reloaded } from './deployment.js';
import { Generations } from './generations.js';
import { findIdentity } from './identity.js';
import { masterWorker } from './launch.js';
import { findLeftovers, type Leftovers, signalAll } from './leftovers.js';
import type { AskOptions } from './master.js';
import type { HaproxyConfig, Place } from './prepare.js';
import type { HaproxyProblem } from './problems.js';
import { type HaproxyState, Runner, type StopOutcome } from './runner.js';
import { type HaproxyInfo, type HaproxyStats, readInfo, readStats } from './stats.js';

export interface HaproxyOptions {
  /** The run directory, an absolute path. */
  readonly run: string;
  readonly log: Logger;
  /** HAProxy: a name or an absolute path. */
  readonly program?: string;
  /** Whom HAProxy runs as, when this process is root. */
  readonly user?: string;
}

/** The host or HAProxy refuses the config that HAProxy should start with. */
export class HaproxyRefused extends AnyhopError {
  readonly problems: readonly HaproxyProblem[];

  constructor(problems: readonly HaproxyProblem[]) {
    super('ERR_HAPROXY', `HAProxy cannot start: ${summary(problems)}`);
    this.problems = problems;
  }
}

export class HaproxyDaemon {
  readonly #log: Logger;
  readonly #changes = new SerialQueue();
  readonly #runner: Runner;
  readonly #deployment: Deployment;

  private constructor(place: Place, log: Logger) {
    const { generations, program, identity } = place;
    const socket = haproxySockets(generations.run).master;
    this.#log = log;
    this.#runner = new Runner({
      command: () => masterWorker(identity, program, generations.currentFile, socket),
      socket,
      log,
      changes: this.#changes,
      beforeRestart: () => this.#deployment.restore(),
      afterRestart: (worker) => this.#deployment.loaded(worker, []),
    });
    this.#deployment = new Deployment(place, this.#runner, log);
  }

  /**
   * Resolves when the first worker serves. HAProxy that a killed process left behind serves until then, and ends then.
   * @throws HaproxyRefused; AnyhopError ERR_HAPROXY or ERR_TOOL when it cannot be tried
   */
  static async start(
    { run, log, program = 'haproxy', user = 'haproxy' }: HaproxyOptions,
    config: HaproxyConfig,
  ): Promise<{ readonly daemon: HaproxyDaemon; readonly warnings: readonly HaproxyProblem[] }> {
    const identity = await findIdentity(user);
    const generations = await Generations.open(run, identity);
    const daemon = new HaproxyDaemon({ generations, program, identity }, log);
    const leftovers = findLeftovers(haproxySockets(run).master);
    try {
      const done = await daemon.#changes.add(() => daemon.#deployment.put(config, leftovers.pids));
      if (!done.inForce) throw new HaproxyRefused(done.problems);
      log.info(
        { event: 'haproxy_up', process: done.worker.pid, version: done.worker.version },
        'HAProxy serves',
      );
      endLeftovers(leftovers, log);
      return { daemon, warnings: done.warnings };
    } catch (error) {
      await daemon.hardStop();
      throw error;
    }
  }

  get state(): HaproxyState {
    return this.#runner.state;
  }

  /** Calls `listener` with each new state, until the returned function is called. */
  onState(listener: (state: HaproxyState) => void): () => void {
    return this.#runner.onState(listener);
  }

  /** Whether the worker has answered on its socket within the last 3 s. */
  isAlive(): boolean {
    return this.#runner.isAlive();
  }

  /** The number of the generation in force. */
  get generation(): number | undefined {
    return this.#deployment.generation;
  }

  /** Reloads that lost the connections which waited to be accepted. */
  get transfersLost(): number {
    return this.#deployment.transfersLost;
  }

  /**
   * The directory by which the worker that serves knows its files, for runtime commands: an earlier one than that of the generation in
   * force once that was amended. Undefined while HAProxy is down.
   */
  get loadedDirectory(): string | undefined {
    const { state } = this;
    return state.state === 'up' ? this.#deployment.directoryOf(state.worker.pid) : undefined;
  }

  /**
   * Puts another config in force. While HAProxy is down, it is started with the new config.
   * @throws AnyhopError ERR_HAPROXY or ERR_TOOL when it cannot be tried, ERR_STOPPING when HAProxy ends; the config in force stays
   */
  reload(config: HaproxyConfig): Promise<Reloaded | Refused> {
    return this.#change(async () => {
      const done = await this.#deployment.put(config, await this.#runner.pids());
      if (done.inForce) {
        const { generation, tookMs, worker } = done;
        this.#log.info(
          { event: 'haproxy_reloaded', generation, tookMs, process: worker.pid },
          'HAProxy serves with the new config',
        );
      } else this.#sayRefused(done);
      return done;
    });
  }

  /** Whether this host and HAProxy would take a config in place of the one in force. @throws HaproxyRefused; AnyhopError as `reload` */
  judge(config: HaproxyConfig): Promise<void> {
    return this.#change(async () => {
      const problems = await this.#deployment.judge(config, await this.#runner.pids());
      if (problems.length > 0) throw new HaproxyRefused(problems);
    });
  }

  /**
   * Writes a config that differs only by what runtime commands have put in force already, so that the next reload or restart keeps it.
   * @throws AnyhopError as `reload` does
   */
  amend(config: HaproxyConfig): Promise<Amended | Refused> {
    return this.#change(async () => {
      const done = await this.#deployment.amend(config, await this.#runner.pids());
      if (!done.inForce) this.#sayRefused(done);
      return done;
    });
  }

  /**
   * The answer of the worker that serves to a command that may change something; never during a reload.
   * @throws AnyhopError ERR_HAPROXY without an answer, ERR_STOPPING when HAProxy ends
   */
  command(command: string, options: AskOptions = {}): Promise<string> {
    return this.#change(() => this.#runner.cli().askWorker(command, options));
  }

  /** Workers of former configs that still serve connections. @throws AnyhopError as `stats` does */
  async oldWorkers(): Promise<number> {
    const { oldWorkers } = await this.#runner.ask((cli) => cli.processes());
    return oldWorkers.length;
  }

  /** @throws AnyhopError ERR_HAPROXY without an answer, also in a reload that takes longer than 5 s */
  async stats(): Promise<HaproxyStats> {
    return readStats(await this.#runner.ask((cli) => cli.askWorker('show stat')));
  }

  /** @throws AnyhopError as `stats` does */
  async info(): Promise<HaproxyInfo> {
    return readInfo(await this.#runner.ask((cli) => cli.askWorker('show info')));
  }

  /**
   * Takes no new connections and ends when those that there are are done, or when time is up. Resolves when HAProxy has ended.
   */
  softStop(timeoutMs: number): Promise<StopOutcome> {
    return this.#runner.softStop(timeoutMs);
  }

  /** Ends HAProxy and its connections at once. Resolves when it has ended. */
  hardStop(): Promise<void> {
    return this.#runner.hardStop();
  }

  #change<T>(change: () => Promise<T>): Promise<T> {
    return this.#changes.add(() => {
      if (this.#runner.isEnding) throw new AnyhopError('ERR_STOPPING', 'HAProxy is about to end');
      return change();
    });
  }

  #sayRefused({ problems }: Refused): void {
    this.#log.error(
      {
        event: 'haproxy_refused',
        problems: problems.map(({ at, message }) => ({ field: formatPath(at), message })),
      },
      `the new config is not in force, the former one is: ${summary(problems)}`,
    );
  }
}

function endLeftovers({ heads }: Leftovers, log: Logger): void {
  if (heads.length === 0) return;
  const why = signalAll(heads, 'SIGUSR1');
  const text = `HAProxy of a former process (${heads.join(', ')})`;
  if (why === undefined)
    log.warn({ event: 'haproxy_leftover', pids: heads }, `${text} was still there, and ends`);
  else log.error({ event: 'haproxy_leftover', pids: heads, why }, `${text} cannot be ended: ${why}`);
}

function summary(problems: readonly HaproxyProblem[]): string {
  const errors = problems.filter(({ level }) => level === 'error').map(({ message }) => message);
  return listed(errors, { separator: '; ' });
}
