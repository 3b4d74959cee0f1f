/**
 * From a request to its answer. However much is asked, packets come first: each request is handled in a turn of the event
 * loop of its own, and a client that does not read its answer loses it.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { quote } from '../config/path.js';
import { CONTROL_CHANGES_MAX } from '../core/limits.js';
import type { Logger } from '../core/log.js';
import { SerialQueue } from '../core/serial-queue.js';
import { type Answer, errorAnswer, refusalOf, send } from './answer.js';
import { ControlError } from './api.js';
import type { Connections } from './connections.js';
import { ClientGone, readBody } from './request.js';

/** From the first byte of a request to its last, and from the first of an answer to its last. */
export const TRANSFER_TIMEOUT_MS = 5_000;

/** What came with a request. */
export interface Sent {
  /** Behind the `?`, as it was sent. */
  readonly query: string;
  /** Parsed JSON of a POST. */
  readonly body?: unknown;
}

export type Handler = (sent: Sent) => Promise<Answer>;

/** A POST changes something, unless it only asks: no two of those that do run at a time. */
export interface Endpoint {
  readonly onlyAsks?: true;
  readonly GET?: Handler;
  readonly POST?: Handler;
}

/** By path. */
export type Routes = Readonly<Record<string, Endpoint>>;

export class Responder {
  readonly #routes: Routes;
  readonly #connections: Connections;
  readonly #log: Logger;
  readonly #turns = new SerialQueue();
  readonly #changing = new SerialQueue();
  /** That run or wait for their turn. */
  #changes = 0;

  constructor(routes: Routes, connections: Connections, log: Logger) {
    this.#routes = routes;
    this.#connections = connections;
    this.#log = log;
  }

  /** Never rejects. */
  async respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const answer = await this.#answer(request, response);
      if (response.destroyed) return;
      const timer = setTimeout(() => request.destroy(), TRANSFER_TIMEOUT_MS);
      response.once('close', () => clearTimeout(timer));
      await send(response, answer);
    } catch (error) {
      if (!(error instanceof ClientGone)) this.#fault(request, error);
      response.destroy();
    }
  }

  /** @throws ClientGone */
  async #answer(request: IncomingMessage, response: ServerResponse): Promise<Answer> {
    try {
      requireHost(request);
      const { handler, query, changes } = this.#find(request, response);
      const body = request.method === 'POST' ? await readBody(request) : undefined;
      if (changes && this.#changes >= CONTROL_CHANGES_MAX) throw tooManyChanges();
      const handle = (): Promise<Answer> => handler({ query, body });
      this.#connections.asked(request.socket, changes);
      return await (changes ? this.#handleChange(request, handle) : this.#handle(handle));
    } catch (error) {
      if (error instanceof ClientGone) throw error;
      return refusalOf(error) ?? this.#fault(request, error);
    }
  }

  /** @throws ControlError 404 or 405 */
  #find(
    { method = '', url = '' }: IncomingMessage,
    response: ServerResponse,
  ): { handler: Handler; query: string; changes: boolean } {
    const at = url.indexOf('?'); // not `new URL`, which throws at some of what clients may send
    const [path, query] = at < 0 ? [url, ''] : [url.slice(0, at), url.slice(at + 1)];
    const endpoint = Object.hasOwn(this.#routes, path) ? this.#routes[path] : undefined;
    if (endpoint === undefined) {
      const known = Object.keys(this.#routes).join(', ');
      throw new ControlError(404, 'ERR_NOT_FOUND', `no ${quote(path)}`, { hint: `There are ${known}.` });
    }
    const handler = method === 'GET' || method === 'POST' ? endpoint[method] : undefined;
    const changes = method === 'POST' && endpoint.onlyAsks !== true;
    if (handler !== undefined) return { handler, query, changes };
    const allowed = (['GET', 'POST'] as const).filter((each) => endpoint[each] !== undefined).join(', ');
    response.setHeader('allow', allowed);
    throw new ControlError(405, 'ERR_METHOD', `${path} takes ${allowed} alone`);
  }

  /** Each in a turn of the event loop of its own: between two of them packets are forwarded. */
  async #handle(handle: () => Promise<Answer>): Promise<Answer> {
    await this.#turns.add(nextTurn);
    return handle();
  }

  async #handleChange({ socket }: IncomingMessage, handle: () => Promise<Answer>): Promise<Answer> {
    this.#changes++;
    const done = this.#changing.add(() =>
      this.#handle(async () => {
        // Who has given up, or was refused for what came behind, would not know that it changes all the same.
        if (!socket.writable) throw new ClientGone();
        return handle();
      }),
    );
    try {
      return await done;
    } finally {
      this.#changes--;
      this.#connections.changed(socket);
    }
  }

  #fault({ method, url }: IncomingMessage, error: unknown): Answer {
    const message = error instanceof Error ? error.message : String(error);
    this.#log.error({ event: 'control_fault', method, url, error }, `${method} ${url} failed: ${message}`);
    return errorAnswer(500, { code: 'ERR_INTERNAL', message });
  }
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
