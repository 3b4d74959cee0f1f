/**
 * The listener's HTTP server, in its worker. Whoever connects may be slow, hostile or many: connections, header bytes, times and
 * pipelined requests are bounded, a request has no body, and what is known of the client decides before anything is answered.
 *
 *   connection -> share of it (admission.ts) -> TLS -> request -> Host, method, login -> /metrics, /-/healthy, pages
 */
import {
  createServer as createPlainServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
import {
  WEB_ANSWER_MS,
  WEB_CONNECTIONS_MAX,
  WEB_CONNECTIONS_PER_PEER_MAX,
  WEB_HEADER_BYTES_MAX,
  WEB_IDLE_MS,
  WEB_REFUSED_PAUSE_MS,
  WEB_REQUEST_MS,
} from '../core/limits.js';
import type { LogFields } from '../core/log.js';
import { printable } from '../core/printable.js';
import { reasonOf } from '../core/reason.js';
import { Admission } from './admission.js';
import { say, secure } from './answers.js';
import { hostOf, isLocalHost } from './host.js';
import { isLoggedIn } from './login.js';
import type { ListenerSetup } from './mail.js';
import type { Exchange, Pages } from './pages.js';
import { Refusals } from './refusals.js';
import { RetriedListen } from './retried-listen.js';

const TIMEOUT_CHECK_MS = 1_000;
const REASON_CHARS_MAX = 200;

export interface WebServerOptions {
  readonly setup: ListenerSetup;
  readonly metrics: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  readonly healthy: (response: ServerResponse) => Promise<void>;
  readonly pages: Pages | undefined;
  readonly log: (level: 'info' | 'warn' | 'error', fields: LogFields, text: string) => void;
  readonly listening: (port: number) => void;
}

export class WebServer {
  readonly #options: WebServerOptions;
  readonly #listen: RetriedListen<Server>;
  readonly #busy = new WeakSet<Socket>();
  readonly #refusals: Refusals;

  constructor(options: WebServerOptions) {
    const { setup, log } = options;
    const where = setup.host.includes(':') ? `[${setup.host}]:${setup.port}` : `${setup.host}:${setup.port}`;
    this.#options = options;
    this.#refusals = new Refusals((who, why, count, address) =>
      log('warn', { event: 'listener_refused', address, why, count }, `${who} is refused: ${why}`),
    );
    this.#listen = new RetriedListen({ host: setup.host, port: setup.port }, () => this.#makeServer(), {
      available: (server) => {
        options.listening((server.address() as AddressInfo).port);
        log(
          'info',
          { event: 'listener_available', where },
          `${setup.tls ? 'https' : 'http'}://${where} answers`,
        );
      },
      unavailable: (why) =>
        log(
          'warn',
          { event: 'listener_unavailable', where, why },
          `${where} cannot be listened on, and is tried again: ${why}`,
        ),
    });
  }

  close(): Promise<void> {
    return this.#listen.close();
  }

  #makeServer(): Server {
    const { tls } = this.#options.setup;
    const limits = {
      maxHeaderSize: WEB_HEADER_BYTES_MAX,
      headersTimeout: WEB_REQUEST_MS,
      requestTimeout: WEB_REQUEST_MS,
      keepAliveTimeout: WEB_IDLE_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
    };
    const respond = (request: IncomingMessage, response: ServerResponse): void =>
      void this.#respond(request, response);
    const server: Server =
      tls === undefined
        ? createPlainServer(limits, respond)
        : createTlsServer({ ...limits, ...secureContext(tls), handshakeTimeout: WEB_REQUEST_MS }, respond);
    const admission = new Admission({
      connectionsMax: WEB_CONNECTIONS_MAX,
      connectionsPerPeerMax: WEB_CONNECTIONS_PER_PEER_MAX,
    });
    admission.guard(server);
    server.on('tlsClientError', (error: Error, { remoteAddress }: TLSSocket) => {
      // A server that closes hangs up on clients itself.
      if (server.listening) this.#refusals.add(remoteAddress, reasonOf(error));
    });
    // Node has let go of this socket, and would leave it open.
    server.on('connect', (_, socket) => socket.destroy());
    server.prependListener('request', ({ socket, headers }: IncomingMessage) => {
      const { login } = this.#options.setup;
      if (login === undefined || isLoggedIn(login, headers.authorization)) admission.know(socket);
    });
    return server;
  }

  async #respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket } = request;
    // A client that asks again before it has its answer would have answers pile up.
    if (this.#busy.has(socket)) {
      socket.destroy();
      return;
    }
    this.#busy.add(socket);
    const deadline = setTimeout(() => socket.destroy(), WEB_ANSWER_MS);
    response.once('close', () => {
      clearTimeout(deadline);
      this.#busy.delete(socket);
    });
    secure(response);
    try {
      await this.#route({
        request,
        response,
        url: new URL(request.url ?? '/', 'http://listener'),
        stays: () => clearTimeout(deadline),
      });
    } catch (error) {
      if (error instanceof TypeError && (error as NodeJS.ErrnoException).code === 'ERR_INVALID_URL') {
        say(response, 400, 'the path of the request cannot be read');
        return;
      }
      const why = printable(reasonOf(error), REASON_CHARS_MAX);
      this.#options.log(
        'error',
        { event: 'listener_failed', why },
        `a request could not be answered: ${why}`,
      );
      if (response.headersSent) socket.destroy();
      else say(response, 500, 'the request could not be answered; the log has the reason');
    }
  }

  async #route(exchange: Exchange): Promise<void> {
    const { request, response, url } = exchange;
    const { setup, metrics, healthy, pages } = this.#options;
    if (hasBody(request)) {
      say(response, 413, 'a request has no body here');
      return;
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      say(response.setHeader('allow', 'GET, HEAD'), 405, 'there is only GET and HEAD');
      return;
    }
    // Else any web page could have a browser on this machine ask in its name (DNS rebinding).
    if (setup.isLoopback && !isLocalHost(hostOf(request.headers.host))) {
      say(response, 421, 'ask for an address or for localhost: the Host header names something else');
      return;
    }
    if (setup.login !== undefined && !isLoggedIn(setup.login, request.headers.authorization)) {
      if (request.headers.authorization !== undefined) {
        this.#refusals.add(request.socket.remoteAddress, 'wrong user or password');
        // With the share of connections of an address, this bounds how many passwords it can try.
        await wait(WEB_REFUSED_PAUSE_MS);
      }
      say(
        response.setHeader('www-authenticate', 'Basic realm="anyhop", charset="UTF-8"'),
        401,
        'user and password are needed',
      );
      return;
    }
    if (url.pathname === '/metrics') await metrics(request, response);
    else if (url.pathname === '/-/healthy') await healthy(response);
    else if (pages?.answer(exchange) !== true) say(response, 404, 'there is /metrics and /-/healthy');
  }
}

function secureContext({
  certificate,
  authorities,
}: NonNullable<ListenerSetup['tls']>): SecureContextOptions & {
  requestCert?: true;
  rejectUnauthorized?: true;
} {
  const own = Buffer.from(certificate);
  return {
    cert: own,
    key: own,
    minVersion: 'TLSv1.2',
    ...(authorities !== undefined && {
      ca: Buffer.from(authorities),
      requestCert: true,
      rejectUnauthorized: true,
    }),
  };
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0;
}
