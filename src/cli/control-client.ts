/** Asking a running node over its control socket. */
import { readdirSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { AnyhopError, EXIT } from '../core/errors.js';

const DIRECTORY = '/run/anyhop';
const ANSWER_TIMEOUT_MS = 5_000;

/**
 * The socket of the one node that runs here.
 * @throws AnyhopError ERR_SOCKET when there is none, or more than one
 */
export async function findSocket(): Promise<string> {
  let names: string[];
  try {
    names = readdirSync(DIRECTORY).filter((name) => name.endsWith('.sock'));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cannotAsk(DIRECTORY, cause as Error);
    names = [];
  }
  // A node that was killed leaves its socket.
  const isLive = await Promise.all(names.map((name) => isAnswered(join(DIRECTORY, name))));
  names = names.filter((_, i) => isLive[i]);
  if (names.length === 1) return join(DIRECTORY, names[0]);
  throw new AnyhopError(
    'ERR_SOCKET',
    names.length === 0 ? `no node runs here: there is no socket in ${DIRECTORY}` : 'several nodes run here',
    {
      exitCode: EXIT.failure,
      hint:
        names.length === 0
          ? 'Start one with `anyhop run`, or name its control socket (node.socket) with --socket. Ended by SIGTERM, the engine xdp forwards on without a node: `ip link show` has its program then.'
          : `Name one: --socket ${names.map((name) => join(DIRECTORY, name)).join(' | ')}`,
    },
  );
}

/** Whether somebody listens there, be it for others than us. */
function isAnswered(path: string): Promise<boolean> {
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

/** `GET path`. @throws AnyhopError ERR_SOCKET when nobody answers, or not with what was asked for */
export async function ask(socket: string, path: string): Promise<unknown> {
  const { status, text } = await get(socket, path).catch((cause: Error) => {
    throw cannotAsk(socket, cause);
  });
  if (status === 200) return JSON.parse(text);
  throw new AnyhopError('ERR_SOCKET', `${socket} answers ${status} to ${path}: ${text.trim()}`, {
    exitCode: EXIT.failure,
    hint: 'Another version may be running there.',
  });
}

function get(socketPath: string, path: string): Promise<{ status: number | undefined; text: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, timeout: ANSWER_TIMEOUT_MS }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode, text: Buffer.concat(parts).toString() }),
      );
    });
    asked.on('timeout', () => asked.destroy(new Error(`no answer within ${ANSWER_TIMEOUT_MS} ms`)));
    asked.on('error', reject);
    asked.end();
  });
}

function cannotAsk(what: string, cause: NodeJS.ErrnoException): AnyhopError {
  const hints: Record<string, string> = {
    EACCES: 'Ask as the user that runs the node, as one of its group, or as root.',
    ENOENT: 'There is no such socket: is the node running?',
    ECONNREFUSED:
      'Nobody listens there any more: the node was killed. With the engine xdp it still forwards.',
  };
  return new AnyhopError('ERR_SOCKET', `${what}: ${cause.message}`, {
    exitCode: EXIT.failure,
    hint: hints[cause.code ?? ''] ?? 'Is the node running?',
    cause,
  });
}
