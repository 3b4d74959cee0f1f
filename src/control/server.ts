/**
 * The control socket: HTTP on a Unix socket of the file system, so that file permissions say who may ask.
 *
 * A socket file outlives a process that was killed. Whether one is stale is found out by connecting to it: only a socket
 * that nobody listens on is replaced.
 */
import { mkdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { AnyhopError } from '../core/errors.js';

/** For its user and group; the directory above it decides as well. */
const SOCKET_UMASK = 0o117;
const DIRECTORY_MODE = 0o755;
/** Of one request, headers included, and of the time that it takes to come in. */
const HEADER_BYTES_MAX = 8 * 1024;
const REQUEST_TIMEOUT_MS = 5_000;
const CONNECTIONS_MAX = 64;

/** Answers `GET PATH` with JSON. */
export type Routes = Readonly<Record<string, () => Promise<unknown>>>;

export interface ControlServer {
  /** Ends open connections and removes the socket. */
  close(): Promise<void>;
}

/**
 * @param path absolute path of the socket; its directory is made when it is not there, and removed again on close
 * @throws AnyhopError ERR_SOCKET when it cannot be made, or another process listens on it
 */
export async function serveControl(path: string, routes: Routes): Promise<ControlServer> {
  const directory = dirname(path);
  let madeDirectory: boolean;
  try {
    madeDirectory = mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE }) !== undefined;
  } catch (cause) {
    throw cannotServe(path, cause as NodeJS.ErrnoException);
  }
  await removeStale(path);
  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
    },
    (request, response) => {
      respond(routes, request, response).catch((error: unknown) => response.destroy(error as Error));
    },
  );
  server.maxConnections = CONNECTIONS_MAX;
  await listen(server, path);
  server.unref(); // a node lives as long as its engine
  return {
    async close() {
      await new Promise<void>((resolve) => {
        server.close(() => resolve()); // removes the file as well
        server.closeAllConnections();
      });
      if (madeDirectory) removeEmpty(directory);
    },
  };
}

async function respond(routes: Routes, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [path = ''] = (request.url ?? '').split('?', 1); // not `new URL`, which throws at some of what clients may send
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (route === undefined) {
    send(response, 404, {
      error: { code: 'ERR_NOT_FOUND', message: `no ${path}; there are ${Object.keys(routes).join(', ')}` },
    });
  } else if (request.method !== 'GET') {
    send(response.setHeader('allow', 'GET'), 405, {
      error: { code: 'ERR_METHOD', message: `${path} takes GET alone` },
    });
  } else {
    try {
      send(response, 200, await route());
    } catch (error) {
      send(response, 500, { error: { code: 'ERR_INTERNAL', message: String(error) } });
    }
  }
  request.resume(); // a body is nobody's business, and would keep the connection
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
  });
  response.end(text);
}

/** @throws AnyhopError ERR_SOCKET when somebody listens there, or it is no socket */
async function removeStale(path: string): Promise<void> {
  const failure = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(undefined);
    });
    probe.once('error', resolve);
  });
  if (failure?.code === 'ENOENT') return;
  if (failure?.code === 'ECONNREFUSED') {
    unlinkSync(path);
    return;
  }
  if (failure !== undefined) throw cannotServe(path, failure);
  throw new AnyhopError('ERR_SOCKET', `another process listens on ${path}`, {
    hint: 'Two nodes on one host need names of their own (node.name, --name) or sockets of their own (node.socket).',
  });
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => reject(cannotServe(path, cause)));
    // Before anybody can connect, not after: the file is made within this call.
    const before = process.umask(SOCKET_UMASK);
    server.listen(path, resolve);
    process.umask(before);
  });
}

function cannotServe(path: string, cause: NodeJS.ErrnoException): AnyhopError {
  return new AnyhopError('ERR_SOCKET', `the control socket ${path} cannot be made: ${cause.message}`, {
    hint:
      'The directory must be writable for the user that runs this (systemd: RuntimeDirectory=anyhop); ' +
      'node.socket names another place.',
    cause,
  });
}

/** Somebody else may have a socket there by now. */
function removeEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch (error) {
    // Or it is gone, or is no longer ours to remove: nothing of this is worth a failed end.
    const { code = '' } = error as NodeJS.ErrnoException;
    if (!['ENOTEMPTY', 'ENOENT', 'EACCES', 'EPERM', 'EBUSY'].includes(code)) throw error;
  }
}
