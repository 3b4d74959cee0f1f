/**
 * Keeps HAProxy running with what `current` names: starts it, reloads it, and starts it again when it dies, after a delay that grows.
 * It knows nothing of configs; whoever flips `current` does so in one of the same changes.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AnyhopError } from '../../core/errors.js';
import {
  HAPROXY_ANSWER_TIMEOUT_MS,
  HAPROXY_LIVED_MS,
  HAPROXY_READY_TIMEOUT_MS,
  HAPROXY_RESTART_MS_MAX,
  HAPROXY_RESTART_MS_MIN,
} from '../../core/limits.js';
import type { Logger } from '../../core/log.js';
import type { SerialQueue } from '../../core/serial-queue.js';
import type { Command } from './launch.js';
import type { MasterCli } from './master.js';
import { MasterProcess, type Worker } from './master-process.js';
import type { HaproxyMessage } from './problems.js';
import { Pulse } from './pulse.js';
import { reload } from './reload.js';

export type HaproxyState =
  | { readonly state: 'starting' }
  | { readonly state: 'up'; readonly since: Date; readonly worker: Worker }
  | {
      readonly state: 'restarting';
      /** When HAProxy ended. */
      readonly since: Date;
      /** Restarts since it last lived for a minute, the next one included. */
      readonly attempts: number;
      readonly why: string;
    }
  | { readonly state: 'stopping' }
  | { readonly state: 'stopped' };

export interface Served {
  readonly ok: true;
  readonly worker: Worker;
  /** The new worker made its own listening sockets: connections that waited at the former ones are lost. */
  readonly isTransferLost: boolean;
  /** Pids of workers that finish their connections. */
  readonly oldWorkers: readonly number[];
}

export interface NotServed {
  readonly ok: false;
  readonly why: string;
  /** What HAProxy said meanwhile. */
  readonly messages: readonly HaproxyMessage[];
}

export interface StopOutcome {
  /** HAProxy ended by itself in time. */
  readonly isDone: boolean;
  /** Connections that HAProxy cut off at its own deadline (hard-stop-after). */
  readonly cutOff: number;
}

export interface RunnerOptions {
  /** Starts HAProxy; may throw AnyhopError. */
  readonly command: () => Command;
  /** Path of the master CLI. */
  readonly socket: string;
  readonly log: Logger;
  /** Restarts take their turn here. */
  readonly changes: SerialQueue;
  /** Before a restart: makes sure that `current` is there. */
  readonly beforeRestart: () => Promise<void>;
  /** After a restart. */
  readonly afterRestart: (worker: Worker) => Promise<void>;
}

const RETRY_MS = 50;
const ENDING: NotServed = { ok: false, why: 'HAProxy is about to end', messages: [] };

export class Runner {
  readonly #options: RunnerOptions;
  readonly #pulse: Pulse;
  readonly #listeners = new Set<(state: HaproxyState) => void>();
  #state: HaproxyState = { state: 'starting' };
  #master: MasterProcess | undefined;
  #upMs = Number.NEGATIVE_INFINITY;
  #attempts = 0;
  #isReloading = false;
  /** A reload is on its way, and HAProxy was alive before it. */
  #reloadsAlive = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: RunnerOptions) {
    this.#options = options;
    this.#pulse = new Pulse(async () => this.cli().askWorker('show version'));
  }

  get state(): HaproxyState {
    return this.#state;
  }

  onState(listener: (state: HaproxyState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A reload takes away the socket that is asked, for as long as HAProxy reads its files, and the worker serves on meanwhile. */
  isAlive(): boolean {
    return this.#pulse.isAlive() || (this.#reloadsAlive && this.#master?.isRunning === true);
  }

  get isEnding(): boolean {
    return this.#state.state === 'stopping' || this.#state.state === 'stopped';
  }

  /** Of the master that runs. @throws AnyhopError ERR_HAPROXY without one */
  cli(): MasterCli {
    if (this.#master?.isRunning === true) return this.#master.cli;
    throw new AnyhopError('ERR_HAPROXY', 'HAProxy does not run at the moment');
  }

  /**
   * The answer to a question that changes nothing, which is asked again for a while when a reload has taken away the socket.
   * @throws AnyhopError ERR_HAPROXY without an answer
   */
  async ask<T>(question: (cli: MasterCli) => Promise<T>): Promise<T> {
    const deadlineMs = performance.now() + HAPROXY_ANSWER_TIMEOUT_MS;
    for (;;) {
      try {
        return await question(this.cli());
      } catch (error) {
        if (!this.#isReloading || performance.now() > deadlineMs) throw error;
        await sleep(RETRY_MS);
      }
    }
  }

  /** Pids of the master and of its workers. */
  async pids(): Promise<number[]> {
    if (this.#master?.isRunning !== true) return [];
    const { master, workers, oldWorkers } = await this.#master.cli.processes();
    return [master, ...workers, ...oldWorkers].map(({ pid }) => pid);
  }

  /** Makes HAProxy serve with what `current` names: by a reload, or by a start when it does not run. */
  async serve(): Promise<Served | NotServed> {
    if (this.isEnding) return ENDING;
    const master = this.#master;
    const runs = master?.isRunning === true;
    const done = runs ? await this.#reload(master) : await this.#launch();
    if (done.ok) this.#up(done.worker);
    else if (!runs) this.#restartLater(done.why);
    return done;
  }

  /** Resolves when HAProxy has ended. @param timeoutMs after which it is ended */
  async softStop(timeoutMs: number): Promise<StopOutcome> {
    this.#ending();
    const journal = this.#master?.journal;
    const mark = journal?.mark() ?? 0;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), timeoutMs);
    });
    // A signal in the middle of a reload would meet only one of two workers.
    const ended = this.#options.changes.idle().then(async () => {
      this.#master?.softStop();
      await this.#master?.exited;
      return true as const;
    });
    const isDone = await Promise.race([ended, late]);
    clearTimeout(timer);
    await this.hardStop();
    return { isDone, cutOff: cutOff(journal?.since(mark) ?? []) };
  }

  /** Ends it with all its connections. Resolves when it has ended. */
  async hardStop(): Promise<void> {
    this.#ending();
    await this.#master?.hardStop();
    this.#pulse.close();
    this.#become({ state: 'stopped' });
  }

  async #launch(): Promise<Served | NotServed> {
    clearTimeout(this.#timer);
    if (this.isEnding) return ENDING;
    const { command, socket, log } = this.#options;
    let master: MasterProcess | undefined;
    try {
      master = MasterProcess.start(command(), socket, log);
      // At once, so that a stop ends it also while it starts.
      this.#master = master;
      const worker = await master.ready(HAPROXY_READY_TIMEOUT_MS);
      const started = master;
      void started.exited.then((why) => this.#ended(started, why));
      return { ok: true, worker, isTransferLost: false, oldWorkers: [] };
    } catch (error) {
      await master?.hardStop();
      return notServed(error, master?.journal.since(0));
    }
  }

  async #reload(master: MasterProcess): Promise<Served | NotServed> {
    const mark = master.journal.mark();
    this.#isReloading = true;
    this.#reloadsAlive = this.isAlive();
    try {
      const { worker, messages, isTransferLost, oldWorkers } = await reload(master, HAPROXY_READY_TIMEOUT_MS);
      if (worker !== undefined) return { ok: true, worker, isTransferLost, oldWorkers };
      return { ok: false, why: 'HAProxy could not load it', messages };
    } catch (error) {
      return notServed(error, master.journal.since(mark));
    } finally {
      if (this.#reloadsAlive && master.isRunning) this.#pulse.answered();
      this.#reloadsAlive = false;
      this.#isReloading = false;
    }
  }

  #up(worker: Worker): void {
    this.#pulse.answered();
    if (this.#state.state !== 'up') this.#upMs = performance.now();
    const since = this.#state.state === 'up' ? this.#state.since : new Date();
    if (!this.isEnding) this.#become({ state: 'up', since, worker });
  }

  #ended(master: MasterProcess, why: string): void {
    if (this.isEnding || this.#master !== master) return;
    if (performance.now() - this.#upMs >= HAPROXY_LIVED_MS) this.#attempts = 0;
    this.#options.log.error({ event: 'haproxy_ended', why }, `HAProxy ended: ${why}`);
    this.#restartLater(why);
  }

  #restartLater(why: string): void {
    if (this.isEnding || this.#state.state === 'starting') return; // a first start fails for whoever wanted it
    this.#pulse.ended();
    const delayMs = restartDelayMs(this.#attempts);
    this.#attempts++;
    const since = this.#state.state === 'restarting' ? this.#state.since : new Date();
    this.#become({ state: 'restarting', since, attempts: this.#attempts, why });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#options.changes.add(() => this.#restart()), delayMs);
  }

  async #restart(): Promise<void> {
    if (this.#state.state !== 'restarting') return; // stopped, or started by a reload
    const { beforeRestart, log, afterRestart } = this.#options;
    const { attempts, since } = this.#state;
    const done = await beforeRestart().then(
      () => this.#launch(),
      (error) => notServed(error, []),
    );
    if (this.isEnding) return;
    if (!done.ok) {
      const { why } = done;
      log.error(
        { event: 'haproxy_not_started', attempts, why },
        `HAProxy could not be started again: ${why}`,
      );
      this.#restartLater(why);
      return;
    }
    await afterRestart(done.worker);
    this.#up(done.worker);
    const goneMs = Date.now() - since.getTime();
    log.info({ event: 'haproxy_up', process: done.worker.pid, goneMs }, 'HAProxy serves again');
  }

  #ending(): void {
    clearTimeout(this.#timer);
    if (!this.isEnding) this.#become({ state: 'stopping' });
  }

  #become(state: HaproxyState): void {
    this.#state = state;
    for (const listener of this.#listeners) listener(state);
  }
}

/** @param attempts restarts so far since HAProxy last lived for a minute */
export function restartDelayMs(attempts: number): number {
  return Math.min(HAPROXY_RESTART_MS_MAX, HAPROXY_RESTART_MS_MIN * 2 ** attempts);
}

function notServed(error: unknown, messages: readonly HaproxyMessage[] = []): NotServed {
  if (!(error instanceof AnyhopError)) throw error;
  return { ok: false, why: error.message, messages };
}

const HARD_STOPPED = /^Proxy \S+ hard-stopped \((\d+) remaining conns/;

function cutOff(messages: readonly HaproxyMessage[]): number {
  return messages.reduce((sum, { text }) => sum + Number(HARD_STOPPED.exec(text)?.[1] ?? 0), 0);
}
