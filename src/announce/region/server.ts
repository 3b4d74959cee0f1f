/**
 * The node's side: `GET /region` for DNS hosts, and nothing else. The port may face the Internet, so a client without a certificate
 * of the right authority gets no further than the handshake; each address has a share of the connections, of which strangers have their
 * own, so that any number of them ends no connection of a DNS host; and what is slow is cut off.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { Socket } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import type { RegionTls } from '../../config/announce/types.js';
import type { Endpoint } from '../../config/endpoint.js';
import { formatEndpoint } from '../../config/endpoint.js';
import type { Logger } from '../../core/log.js';
import { reasonOf } from '../../core/reason.js';
import { Shares } from '../../core/shares.js';
import { REGION_PATH, type RegionAnswer } from './answer.js';

/** A fleet has a handful of DNS hosts, each with one connection. */
const CONNECTIONS_MAX = 64;
const CONNECTIONS_PER_PEER_MAX = 8;
const HANDSHAKE_MS = 5_000;
const REQUEST_MS = 5_000;
/** DNS hosts ask more often. */
const IDLE_MS = 15_000;
const HEADER_BYTES_MAX = 4 * 1024;
/** An address that is not there yet, or a port that is taken, is tried again. */
const RETRY_MS = 5_000;
/** Strangers may knock as often as they like: that is said once a minute. */
const REFUSED_LOG_MS = 60_000;

export class RegionServer {
  readonly #listen: Endpoint;
  readonly #answer: () => RegionAnswer;
  readonly #log: Logger;
  /** Of those who have not shown a certificate yet. */
  readonly #strangers = new Shares<Socket>(CONNECTIONS_MAX, CONNECTIONS_PER_PEER_MAX);
  readonly #known = new Shares<Socket>(CONNECTIONS_MAX, CONNECTIONS_PER_PEER_MAX);
  /** Open connections by address and port of the other end. */
  readonly #sockets = new Map<string, Socket>();
  #tls: SecureContextOptions;
  #server: Server | undefined;
  #retry: NodeJS.Timeout | undefined;
  #isUnavailable = false;
  #refusals = 0;
  #refusedLogAt = Number.NEGATIVE_INFINITY;

  constructor(listen: Endpoint, tls: RegionTls, answer: () => RegionAnswer, log: Logger) {
    this.#listen = listen;
    this.#tls = secureContext(tls);
    this.#answer = answer;
    this.#log = log;
    this.#start();
  }

  /** From now on it shows this certificate, and believes these authorities; clients connect anew. */
  replace(tls: RegionTls): void {
    this.#tls = secureContext(tls);
    this.#server?.setSecureContext(this.#tls);
    this.#server?.closeAllConnections();
  }

  async close(): Promise<void> {
    clearTimeout(this.#retry);
    const server = this.#server;
    if (server === undefined) return;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  }

  #start(): void {
    const server = createServer(
      {
        ...this.#tls,
        requestCert: true,
        rejectUnauthorized: true,
        minVersion: 'TLSv1.3',
        handshakeTimeout: HANDSHAKE_MS,
        maxHeaderSize: HEADER_BYTES_MAX,
        headersTimeout: REQUEST_MS,
        requestTimeout: REQUEST_MS,
        keepAliveTimeout: IDLE_MS,
        connectionsCheckingInterval: 1_000,
      },
      (request, response) => this.#respond(request, response),
    );
    this.#server = server;
    const where = formatEndpoint(this.#listen);
    server.prependListener('connection', (socket: Socket) => this.#admit(socket));
    server.prependListener('secureConnection', (socket) => this.#know(socket));
    server.on('tlsClientError', (error, { remoteAddress }) => this.#refused(remoteAddress, reasonOf(error)));
    server.on('error', (error) => {
      if (!this.#isUnavailable) {
        this.#log.warn(
          { event: 'region_unavailable', where, why: reasonOf(error) },
          `DNS hosts cannot ask on ${where}, which is tried again: ${reasonOf(error)}`,
        );
      }
      this.#isUnavailable = true;
      server.close();
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => this.#start(), RETRY_MS).unref();
    });
    const { address, port } = this.#listen;
    server.listen({ host: address.text, port }, () => {
      this.#isUnavailable = false;
      this.#log.info({ event: 'region_available', where }, `DNS hosts can ask on ${where}`);
    });
    server.unref();
  }

  #admit(socket: Socket): void {
    const { remoteAddress = '' } = socket;
    const peer = peerOf(socket);
    this.#sockets.set(peer, socket);
    this.#strangers.enter(remoteAddress, socket)?.destroy();
    socket.once('close', () => {
      this.#sockets.delete(peer);
      this.#strangers.leave(remoteAddress, socket);
      this.#known.leave(remoteAddress, socket);
    });
  }

  /** It has shown a certificate. */
  #know(secured: Socket): void {
    const { remoteAddress = '' } = secured;
    const socket = this.#sockets.get(peerOf(secured));
    if (socket === undefined) return;
    this.#strangers.leave(remoteAddress, socket);
    this.#known.enter(remoteAddress, socket)?.destroy();
  }

  #refused(address: string | undefined, why: string): void {
    this.#refusals++;
    const now = performance.now();
    if (now - this.#refusedLogAt < REFUSED_LOG_MS) return;
    this.#refusedLogAt = now;
    this.#log.info(
      { event: 'region_refused', address, why, count: this.#refusals },
      `${address ?? 'a client that is gone'} has no certificate that is believed, or does not believe this node's: ${why}`,
    );
    this.#refusals = 0;
  }

  #respond({ url, method }: IncomingMessage, response: ServerResponse): void {
    if (url !== REGION_PATH) send(response, 404, { error: `there is only ${REGION_PATH}` });
    else if (method !== 'GET')
      send(response.setHeader('allow', 'GET'), 405, { error: `${REGION_PATH} takes only GET` });
    else send(response, 200, this.#answer());
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** Only a good answer keeps the connection open. */
function send(response: ServerResponse, status: number, body: object): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    ...(status !== 200 && { connection: 'close' }),
  });
  response.end(text);
}

/** As TLS of Node takes it; the private key is in the same text as the certificate. */
export function secureContext({ certificate, authorities }: RegionTls): SecureContextOptions {
  const own = Buffer.from(certificate.reveal());
  return { cert: own, key: own, ca: Buffer.from(authorities.reveal()) };
}
