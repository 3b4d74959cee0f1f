/**
 * From a request to its answer. However much is asked, packets come first: each request is handled in a turn of the event
 * loop of its own, and a client that does not read its answer loses it. An answer that goes on has bounds of its own (followers.ts,
 * recorders.ts).
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline, Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { quote } from '../config/path.js';
import { CONTROL_BODY_BYTES_MAX, CONTROL_CHANGES_MAX } from '../core/limits.js';
import type { Logger } from '../core/log.js';
import { PIECES_MAX, Pieces } from '../core/pieces.js';
import { SerialQueue } from '../core/serial-queue.js';
import { type ErrorAnswer, errorAnswer, HEADERS, refusalOf } from './answer.js';
import { ControlError } from './api.js';
import type { Connections } from './connections.js';
import { Followed, Followers } from './followers.js';
import { Recorded, Recorders } from './recorders.js';
import type { Route } from './route.js';
import { checkRequest } from './routes.js';

/** From the first byte of a request to its last, and from the first of an answer to its last. */
export const TRANSFER_TIMEOUT_MS = 5_000;

/** There is nobody any more to answer to. */
class ClientGone extends Error {}

export class Responder {
  readonly #routes: readonly Route[];
  readonly #connections: Connections;
  readonly #log: Logger;
  readonly #turns = new SerialQueue();
  readonly #changing = new SerialQueue();
  readonly #followers = new Followers();
  readonly #recorders = new Recorders();
  /** That run or wait for their turn. */
  #changes = 0;

  constructor(routes: readonly Route[], connections: Connections, log: Logger) {
    this.#routes = routes;
    this.#connections = connections;
    this.#log = log;
  }

  /** Never rejects. */
  async respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let said: unknown;
    try {
      said = await this.#answer(request, response);
      if (said instanceof Followed) {
        this.#follow(said, request, response);
        return;
      }
      if (said instanceof Recorded) {
        await this.#record(said, request, response);
        return;
      }
      if (!(said instanceof Readable)) said = JSON.stringify(said);
    } catch (error) {
      if (error instanceof ClientGone) {
        response.destroy();
        return;
      }
      const { status, json } = refusalOf(error) ?? this.#fault(request, error);
      response.statusCode = status;
      said = JSON.stringify(json);
    }
    if (response.destroyed) return;
    const timer = setTimeout(() => request.destroy(), TRANSFER_TIMEOUT_MS);
    response.once('close', () => clearTimeout(timer));
    response.setHeaders(new Map(Object.entries(HEADERS)));
    if (!(said instanceof Readable)) response.end(`${said}\n`);
    else
      pipeline(said, response, (error) => {
        // A client that goes away loses its own answer.
        if (error && error.code !== 'ERR_STREAM_PREMATURE_CLOSE') this.#fault(request, error);
      });
  }

  /** Ends what goes on until then; clients get their last lines. */
  end(): Promise<void> {
    this.#recorders.end();
    return this.#followers.end();
  }

  /** @throws ControlError 429 */
  #follow(followed: Followed, { socket }: IncomingMessage, response: ServerResponse): void {
    if (response.destroyed) return;
    this.#followers.add(followed, response);
    this.#connections.follows(socket);
  }

  /** @throws ControlError 429, and whatever kept it from beginning */
  async #record(recorded: Recorded, { socket }: IncomingMessage, response: ServerResponse): Promise<void> {
    if (response.destroyed) return;
    this.#connections.follows(socket);
    await this.#recorders.add(recorded, response);
  }

  /** @throws ControlError, ClientGone; anything else is a fault */
  async #answer(request: IncomingMessage, response: ServerResponse): Promise<unknown> {
    requireHost(request);
    const [path, ...query] = (request.url ?? '').split('?'); // not `new URL`, which throws at some of what clients may send
    const route = this.#find(request.method, path, response);
    const body = route.method === 'POST' ? await readBody(request) : undefined;
    const isChange = route.method === 'POST' && route.onlyAsks !== true;
    if (isChange && this.#changes >= CONTROL_CHANGES_MAX) throw tooManyChanges();
    const fields = checkRequest(route, query.join('?'), body);
    this.#connections.asked(request.socket, isChange);
    const handle = async (): Promise<unknown> => {
      // Each in a turn of the event loop of its own: between two of them packets are forwarded.
      await this.#turns.add(nextTurn);
      return route.answer(fields, response);
    };
    if (!isChange) return handle();
    this.#changes++;
    try {
      if (route.besideOthers) return await handle();
      return await this.#changing.add(() => {
        // Who has given up, or was refused for what came behind, would not know that it changes all the same.
        if (!request.socket.writable) throw new ClientGone();
        return handle();
      });
    } finally {
      this.#changes--;
      this.#connections.changed(request.socket);
    }
  }

  /** @throws ControlError 404 or 405 */
  #find(method: string | undefined, path: string, response: ServerResponse): Route {
    const there = this.#routes.filter((route) => route.path === path);
    const route = there.find((one) => one.method === method);
    if (route !== undefined) return route;
    if (there.length === 0) {
      const known = this.#routes.map((one) => one.path).join(', ');
      throw new ControlError(404, 'ERR_NOT_FOUND', `no ${quote(path)}`, { hint: `There are ${known}.` });
    }
    const allowed = there.map((one) => one.method).join(', ');
    response.setHeader('allow', allowed);
    throw new ControlError(405, 'ERR_METHOD', `${path} takes ${allowed} alone`);
  }

  #fault({ method, url }: IncomingMessage, error: unknown): ErrorAnswer {
    const message = error instanceof Error ? error.message : String(error);
    this.#log.error({ event: 'control_fault', method, url, error }, `${method} ${url} failed: ${message}`);
    return errorAnswer(500, { code: 'ERR_INTERNAL', message });
  }
}

/** Text that makes up one JSON value; each part is made in a turn of the event loop of its own. */
export function inParts(parts: Iterable<string>): Readable {
  return Readable.from(
    (async function* () {
      for (const part of parts) {
        yield part;
        await nextTurn();
      }
      yield '\n';
    })(),
    { objectMode: false },
  );
}

/**
 * The body as JSON, `{}` for an empty one. Nothing is read beyond the bound.
 * @throws ControlError 400, 413 or 415; ClientGone when it has not sent all
 */
async function readBody(request: IncomingMessage): Promise<unknown> {
  const { headers } = request;
  const type = headers['content-type'];
  if (type !== undefined && !/^application\/json *(;|$)/i.test(type)) {
    throw new ControlError(415, 'ERR_CONTENT_TYPE', 'the body is not said to be JSON', {
      hint: 'Send the header "content-type: application/json", or none.',
    });
  }
  if (Number(headers['content-length'] ?? 0) > CONTROL_BODY_BYTES_MAX) throw tooLarge();
  const pieces = new Pieces(CONTROL_BODY_BYTES_MAX);
  try {
    // Left open: the client would not see why it is refused.
    for await (const part of request.iterator({ destroyOnReturn: false }))
      if (pieces.add(part) !== undefined) throw tooLarge();
  } catch (error) {
    throw error instanceof ControlError ? error : new ClientGone();
  }
  const bytes = pieces.join();
  if (bytes.length === 0) return {};
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new ControlError(400, 'ERR_REQUEST', `the body is not JSON: ${(cause as Error).message}`);
  }
}

function tooLarge(): ControlError {
  return new ControlError(413, 'ERR_TOO_LARGE', 'the body is too large', {
    hint: `It may have ${CONTROL_BODY_BYTES_MAX} bytes, in ${PIECES_MAX} chunks.`,
  });
}

/** Node's own refusal of it has no body. @throws ControlError 400 */
function requireHost({ httpVersion, headers }: IncomingMessage): void {
  if (httpVersion === '1.1' && headers.host === undefined)
    throw new ControlError(400, 'ERR_HTTP', 'HTTP/1.1 has a host in every request', {
      hint: 'Which one makes no difference here.',
    });
}

function tooManyChanges(): ControlError {
  return new ControlError(
    429,
    'ERR_BUSY',
    `${CONTROL_CHANGES_MAX} changes wait for their turn already; nothing was changed`,
    { hint: 'Ask again when these are done.' },
  );
}
