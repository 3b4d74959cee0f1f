/**
 * The client of HAProxy's master CLI: one command a connection, an answer of bounded size in bounded time. Commands for the
 * worker that serves now go through the master too, by the prefix `@1`.
 *
 * While the master reloads, connections wait in its backlog or are reset; `ask` reports that, and the caller asks again.
 */
import { connect } from 'node:net';
import { AnyhopError } from '../../core/errors.js';
import {
  HAPROXY_ANSWER_BYTES_MAX,
  HAPROXY_ANSWER_TIMEOUT_MS,
  HAPROXY_COMMAND_BYTES_MAX,
} from '../../core/limits.js';
import { printable } from '../../core/printable.js';
import { reasonOf } from '../../core/reason.js';
import { formatDuration } from '../../core/time.js';
import { type HaproxyProcesses, readProcesses } from './processes.js';

export interface AskOptions {
  /** Several lines that belong to the command (`set ssl cert NAME <<`); no empty line among them. */
  readonly payload?: string;
  readonly timeoutMs?: number;
  readonly answerBytesMax?: number;
}

const COMMAND_CHARS_SHOWN = 60;
/** Ends a command, or begins another one. */
const FORBIDDEN = /[\p{Cc};]/u;

export class MasterCli {
  readonly #socket: string;

  /** @param socket the path of the master CLI */
  constructor(socket: string) {
    this.#socket = socket;
  }

  /**
   * The answer to a command of the master, as it came.
   * @param command one line, without a semicolon
   * @throws AnyhopError ERR_HAPROXY when there is no whole answer, or the command is too long; RangeError for what is not one
   * command
   */
  async ask(command: string, options: AskOptions = {}): Promise<string> {
    const text = commandText(command, options.payload);
    const bytes = Buffer.byteLength(text);
    if (bytes > HAPROXY_COMMAND_BYTES_MAX) {
      const what = printable(command, COMMAND_CHARS_SHOWN);
      throw new AnyhopError('ERR_HAPROXY', `HAProxy does not take a command of ${bytes} bytes: ${what}`);
    }
    return answerOf(this.#socket, text, options);
  }

  /** The same for the worker that serves now. */
  askWorker(command: string, options: AskOptions = {}): Promise<string> {
    return this.ask(`@1 ${command}`, options);
  }

  /** @throws AnyhopError ERR_HAPROXY */
  async processes(timeoutMs: number = HAPROXY_ANSWER_TIMEOUT_MS): Promise<HaproxyProcesses> {
    const answer = await this.ask('show proc', { timeoutMs });
    const processes = readProcesses(answer);
    if (processes !== undefined) return processes;
    throw new AnyhopError(
      'ERR_HAPROXY',
      `HAProxy's list of processes is not understood: ${printable(answer)}`,
    );
  }

  /** Starts a reload. HAProxy 2.6 answers nothing, and later versions when it is done: `processes` has the outcome. */
  async reload(timeoutMs: number): Promise<void> {
    await this.ask('reload', { timeoutMs });
  }

  /** The version of HAProxy, by the worker with this pid. It answers once it runs. */
  async versionOf(pid: number, timeoutMs: number = HAPROXY_ANSWER_TIMEOUT_MS): Promise<string> {
    const answer = (await this.ask(`@!${pid} show version`, { timeoutMs, answerBytesMax: 1024 })).trim();
    if (/^\d\S{0,63}$/.test(answer)) return answer;
    throw new AnyhopError('ERR_HAPROXY', `HAProxy's worker ${pid} does not answer: ${printable(answer)}`);
  }
}

function commandText(command: string, payload: string | undefined): string {
  if (FORBIDDEN.test(command)) throw new RangeError(`not one command: ${printable(command)}`);
  if (payload === undefined) return `${command}\n`;
  const text = payload.endsWith('\n') ? payload : `${payload}\n`;
  if (/^\n|\n\n/.test(text)) throw new RangeError('a payload ends at its first empty line');
  return `${command} <<\n${text}\n`;
}

function answerOf(path: string, command: string, options: AskOptions): Promise<string> {
  const { timeoutMs = HAPROXY_ANSWER_TIMEOUT_MS, answerBytesMax = HAPROXY_ANSWER_BYTES_MAX } = options;
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    let error: unknown;
    const socket = connect(path);
    const fail = (why: string): void => {
      error ??= new Error(why);
      socket.destroy();
    };
    const timer = setTimeout(() => fail(`no whole answer within ${formatDuration(timeoutMs)}`), timeoutMs);
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > answerBytesMax) fail(`an answer of more than ${answerBytesMax} bytes`);
    });
    socket.on('error', (cause) => {
      error ??= cause;
    });
    socket.on('close', () => {
      clearTimeout(timer);
      if (error === undefined) resolve(Buffer.concat(chunks).toString('utf8'));
      else reject(noAnswer(path, error));
    });
    // The master closes its side when it has answered what came before the end.
    socket.end(command);
  });
}

function noAnswer(path: string, cause: unknown): AnyhopError {
  return new AnyhopError('ERR_HAPROXY', `HAProxy does not answer on ${path}: ${reasonOf(cause)}`, { cause });
}
