/**
 * The agent's report of its connections and counters: HTTP on its underlay addresses, `GET /report` and nothing else.
 *
 * The underlay is not the Internet, but it is closer to it than a control socket. So the server hangs up on peers that are neither a
 * forwarder nor a backend of the config before it reads a byte; a connection lasts 10 s at most; and each address has a share of the
 * connections, so that a peer which holds many keeps nobody else out. An address that cannot be listened on (not there yet, or its
 * port is taken) is tried again, and the agent runs without it.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Logger } from '../core/log.js';
import { type IpAddress, parseAddress, prefixContains } from '../packet/address.js';
import type { Asked } from './drain-wish.js';
import type { Fleet } from './fleet.js';
import { FORWARDER_HEADER, readQuestion } from './question.js';
import { type AgentReport, REPORT_PATH } from './report.js';
import { Shares } from './shares.js';

/** On each address: many more than a fleet's forwarders that ask at the same time. */
const CONNECTIONS_MAX = 64;
/** Of one peer: a forwarder asks one question at a time. */
const CONNECTIONS_PER_PEER_MAX = 8;
const CONNECTION_MS_MAX = 10_000;
const HEADER_BYTES_MAX = 4 * 1024;
const RETRY_MS = 5_000;
const MAPPED = /^::ffff:(?=\d+\.)/;

export class ReportServer {
  readonly #report: (asked: Asked) => AgentReport;
  readonly #isForwarder: (address: IpAddress) => boolean;
  readonly #log: Logger;
  readonly #listeners: readonly Listener[];

  /**
   * @param fleet who may ask: forwarders and backends
   * @param locals the addresses to listen on
   * @param report may throw: then the answer says so
   */
  constructor(
    fleet: Fleet,
    port: number,
    locals: readonly IpAddress[],
    report: (asked: Asked) => AgentReport,
    log: Logger,
  ) {
    this.#report = report;
    this.#log = log;
    this.#isForwarder = (address) => fleet.forwarders.some((prefix) => prefixContains(prefix, address));
    const mayAsk = whoMayAsk(fleet, this.#isForwarder);
    this.#listeners = locals.map(
      (address) => new Listener(address, port, () => this.#makeServer(address, mayAsk), log),
    );
  }

  async close(): Promise<void> {
    await Promise.all(this.#listeners.map((each) => each.close()));
  }

  #makeServer(address: IpAddress, mayAsk: (socket: Socket) => boolean): Server {
    const server = createServer({ maxHeaderSize: HEADER_BYTES_MAX }, (request, response) =>
      this.#respond(address, request, response),
    );
    const shares = new Shares<Socket>(CONNECTIONS_MAX, CONNECTIONS_PER_PEER_MAX);
    server.maxRequestsPerSocket = 1; // or as many reports wait in memory as questions fit into one write
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
    const [path] = (request.url ?? '').split('?', 1); // not `new URL`, which throws at some of what may come
    if (path !== REPORT_PATH) {
      send(response, 404, { error: `there is only ${REPORT_PATH}` });
    } else if (request.method !== 'GET') {
      send(response.setHeader('allow', 'GET'), 405, { error: `${REPORT_PATH} takes only GET` });
    } else {
      const forwarder = this.#forwarderOf(request);
      this.#answer({ address, ...(forwarder && { forwarder }) }, response);
    }
  }

  /** A backend that says it is a forwarder is none. */
  #forwarderOf({ socket, headers }: IncomingMessage): Asked['forwarder'] {
    const address = remoteOf(socket);
    const question = readQuestion(headers[FORWARDER_HEADER]);
    if (address === undefined || question === undefined || !this.#isForwarder(address)) return undefined;
    return { address: address.text, ...question };
  }

  #answer(asked: Asked, response: ServerResponse): void {
    try {
      send(response, 200, this.#report(asked));
    } catch (error) {
      // Not knowing must not read as having no connections.
      const { message } = error as Error;
      this.#log.error({ event: 'report_failed' }, `no report can be given: ${message}`);
      send(response, 503, { error: message });
    }
  }
}

/** One question a connection. */
function send(response: ServerResponse, status: number, body: object): void {
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
function whoMayAsk(fleet: Fleet, isForwarder: (address: IpAddress) => boolean): (socket: Socket) => boolean {
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

/** Listens on one address as soon as that can be. */
class Listener {
  readonly #address: IpAddress;
  readonly #port: number;
  readonly #make: () => Server;
  readonly #log: Logger;
  #server: Server | undefined;
  #retry: NodeJS.Timeout | undefined;
  #warned = false;

  constructor(address: IpAddress, port: number, make: () => Server, log: Logger) {
    this.#address = address;
    this.#port = port;
    this.#make = make;
    this.#log = log;
    this.#listen();
  }

  #listen(): void {
    const server = this.#make();
    const where = `${this.#address.text} port ${this.#port}`;
    this.#server = server;
    server.on('error', ({ message }) => {
      if (!this.#warned) {
        this.#warned = true;
        const text = `no reports on ${where}, which is tried again: ${message}`;
        this.#log.warn({ event: 'report_unavailable', address: this.#address.text, port: this.#port }, text);
      }
      server.close();
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => this.#listen(), RETRY_MS).unref();
    });
    server.listen({ host: this.#address.text, port: this.#port, ipv6Only: true }, () => {
      if (this.#warned) this.#log.info({ event: 'report_available' }, `reports on ${where} now`);
      this.#warned = false;
    });
    server.unref();
  }

  close(): Promise<void> {
    clearTimeout(this.#retry);
    const server = this.#server!;
    return new Promise((resolve) => {
      server.close(() => resolve()); // also when it never listened
      server.closeAllConnections();
    });
  }
}
