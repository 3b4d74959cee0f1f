/** A child process inside a network namespace that answers one request at a time over an IPC channel. */
import { type ChildProcess, spawn } from 'node:child_process';
import { inNamespace } from '../../scripts/lab/command.js';

const ANSWER_TIMEOUT_MS = 20_000;

export class Peer<Request extends object> {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  #last: Promise<unknown> = Promise.resolve();

  /**
   * @param script compiled test program; it ends when the channel closes
   * @param through a command that starts the one behind it: another user's, say
   */
  constructor(
    namespace: string,
    script: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv = process.env,
    through: readonly string[] = [],
  ) {
    const [program = '', ...rest] = inNamespace(namespace, [...through, process.execPath, script, ...args]);
    this.#child = spawn(program, rest, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced',
      env,
    });
    this.#exited = new Promise((resolve) => this.#child.once('exit', resolve));
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** The next message that nobody asked for. */
  hello(): Promise<unknown> {
    return this.#answer(() => undefined);
  }

  /** Rejects with the error's code and message when the child answers with one, ends, or is silent for 20 s. */
  ask(request: Request): Promise<unknown> {
    const answer = this.#last.then(() => this.#answer(() => this.#child.send(request)));
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  /** Stops its process in its tracks, until `resume`. */
  halt(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  async close(): Promise<void> {
    this.resume();
    if (this.#child.connected) this.#child.disconnect();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    await this.#exited;
    clearTimeout(timer);
  }

  #answer(start: () => void): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const settle = (action: () => void): void => {
        clearTimeout(timer);
        this.#child.off('message', onMessage).off('exit', onExit);
        action();
      };
      const onMessage = (message: unknown): void => {
        const { value, error } = message as { value?: unknown; error?: { code?: string; message: string } };
        settle(() =>
          error === undefined
            ? resolve(value)
            : reject(Object.assign(new Error(error.message), { code: error.code })),
        );
      };
      const onExit = (code: number | null, signal: string | null): void =>
        settle(() => reject(new Error(`the process ended: ${signal ?? code}`)));
      const timer = setTimeout(
        () => settle(() => reject(new Error(`no answer within ${ANSWER_TIMEOUT_MS} ms`))),
        ANSWER_TIMEOUT_MS,
      );
      this.#child.on('message', onMessage).on('exit', onExit);
      start();
    });
  }
}
