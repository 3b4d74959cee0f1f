/**
 * HAProxy and what it runs with: the one place that knows both. Puts other inputs in force with as little as they need.
 *
 *   next inputs --> the same files ---------------------------------------------------> nothing to change
 *               --> only what HAProxy takes at runtime --> commands, then the files --> without a reload
 *               --> anything else ------------------------------------------------------> by a reload
 *               --> HAProxy does not run, or ends -------> judged by HAProxy ---------> at the next start
 *
 * What HAProxy refuses changes nothing. Calls must not overlap: the tier makes its changes one after the other.
 */
import { AnyhopError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { printable } from '../core/printable.js';
import type { Applied } from './api.js';
import { HaproxyDaemon, HaproxyRefused } from './haproxy/haproxy.js';
import type { HaproxyProblem } from './haproxy/problems.js';
import { rehearse } from './haproxy/rehearse.js';
import type { StopOutcome } from './haproxy/runner.js';
import { comparable, haproxyConfig, type Inputs } from './inputs.js';
import { type RuntimeCommand, runtimePlan } from './runtime-plan.js';
import { stillDown } from './still-down.js';

export interface HaproxyPlace {
  /** The run directory. */
  readonly run: string;
  readonly user: string;
}

export class InForce {
  readonly #place: HaproxyPlace;
  readonly #log: Logger;
  #inputs: Inputs;
  #daemon: HaproxyDaemon | undefined;
  /** HAProxy may have done a part of a change that failed: only a reload says again what it runs with. */
  #isTorn = false;
  /** Of daemons that have been stopped since. */
  #formerTransfersLost = 0;
  reloads = 0;
  restarts = 0;

  constructor(place: HaproxyPlace, inputs: Inputs, log: Logger) {
    this.#place = place;
    this.#inputs = inputs;
    this.#log = log;
  }

  get inputs(): Inputs {
    return this.#inputs;
  }

  /** Undefined before the first start and after a stop. */
  get haproxy(): HaproxyDaemon | undefined {
    return this.#daemon;
  }

  get transfersLost(): number {
    return this.#formerTransfersLost + (this.#daemon?.transfersLost ?? 0);
  }

  /**
   * Starts HAProxy, which does not run. Resolves when it serves, to its warnings.
   * @throws HaproxyRefused; AnyhopError when it cannot be tried
   */
  async start(now: Date): Promise<readonly HaproxyProblem[]> {
    const inputs = { ...this.#inputs, now };
    const { daemon, warnings } = await HaproxyDaemon.start(
      { ...this.#place, log: this.#log },
      haproxyConfig(inputs),
    );
    daemon.onState(({ state }) => {
      if (state === 'restarting') this.restarts++;
    });
    this.#daemon = daemon;
    this.#inputs = inputs;
    this.#isTorn = false;
    return warnings;
  }

  /** Lets HAProxy end its connections, and ends it when time is up. */
  async softStop(timeoutMs: number): Promise<StopOutcome> {
    const daemon = this.#daemon;
    if (daemon === undefined) return { isDone: true, cutOff: 0 };
    const outcome = await daemon.softStop(timeoutMs);
    this.#forget(daemon);
    return outcome;
  }

  /** Ends HAProxy and its connections. */
  async hardStop(): Promise<void> {
    const daemon = this.#daemon;
    if (daemon === undefined) return;
    await daemon.hardStop();
    this.#forget(daemon);
  }

  #forget(daemon: HaproxyDaemon): void {
    if (this.#daemon !== daemon) return;
    this.#formerTransfersLost += daemon.transfersLost;
    this.#daemon = undefined;
  }

  /** Whether HAProxy would take them. @throws HaproxyRefused; AnyhopError when it cannot be tried */
  async check(inputs: Inputs): Promise<void> {
    const daemon = this.#daemon;
    if (daemon === undefined || isEnding(daemon)) await rehearse(this.#place, haproxyConfig(inputs));
    else await daemon.judge(haproxyConfig(inputs));
  }

  /** @throws HaproxyRefused; AnyhopError when it cannot be tried. The former inputs stay in force then */
  async apply(next: Inputs): Promise<Applied> {
    const daemon = this.#daemon;
    if (daemon === undefined || isEnding(daemon)) {
      await this.check(next);
      this.#inputs = next;
      return 'at the next start';
    }
    const commands = this.#plan(daemon, next);
    if (commands?.length === 0) {
      this.#inputs = next;
      return 'nothing to change';
    }
    if (commands !== undefined && (await this.#atRuntime(daemon, commands, next))) {
      this.#inputs = next;
      return 'without a reload';
    }
    await this.#reload(daemon, next);
    this.#inputs = next;
    return 'by a reload';
  }

  /** Undefined when a reload is needed. While HAProxy is down, a reload starts it. */
  #plan(daemon: HaproxyDaemon, next: Inputs): readonly RuntimeCommand[] | undefined {
    const { loadedDirectory } = daemon;
    if (this.#isTorn || loadedDirectory === undefined) return undefined;
    return runtimePlan(this.#inputs, next, comparable, loadedDirectory);
  }

  /** @returns false when a reload has to do it */
  async #atRuntime(
    daemon: HaproxyDaemon,
    commands: readonly RuntimeCommand[],
    next: Inputs,
  ): Promise<boolean> {
    const worker = workerOf(daemon);
    this.#isTorn = true; // until it is known that all of it is done
    if (!(await this.#command(daemon, commands))) return false;
    try {
      const { inForce } = await daemon.amend(haproxyConfig(next));
      // A HAProxy that was started again in between has the former files.
      if (!inForce || worker === undefined || workerOf(daemon) !== worker) return false;
    } catch (error) {
      if (!(error instanceof AnyhopError)) throw error;
      this.#log.warn(
        { event: 'l7_command_refused', why: error.message },
        `HAProxy is reloaded, since its files cannot be written at runtime: ${error.message}`,
      );
      return false;
    }
    this.#isTorn = false;
    return true;
  }

  /** @returns false when HAProxy did not do one of them */
  async #command(daemon: HaproxyDaemon, commands: readonly RuntimeCommand[]): Promise<boolean> {
    for (const { command, payload, done } of commands) {
      const why = await refusal(daemon, command, payload, done);
      if (why === undefined) continue;
      const [what] = command.split(' /', 1); // without paths and keys
      this.#log.warn(
        { event: 'l7_command_refused', command: what, why },
        `HAProxy does not do "${what}", so it is reloaded: ${why}`,
      );
      return false;
    }
    return true;
  }

  async #reload(daemon: HaproxyDaemon, next: Inputs): Promise<void> {
    const stats = await answerOf(daemon.stats());
    try {
      const done = await daemon.reload(haproxyConfig(next));
      if (!done.inForce) throw new HaproxyRefused(done.problems);
      this.#isTorn = false;
      this.reloads++;
      if (stats !== undefined) await tellAll(daemon, stillDown(stats, this.#inputs.config, next.config));
    } catch (error) {
      if (this.#isTorn) await this.#mend(daemon);
      throw error;
    }
  }

  /** HAProxy may run with a part of what was refused: it gets back what is in force. */
  async #mend(daemon: HaproxyDaemon): Promise<void> {
    try {
      const done = await daemon.reload(haproxyConfig(this.#inputs));
      if (!done.inForce) throw new HaproxyRefused(done.problems);
      this.#isTorn = false;
      this.reloads++;
    } catch (error) {
      if (!(error instanceof AnyhopError)) throw error;
      this.#log.error(
        { event: 'l7_torn', why: error.message },
        `HAProxy may run with a part of a refused change until its next reload: ${error.message}`,
      );
    }
  }
}

const TELL_MS_MAX = 1_000;

/** What is not told in time, or not taken, the checks of the new worker find out. */
async function tellAll(daemon: HaproxyDaemon, commands: readonly string[]): Promise<void> {
  const endMs = performance.now() + TELL_MS_MAX;
  for (const command of commands) {
    const answer = await answerOf(daemon.command(command));
    if (answer === undefined || performance.now() > endMs) return;
  }
}

/** Undefined when HAProxy does not answer. */
async function answerOf<T>(question: Promise<T>): Promise<T | undefined> {
  try {
    return await question;
  } catch (error) {
    if (error instanceof AnyhopError) return undefined;
    throw error;
  }
}

function isEnding({ state }: HaproxyDaemon): boolean {
  return state.state === 'stopping' || state.state === 'stopped';
}

/** Its pid; undefined while HAProxy is down. */
function workerOf({ state }: HaproxyDaemon): number | undefined {
  return state.state === 'up' ? state.worker.pid : undefined;
}

/** Why HAProxy did not do it; undefined when it did. */
async function refusal(
  daemon: HaproxyDaemon,
  command: string,
  payload: string | undefined,
  done: RegExp,
): Promise<string | undefined> {
  try {
    const answer = await daemon.command(command, payload === undefined ? {} : { payload });
    if (done.test(answer)) return undefined;
    const said = printable(answer.trim(), ANSWER_CHARS_MAX);
    return said === '' ? 'it answers nothing' : said;
  } catch (error) {
    if (error instanceof AnyhopError) return error.message;
    throw error;
  }
}

const ANSWER_CHARS_MAX = 200;
