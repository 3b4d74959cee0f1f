/**
 * HTTP on the underlay addresses of a backend's host, for questions of forwarders and backends: one path or two, GET, one question a
 * connection. The agent answers with its report and watches probes, the layer-7 tier answers with its health.
 *
 * The underlay is not the Internet, but it is closer to it than a control socket. So the server hangs up on peers that are neither a
 * forwarder nor a backend of the config before it reads a byte; a connection lasts 10 s at most; and each address has a share of the
 * connections, so that a peer which holds many keeps nobody else out. An address that cannot be listened on (not there yet, or its
 * port is taken) is tried again, and the process runs without it.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Shares } from '../core/shares.js';
import { type IpAddress, parseAddress, prefixContains } from '../packet/address.js';
import { RetriedListen } from '../web/retried-listen.js';
import type { Fleet } from './fleet.js';

/** On each address: many more than a fleet's forwarders that ask at the same time. */
const CONNECTIONS_MAX = 64;
/** Of one peer: a forwarder asks one question at a time. */
const CONNECTIONS_PER_PEER_MAX = 8;
const CONNECTION_MS_MAX = 10_000;
const HEADER_BYTES_MAX = 4 * 1024;
const MAPPED = /^::ffff:(?=\d+\.)/;

export interface UnderlayQuestion {
  /** Which of this host's addresses was asked. */
  readonly address: IpAddress;
  /** Undefined once the connection is gone. */
  readonly peer: IpAddress | undefined;
  readonly isForwarder: boolean;
  readonly headers: IncomingMessage['headers'];
  /** Of the URL, without the question mark; empty without one. */
  readonly query: string;
}

export interface UnderlayAnswer {
  readonly status: number;
  readonly body: object;
}

interface Where {
  readonly address: string;
  readonly port: number;
}

/** Says that an address cannot be listened on, and that it can again. */
export interface AvailabilityLog {
  unavailable(where: Where, why: string): void;
  available(where: Where): void;
}

export interface UnderlayServerOptions {
  /** Who may ask: forwarders and backends. */
  readonly fleet: Pick<Fleet, 'forwarders' | 'backends'>;
  readonly port: number;
  /** The addresses to listen on. */
  readonly locals: readonly IpAddress[];
  readonly path: string;
  readonly answer: (question: UnderlayQuestion) => UnderlayAnswer;
  /** Another path, whose answer takes its time. */
  readonly slow?: SlowPath;
  readonly log: AvailabilityLog;
}

export interface SlowPath {
  readonly path: string;
  /** Ends the response, also when the peer has gone, within the time that a connection has. Must not throw. */
  readonly respond: (question: UnderlayQuestion, request: IncomingMessage, response: ServerResponse) => void;
}

export class UnderlayServer {
  readonly #path: string;
  readonly #answer: UnderlayServerOptions['answer'];
  readonly #slow: SlowPath | undefined;
  readonly #isForwarder: (address: IpAddress) => boolean;
  readonly #listeners: readonly RetriedListen<Server>[];

  constructor({ fleet, port, locals, path, answer, slow, log }: UnderlayServerOptions) {
    this.#path = path;
    this.#answer = answer;
    this.#slow = slow;
    this.#isForwarder = (address) => fleet.forwarders.some((prefix) => prefixContains(prefix, address));
    const mayAsk = whoMayAsk(fleet, this.#isForwarder);
    this.#listeners = locals.map((address) => {
      const where = { address: address.text, port };
      const place = { host: address.text, port, ipv6Only: true };
      return new RetriedListen(place, () => this.#makeServer(address, mayAsk), {
        available: (_, isAgain) => isAgain && log.available(where),
        unavailable: (why) => log.unavailable(where, why),
      });
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#listeners.map((each) => each.close()));
  }

  #makeServer(address: IpAddress, mayAsk: (socket: Socket) => boolean): Server {
    const server = createServer({ maxHeaderSize: HEADER_BYTES_MAX }, (request, response) =>
      this.#respond(address, request, response),
    );
    const shares = new Shares<Socket>(CONNECTIONS_MAX, CONNECTIONS_PER_PEER_MAX);
    server.maxRequestsPerSocket = 1; // or as many answers wait in memory as questions fit into one write
    server.prependListener('connection', (socket: Socket) => {
      if (!mayAsk(socket)) {
        socket.destroy();
        return;
      }
      const { remoteAddress = '' } = socket;
      shares.enter(remoteAddress, socket)?.destroy();
      const end = setTimeout(() => socket.destroy(), CONNECTION_MS_MAX);
      socket.once('close', () => {
        clearTimeout(end);
        shares.leave(remoteAddress, socket);
      });
    });
    return server;
  }

  #respond(address: IpAddress, request: IncomingMessage, response: ServerResponse): void {
    const { url = '', method, socket, headers } = request;
    const [path, query = ''] = url.split('?', 2); // not `new URL`, which throws at some of what may come
    const known = path === this.#path || path === this.#slow?.path;
    if (!known) {
      const paths = [this.#path, this.#slow?.path ?? []].flat().join(' and ');
      send(response, 404, { error: `there is only ${paths}` });
    } else if (method !== 'GET') {
      send(response.setHeader('allow', 'GET'), 405, { error: `${path} takes only GET` });
    } else {
      const peer = remoteOf(socket);
      const isForwarder = peer !== undefined && this.#isForwarder(peer);
      const question = { address, peer, isForwarder, headers, query };
      if (path === this.#slow?.path) {
        this.#slow.respond(question, request, response);
        return;
      }
      const { status, body } = this.#answer(question);
      send(response, status, body);
    }
  }
}

/** One question a connection. */
export function send(response: ServerResponse, status: number, body: object): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    connection: 'close',
  });
  response.end(text);
}

/** Forwarders, and backends: one of them is this host itself. */
function whoMayAsk(
  fleet: Pick<Fleet, 'backends'>,
  isForwarder: (address: IpAddress) => boolean,
): (socket: Socket) => boolean {
  const backends = new Set(fleet.backends.map(({ text }) => text));
  return (socket) => {
    const address = remoteOf(socket);
    return address !== undefined && (backends.has(address.text) || isForwarder(address));
  };
}

/** Undefined once the connection is gone. */
function remoteOf({ remoteAddress = '' }: Socket): IpAddress | undefined {
  return parseAddress(remoteAddress.replace(MAPPED, ''));
}
