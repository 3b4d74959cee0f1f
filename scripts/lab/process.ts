/**
 * A long-running program of the lab: started in a namespace, its output kept line by line, waited for by what it says
 * and not by the clock, and ended by its pid.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { inNamespace } from './command.js';
import { killIfThere } from './names.js';

/** Of a program's output only the newest lines are kept. */
const LINES_MAX = 10_000;
/** How many of them an error shows. */
const LINES_SHOWN = 15;
/** For a process to end once it was asked to; then it is killed. */
export const STOP_TIMEOUT_MS = 5_000;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A line of a JSON log, as pino writes it. */
export interface LogEvent {
  readonly event?: string;
  readonly [field: string]: unknown;
}

export class LabProcess {
  readonly name: string;
  readonly pid: number;
  /** Settles when the process has ended and all its output has been read; never rejects. */
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  readonly #watchers = new Set<(line: string) => void>();
  #exit: Exit | undefined;

  private constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.#child = child;
    this.pid = child.pid ?? 0;
    for (const stream of [child.stdout!, child.stderr!]) {
      createInterface({ input: stream }).on('line', (line) => this.#take(line));
    }
    this.exited = new Promise((resolve) => {
      child.on('close', (code, signal) => {
        this.#exit = { code, signal };
        resolve(this.#exit);
      });
    });
  }

  /** Starts `argv` in the namespace, if one is given, in a session of its own: a Ctrl-C in the terminal is the lab's to handle. */
  static async start(
    name: string,
    namespace: string | undefined,
    argv: readonly string[],
  ): Promise<LabProcess> {
    const [program = '', ...args] = inNamespace(namespace, argv);
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const started = new LabProcess(name, child);
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    return started;
  }

  get running(): boolean {
    return this.#exit === undefined;
  }

  /** What it wrote to standard output and standard error so far, newest lines last. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** The lines that are JSON objects, parsed. */
  get events(): LogEvent[] {
    return this.#lines.map(parseEvent).filter((event) => event !== undefined);
  }

  /** Calls `listener` for every line from now on, until the returned function is called. */
  onLine(listener: (line: string) => void): () => void {
    this.#watchers.add(listener);
    return () => this.#watchers.delete(listener);
  }

  /** The first line, past or future, that `wanted` accepts. Rejects when the process ends first or time runs out. */
  async waitForLine(wanted: (line: string) => boolean, what: string, timeoutMs: number): Promise<string> {
    const past = this.#lines.find(wanted);
    if (past !== undefined) return past;
    return new Promise((resolve, reject) => {
      const settle = (action: () => void): void => {
        clearTimeout(timer);
        unwatch();
        action();
      };
      const fail = (why: string): void =>
        settle(() => reject(new Error(`${this.name}: ${why}\n${this.tail()}`)));
      const timer = setTimeout(() => fail(`no ${what} within ${timeoutMs} ms`), timeoutMs);
      const unwatch = this.onLine((line) => {
        if (wanted(line)) settle(() => resolve(line));
      });
      this.exited.then(({ code, signal }) => fail(`ended (${signal ?? code}) before ${what}`));
    });
  }

  /** The first log event of this name, past or future. */
  async waitForEvent(name: string, timeoutMs: number): Promise<LogEvent> {
    const line = await this.waitForLine(
      (text) => parseEvent(text)?.event === name,
      `event "${name}"`,
      timeoutMs,
    );
    return parseEvent(line)!;
  }

  /** Asks the process to end and waits until it has; one that does not in time is killed. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', timeoutMs: number = STOP_TIMEOUT_MS): Promise<Exit> {
    if (this.running) this.#child.kill(signal);
    const timer = setTimeout(() => {
      this.kill();
      // What it has started itself may live on with these open, and is not waited for.
      this.#child.stdout?.destroy();
      this.#child.stderr?.destroy();
    }, timeoutMs);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }

  /** SIGKILL, without waiting. */
  kill(): void {
    if (this.running) killIfThere(this.pid);
  }

  /** The end of its output, for error messages. */
  tail(): string {
    return this.#lines
      .slice(-LINES_SHOWN)
      .map((line) => `  ${this.name}: ${line}`)
      .join('\n');
  }

  #take(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length > LINES_MAX) this.#lines.shift();
    for (const watcher of this.#watchers) watcher(line);
  }
}

function parseEvent(line: string): LogEvent | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
