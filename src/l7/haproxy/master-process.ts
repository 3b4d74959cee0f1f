/**
 * One run of HAProxy: the master process, from its start to its end. The workers are the master's children, and end with it: a
 * worker that dies ends the master too, and a master that dies ends its workers.
 *
 * The access log goes to this process's standard output without passing through it.
 */
import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { AnyhopError } from '../../core/errors.js';
import type { Logger } from '../../core/log.js';
import { startProgram } from '../../core/program.js';
import { reasonOf } from '../../core/reason.js';
import { formatDuration } from '../../core/time.js';
import { Journal } from './journal.js';
import type { Command } from './launch.js';
import { MasterCli } from './master.js';

const POLL_MS = 25;
/** One look: the master answers at once, unless it is loading. */
const LOOK_TIMEOUT_MS = 2_000;
/** After the end of the master, for what its workers still say. */
const LAST_WORDS_MS = 300;
/** Between asking HAProxy to end at once and killing it. */
const TERM_PATIENCE_MS = 2_000;
const WORKER_DIED = /^Current worker .*\((\d+)\) exited with code (?!0 )/;

export interface Worker {
  readonly pid: number;
  readonly version: string;
}

export class MasterProcess {
  readonly cli: MasterCli;
  readonly journal: Journal;
  /** Resolves when the master has ended, to the reason in words. */
  readonly exited: Promise<string>;
  readonly #child: ChildProcess;
  #isRunning = true;

  private constructor(child: ChildProcess, socket: string, log: Logger) {
    this.cli = new MasterCli(socket);
    this.journal = new Journal(log);
    this.#child = child;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => this.journal.take(text));
    this.exited = this.#end();
  }

  /**
   * @param socket the path of its master CLI
   * @throws AnyhopError ERR_TOOL when it cannot be started at all
   */
  static start({ program, args }: Command, socket: string, log: Logger): MasterProcess {
    try {
      // A session of its own: a Ctrl-C in the terminal is anyhop's to handle.
      const child = startProgram(program, args, { detached: true, stdio: ['ignore', 'inherit', 'pipe'] });
      return new MasterProcess(child, socket, log);
    } catch (cause) {
      throw new AnyhopError('ERR_TOOL', `the program ${program} cannot be started: ${reasonOf(cause)}`, {
        cause,
      });
    }
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /**
   * Asks again and again until `look` has an answer. Failures of HAProxy to answer are expected while it loads.
   * @throws AnyhopError ERR_HAPROXY when HAProxy ends first, or time runs out
   */
  async until<T>(look: () => Promise<T | undefined>, timeoutMs: number): Promise<T> {
    const deadlineMs = performance.now() + timeoutMs;
    while (performance.now() < deadlineMs) {
      if (!this.#isRunning) throw new AnyhopError('ERR_HAPROXY', `HAProxy ended: ${await this.exited}`);
      try {
        const found = await look();
        if (found !== undefined) return found;
      } catch (error) {
        if (!(error instanceof AnyhopError)) throw error;
      }
      await sleep(POLL_MS);
    }
    throw new AnyhopError('ERR_HAPROXY', `HAProxy is not ready after ${formatDuration(timeoutMs)}`);
  }

  /** Resolves when the first worker serves. @throws AnyhopError ERR_HAPROXY as `until` does */
  ready(timeoutMs: number): Promise<Worker> {
    return this.until(async () => {
      const { master, workers } = await this.cli.processes(LOOK_TIMEOUT_MS);
      const [worker] = workers;
      // The socket may still be a former HAProxy's.
      return master.pid === this.pid && worker !== undefined ? this.serving(worker.pid) : undefined;
    }, timeoutMs);
  }

  /** The worker with this pid, once it answers. @throws AnyhopError ERR_HAPROXY */
  async serving(pid: number): Promise<Worker> {
    return { pid, version: await this.cli.versionOf(pid, LOOK_TIMEOUT_MS) };
  }

  /** Asks it to take no new connections, and to end when those that it has are done. */
  softStop(): void {
    this.#signal('SIGUSR1');
  }

  /** Ends it with all its workers, old ones too. Resolves when it has ended. */
  async hardStop(): Promise<void> {
    this.#signal('SIGTERM');
    const patience = new AbortController();
    const timer = sleep(TERM_PATIENCE_MS, undefined, { signal: patience.signal }).then(
      () => this.#killGroup(),
      () => undefined,
    );
    await this.exited;
    patience.abort();
    await timer;
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#isRunning) sendSignal(this.pid, signal);
  }

  /** The master and the workers, which are in a session of their own. */
  #killGroup(): void {
    sendSignal(-this.pid, 'SIGKILL');
  }

  #end(): Promise<string> {
    return new Promise((resolve) => {
      const end = (why: string): void => {
        this.#isRunning = false;
        const gone = (): void => {
          clearTimeout(timer);
          this.#killGroup(); // a worker that hangs would keep its share of new connections
          resolve(this.#reason(why));
        };
        const timer = setTimeout(gone, LAST_WORDS_MS);
        this.#child.once('close', gone);
      };
      this.#child.once('error', (error) => end(reasonOf(error)));
      this.#child.once('exit', (code, signal) =>
        end(signal === null ? `exit code ${code}` : `the master was ended by ${signal}`),
      );
    });
  }

  /** HAProxy's own words where it has them: a dead worker, or its last error. */
  #reason(why: string): string {
    const messages = this.journal.since(0);
    const died = messages.findLast(({ text }) => WORKER_DIED.test(text));
    if (died !== undefined) return died.text.replace(/^Current w/, 'w');
    const alert = messages.findLast(({ level }) => level === 'ALERT');
    return alert === undefined ? why : `${why}: ${alert.text}`;
  }
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  if (pid === 0) return; // it could not be started
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
