/** Sends requests to a running node over its control socket. */
import { readdirSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Option } from 'commander';
import type { ErrorReport } from '../api/api.js';
import { ConfigError, formatProblem } from '../config/error.js';
import { quote } from '../config/path.js';
import { AnyhopError, EXIT } from '../core/errors.js';
import { reasonOf } from '../core/reason.js';
import { formatDuration } from '../core/time.js';
import { writeError } from './output.js';

const DIRECTORY = '/run/anyhop';
/** End of the name of an announcer's socket, by default. */
const ANNOUNCER = '-announce.sock';
const ANSWER_TIMEOUT_MS = 5_000;
/** The status of a node with 65,535 backends has some 30 MB. */
const ANSWER_BYTES_MAX = 128 * 1024 * 1024;
/** A change may wait for others, and for tables to be built. */
const CHANGE_TIMEOUT_MS = 60_000;

export function socketOption(): Option {
  return new Option(
    '--socket <path>',
    "the node's control socket (default: node.socket of ANYHOP_CONFIG, or that of the one node that runs here)",
  );
}

/**
 * The socket of the node that is meant where none is named.
 * @throws AnyhopError ERR_SOCKET when ANYHOP_CONFIG names no config, and no node runs here, or more than one
 */
export async function findSocket(): Promise<string> {
  const file = process.env['ANYHOP_CONFIG'];
  return (file && (await socketIn(file))) || onlySocket();
}

/**
 * The sockets of all nodes that are meant where none is named: that of ANYHOP_CONFIG alone, or of every node that runs here.
 * @throws as `findSocket`, several nodes aside
 */
export async function findSockets(): Promise<string[]> {
  const file = process.env['ANYHOP_CONFIG'];
  const named = file && (await socketIn(file));
  if (named) return [named];
  const names = await nodeSockets();
  return names.length > 1 ? names.map((name) => join(DIRECTORY, name)) : [await onlySocket()];
}

/** Undefined when it is no good config: a mistake in a file must not hide the node that runs. */
async function socketIn(file: string): Promise<string | undefined> {
  const { loadConfig } = await import('../config/load.js'); // costs more than all the rest of a question
  try {
    return loadConfig(file, { role: 'flow' }).node.socket;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    writeError(
      `anyhop: ANYHOP_CONFIG names no config that can be read, so the one node that runs here is asked\n`,
    );
    return undefined;
  }
}

/** Sockets of announcers that answer, where they are by default. */
export async function announcerSockets(): Promise<string[]> {
  const names = await liveSockets();
  return names.filter((name) => name.endsWith(ANNOUNCER)).map((name) => join(DIRECTORY, name));
}

/** A process that was killed leaves its socket. */
async function liveSockets(): Promise<string[]> {
  let names: string[];
  try {
    names = readdirSync(DIRECTORY).filter((name) => name.endsWith('.sock'));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cannotAsk(DIRECTORY, cause as Error);
    return [];
  }
  const isLive = await Promise.all(names.map((name) => isAnswered(join(DIRECTORY, name))));
  return names.filter((_, i) => isLive[i]);
}

async function nodeSockets(): Promise<string[]> {
  return (await liveSockets()).filter((name) => !name.endsWith(ANNOUNCER));
}

/** For a hint: none where that cannot be found out. */
async function runningNodes(): Promise<string[]> {
  return (await nodeSockets().catch(() => [])).map((name) => join(DIRECTORY, name));
}

/** None of the sockets where nodes have them by default is answered. */
export class NoNode extends AnyhopError {}

async function onlySocket(): Promise<string> {
  const names = await nodeSockets();
  if (names.length === 1) return join(DIRECTORY, names[0]);
  if (names.length === 0)
    throw new NoNode('ERR_SOCKET', `no node runs here: there is no socket in ${DIRECTORY}`, {
      exitCode: EXIT.failure,
      hint: 'Start one with `anyhop run`, or name its control socket (node.socket) with --socket. After SIGTERM or a kill, the engine xdp keeps forwarding without a process: `ip link show` then lists its program.',
    });
  throw new AnyhopError('ERR_SOCKET', 'several nodes run here', {
    exitCode: EXIT.failure,
    hint: `Name one: --socket ${names.map((name) => join(DIRECTORY, name)).join(' | ')}`,
  });
}

/** Whether a process listens there, even if this user may not connect. */
export function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', ({ code }: NodeJS.ErrnoException) =>
      resolve(code !== 'ECONNREFUSED' && code !== 'ENOENT'),
    );
  });
}

/** The node refuses, and has changed nothing. */
export class Refusal extends AnyhopError {
  /** The node's own report. */
  readonly report: ErrorReport;

  constructor(status: number, report: ErrorReport) {
    const { code, message, hint, problems = [] } = report;
    const exitCode = ASKED_WRONGLY.includes(status) ? EXIT.usage : EXIT.failure;
    if (problems.length > 0) {
      super('ERR_CONFIG', problems.map(formatProblem).join('\n'), { hint: message, exitCode });
    } else {
      const said = code === 'ERR_INTERNAL' ? `the node failed: ${message}` : message;
      super('ERR_REFUSED', said, { exitCode, ...(hint !== undefined && { hint }) });
    }
    this.report = report;
  }
}

/** The request was wrong, or the config file is. */
const ASKED_WRONGLY: readonly number[] = [400, 404, 422];

/**
 * `GET path`.
 * @param accepted statuses that are not refusals
 * @throws AnyhopError ERR_SOCKET without an answer, or with another kind of answer; Refusal
 */
export function ask(socket: string, path: string, accepted: readonly number[] = [200]): Promise<unknown> {
  return exchange(socket, { method: 'GET', path, timeoutMs: ANSWER_TIMEOUT_MS }, accepted);
}

/** `POST path`. @throws as `ask` */
export function tell(socket: string, path: string, value: object): Promise<unknown> {
  const body = JSON.stringify(value);
  return exchange(socket, { method: 'POST', path, body, timeoutMs: CHANGE_TIMEOUT_MS }, [200]);
}

interface Question {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: string;
  readonly timeoutMs: number;
}

async function exchange(socket: string, question: Question, accepted: readonly number[]): Promise<unknown> {
  const { status, text } = await send(socket, question).catch(async (cause: NodeJS.ErrnoException) => {
    throw cannotAsk(socket, cause, cause.code === 'ENOENT' ? await runningNodes() : []);
  });
  const json = parse(text);
  if (json !== undefined && accepted.includes(status)) return json;
  const { error } = (json ?? {}) as { error?: ErrorReport };
  if (typeof error?.message === 'string') throw new Refusal(status, error);
  throw new AnyhopError(
    'ERR_SOCKET',
    `${socket} answers ${status} to ${question.path}: ${quote(text.trim())}`,
    {
      exitCode: EXIT.failure,
      hint: 'Another version of anyhop, or another program, may be running there.',
    },
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function send(
  socketPath: string,
  { method, path, body = '', timeoutMs }: Question,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const asked = request(
      { socketPath, method, path, headers, timeout: timeoutMs, agent: false },
      (response) => {
        const parts: Buffer[] = [];
        let bytes = 0;
        response.on('data', (part: Buffer) => {
          bytes += part.length;
          if (bytes <= ANSWER_BYTES_MAX) parts.push(part);
          else asked.destroy(new Error(`more than ${ANSWER_BYTES_MAX} bytes`));
        });
        response.on('error', reject);
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString() }),
        );
      },
    );
    asked.on('timeout', () => {
      const late: NodeJS.ErrnoException = new Error(`no answer within ${formatDuration(timeoutMs)}`);
      late.code = 'ETIMEDOUT';
      asked.destroy(late);
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

/** Whether an error of `ask` or `findSocket` means that no node runs. */
export function isNobodyThere(error: unknown): error is AnyhopError {
  return error instanceof NoNode || (error instanceof AnyhopError && isNobody(error));
}

/** Whether an error of `ask` means that no node runs there. */
export function isNobody({ cause }: AnyhopError): boolean {
  return ['ENOENT', 'ECONNREFUSED'].includes((cause as NodeJS.ErrnoException | undefined)?.code ?? '');
}

/** Of a failed connection: why, and what to do. @param running sockets of other nodes that run here */
export function cannotAsk(
  what: string,
  cause: NodeJS.ErrnoException,
  running: readonly string[] = [],
): AnyhopError {
  const hints: Record<string, string> = {
    EACCES: 'Ask as the user that runs the node, as one of its group, or as root.',
    ENOENT: `There is no such socket: is the node running? By default it is /run/anyhop/NAME.sock (node.socket).${
      running.length > 0 ? ` A node that does run here: --socket ${running.join(' | ')}` : ''
    }`,
    ETIMEDOUT: 'The node is busy. A change may still come into force: see `anyhop status`.',
    ECONNREFUSED:
      'No process listens there: the node was killed. With the engine xdp, forwarding continues; start the node again.',
  };
  return new AnyhopError('ERR_SOCKET', `${what}: ${reasonOf(cause)}`, {
    exitCode: EXIT.failure,
    hint: hints[cause.code ?? ''] ?? 'Is the node running?',
    cause,
  });
}
