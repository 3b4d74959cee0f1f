/**
 * The node's side: `GET /region` for DNS hosts, and nothing else. The port may face the Internet, so a client without a certificate
 * of the right authority gets no further than the handshake; each address has a share of the connections, of which strangers have their
 * own, so that any number of them ends no connection of a DNS host; and what is slow is cut off.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { SecureContextOptions } from 'node:tls';
import type { RegionTls } from '../../config/announce/types.js';
import type { Endpoint } from '../../config/endpoint.js';
import { formatEndpoint } from '../../config/endpoint.js';
import type { Logger } from '../../core/log.js';
import { reasonOf } from '../../core/reason.js';
import { Admission } from '../../web/admission.js';
import { Refusals } from '../../web/refusals.js';
import { RetriedListen } from '../../web/retried-listen.js';
import { REGION_PATH, type RegionAnswer } from './answer.js';

/** A fleet has a handful of DNS hosts, each with one connection. */
const CONNECTIONS_MAX = 64;
const CONNECTIONS_PER_PEER_MAX = 8;
const HANDSHAKE_MS = 5_000;
const REQUEST_MS = 5_000;
/** DNS hosts ask more often. */
const IDLE_MS = 15_000;
const HEADER_BYTES_MAX = 4 * 1024;

export class RegionServer {
  readonly #answer: () => RegionAnswer;
  readonly #log: Logger;
  readonly #refusals: Refusals;
  readonly #listen: RetriedListen<Server>;
  #tls: SecureContextOptions;

  constructor(listen: Endpoint, tls: RegionTls, answer: () => RegionAnswer, log: Logger) {
    const where = formatEndpoint(listen);
    this.#tls = secureContext(tls);
    this.#answer = answer;
    this.#log = log;
    this.#refusals = new Refusals((who, why, count, address) =>
      this.#log.info(
        { event: 'region_refused', address, why, count },
        `${who} has no certificate that is believed, or does not believe this node's: ${why}`,
      ),
    );
    this.#listen = new RetriedListen({ host: listen.address.text, port: listen.port }, () => this.#make(), {
      available: () => log.info({ event: 'region_available', where }, `DNS hosts can ask on ${where}`),
      unavailable: (why) =>
        log.warn(
          { event: 'region_unavailable', where, why },
          `DNS hosts cannot ask on ${where}, which is tried again: ${why}`,
        ),
    });
  }

  /** From now on it shows this certificate, and believes these authorities; clients connect anew. */
  replace(tls: RegionTls): void {
    this.#tls = secureContext(tls);
    const { server } = this.#listen;
    server.setSecureContext(this.#tls);
    server.closeAllConnections();
  }

  close(): Promise<void> {
    return this.#listen.close();
  }

  #make(): Server {
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
    const admission = new Admission({
      connectionsMax: CONNECTIONS_MAX,
      connectionsPerPeerMax: CONNECTIONS_PER_PEER_MAX,
    });
    admission.guard(server);
    // It has shown a certificate.
    server.prependListener('secureConnection', (socket) => admission.know(socket));
    server.on('tlsClientError', (error, { remoteAddress }) =>
      this.#refusals.add(remoteAddress, reasonOf(error)),
    );
    return server;
  }

  #respond({ url, method }: IncomingMessage, response: ServerResponse): void {
    if (url !== REGION_PATH) send(response, 404, { error: `there is only ${REGION_PATH}` });
    else if (method !== 'GET')
      send(response.setHeader('allow', 'GET'), 405, { error: `${REGION_PATH} takes only GET` });
    else send(response, 200, this.#answer());
  }
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
