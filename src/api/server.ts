/**
 * The control socket: HTTP on a Unix socket of the file system, so that file permissions say who may ask.
 *
 * A socket file outlives a process that was killed. Whether one is stale is found out by connecting to it: only a socket
 * that nobody listens on is replaced.
 *
 *   connections.ts   what clients can do but ask: hold connections, leave answers unread, send what is no HTTP
 *   responder.ts     from a request to its answer, one change at a time
 *   followers.ts     answers that go on: a line whenever something changes
 *   recorders.ts     the packets that a client captures
 *   routes.ts        what there is to ask for
 */
import { lstatSync, rmdirSync, unlinkSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { makeDirectory } from '../core/directory.js';
import { AnyhopError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { requireOwnDirectory } from '../core/own-directory.js';
import { reasonOf } from '../core/reason.js';
import { errorAnswer, HEADERS } from './answer.js';
import { Connections } from './connections.js';
import { Responder, TRANSFER_TIMEOUT_MS } from './responder.js';
import type { Route } from './route.js';

/** Of one request without its body. */
const HEADER_BYTES_MAX = 8 * 1024;
/** How often the server looks for connections that are too slow. */
const TIMEOUT_CHECK_MS = 1_000;

/** For its user and group; the directory above it decides as well. */
const SOCKET_UMASK = 0o117;
const DIRECTORY_MODE = 0o755;

const NO_EXPECTATION = `${JSON.stringify(
  errorAnswer(417, {
    code: 'ERR_EXPECTATION',
    message: 'there is no such expectation',
    hint: '"expect: 100-continue" is the one that is met.',
  }).json,
)}\n`;

/** What the messages of a failure say about the place of the socket. */
export interface SocketPlace {
  /** The field of the config that names it. */
  readonly field: string;
  /** What to do when another process listens there. */
  readonly taken: string;
}

const NODE: SocketPlace = {
  field: 'node.socket',
  taken:
    'Two nodes on one host need names of their own (node.name, --name) or sockets of their own (node.socket).',
};

export interface ControlServer {
  /** Ends open connections and removes the socket; who follows gets its last line. */
  close(): Promise<void>;
}

/**
 * @param path absolute path of the socket; its directory is made when it is not there, and removed again on close
 * @param log told of faults behind the routes; what clients do wrong they are told themselves
 * @throws AnyhopError ERR_SOCKET when it cannot be made, another process listens on it, or others can write in its directory
 */
export async function serveControl(
  path: string,
  routes: readonly Route[],
  log: Logger,
  place: SocketPlace = NODE,
): Promise<ControlServer> {
  const directory = dirname(path);
  let madeDirectory: boolean;
  try {
    requireOwnDirectory(directory, 'ERR_SOCKET', place.field);
    madeDirectory = makeDirectory(directory, DIRECTORY_MODE);
  } catch (cause) {
    if (cause instanceof AnyhopError) throw cause;
    throw cannotServe(path, cause as NodeJS.ErrnoException, place);
  }
  await removeStale(path, place);
  const connections = new Connections();
  const responder = new Responder(routes, connections, log);
  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      requestTimeout: TRANSFER_TIMEOUT_MS,
      headersTimeout: TRANSFER_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
      requireHostHeader: false, // the responder refuses it, in JSON
    },
    (request, response) => void responder.respond(request, response),
  );
  server.maxRequestsPerSocket = 1; // what is sent behind a request is not even looked at
  server.on('connection', (socket) => connections.add(socket));
  server.on('checkExpectation', (_, response) =>
    response.writeHead(417, { ...HEADERS, 'content-length': NO_EXPECTATION.length }).end(NO_EXPECTATION),
  );
  server.on('connect', (_, socket) => connections.refuseTunnel(socket as Socket));
  server.on('clientError', (error, socket) => connections.refuse(error, socket as Socket));
  await listen(server, path, place);
  server.on('error', (error) =>
    log.warn(
      { event: 'control_socket', why: reasonOf(error) },
      `the control socket took no connection: ${reasonOf(error)}`,
    ),
  );
  server.unref(); // a node lives as long as its engine
  return {
    async close() {
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve()); // removes the file as well
      });
      await responder.end();
      server.closeAllConnections();
      await closed;
      if (madeDirectory) removeEmpty(directory);
    },
  };
}

/** @throws AnyhopError ERR_SOCKET when somebody listens there, or it is no socket */
async function removeStale(path: string, place: SocketPlace): Promise<void> {
  const failure = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(undefined);
    });
    probe.once('error', resolve);
  });
  if (failure?.code === 'ENOENT') return;
  if (failure?.code === 'ECONNREFUSED') {
    if (!lstatSync(path).isSocket()) throw cannotServe(path, new Error('something else is there'), place);
    unlinkSync(path);
    return;
  }
  if (failure !== undefined) throw cannotServe(path, failure, place);
  throw new AnyhopError('ERR_SOCKET', `another process listens on ${path}`, { hint: place.taken });
}

function listen(server: Server, path: string, place: SocketPlace): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => reject(cannotServe(path, cause, place)));
    // Before anybody can connect, not after: the file is made within this call.
    const before = process.umask(SOCKET_UMASK);
    server.listen(path, resolve);
    process.umask(before);
  });
}

function cannotServe(path: string, cause: NodeJS.ErrnoException, { field }: SocketPlace): AnyhopError {
  return new AnyhopError('ERR_SOCKET', `the control socket ${path} cannot be made: ${reasonOf(cause)}`, {
    hint:
      'The directory must be writable for the user that runs this (systemd: RuntimeDirectory=anyhop); ' +
      `${field} names another place.`,
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
