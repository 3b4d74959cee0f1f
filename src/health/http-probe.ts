/**
 * Kinds `http` and `https`: a GET over a new connection each time, since one that is kept open tells nothing of whether
 * the server takes new ones. Redirects are not followed: their status is judged like any other.
 */
import {
  Agent,
  type ClientRequest,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http';
import { request as httpsRequest, Agent as TlsAgent } from 'node:https';
import { createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { quote } from '../config/path.js';
import { formatStatusCodes } from '../config/status-codes.js';
import type { HttpCheck, TlsCheck } from '../config/types.js';
import { HEALTH_BODY_BYTES_MAX } from '../core/limits.js';
import { type Done, fail, ignore, type Probe } from './probe.js';

const agent = new Agent({ keepAlive: false });
/** A resumed session would show no certificate. */
const tlsAgent = new TlsAgent({ keepAlive: false, maxCachedSessions: 0 });
/** Reading the trusted certificates takes milliseconds: once for all backends of a pool. */
const contexts = new WeakMap<TlsCheck, SecureContext>();

export class HttpProbe implements Probe {
  readonly #check: HttpCheck;
  readonly #options: RequestOptions;
  readonly #expected: Buffer | undefined;
  readonly #done: Done;
  #request: ClientRequest | undefined;
  #response: IncomingMessage | undefined;
  #body: Buffer[] = [];
  #bodyBytes = 0;

  constructor(address: string, check: HttpCheck, done: Done) {
    this.#check = check;
    this.#done = done;
    this.#expected = check.body === undefined ? undefined : Buffer.from(check.body);
    const { tls } = check;
    this.#options = {
      host: address,
      port: check.port,
      path: check.path,
      headers: { 'user-agent': 'anyhop', ...(check.host !== undefined && { host: check.host }) },
      agent: tls === undefined ? agent : tlsAgent,
      ...(tls !== undefined && {
        // An empty name sends none (RFC 6066 knows no addresses); the certificate is then checked for the address.
        servername: tls.serverName ?? '',
        rejectUnauthorized: tls.verify,
        secureContext: contextOf(tls),
      }),
    };
  }

  start(): void {
    const request = this.#check.tls === undefined ? httpRequest(this.#options) : httpsRequest(this.#options);
    this.#request = request;
    request.on('response', this.#onResponse).on('error', this.#onError).end();
  }

  cancel(): string {
    const socket = this.#request!.socket as (TLSSocket & { readonly secureConnecting?: boolean }) | null;
    const missing =
      this.#response !== undefined
        ? 'no whole body'
        : socket === null || socket.connecting
          ? 'no connection'
          : socket.secureConnecting
            ? 'no TLS handshake'
            : 'no response';
    this.#end();
    return missing;
  }

  readonly #onResponse = (response: IncomingMessage): void => {
    const { status } = this.#check;
    const code = response.statusCode ?? 0;
    if (code < status.first || code > status.last)
      this.#finish(`HTTP status ${code}; expected ${formatStatusCodes(status)}`);
    else if (this.#expected === undefined) this.#finish(undefined);
    else {
      this.#response = response;
      response.on('data', this.#onData).on('end', this.#onEnd).on('error', this.#onError);
    }
  };

  readonly #onData = (chunk: Buffer): void => {
    this.#body.push(chunk);
    this.#bodyBytes += chunk.length;
    if (this.#holdsExpected()) this.#finish(undefined);
    else if (this.#bodyBytes >= HEALTH_BODY_BYTES_MAX) this.#onEnd();
  };

  readonly #onEnd = (): void => {
    this.#finish(`the body does not hold ${quote(this.#check.body!)}`);
  };

  readonly #onError = (error: Error): void => {
    const where = this.#response === undefined ? '' : ' within the body';
    this.#end();
    if (where === '') fail(this.#done, error);
    else this.#done(`${error.message}${where}`);
  };

  /** Bodies of checks are short; one that comes in many pieces is searched as a whole each time. */
  #holdsExpected(): boolean {
    if (this.#body.length > 1) this.#body = [Buffer.concat(this.#body)];
    return this.#body[0].subarray(0, HEALTH_BODY_BYTES_MAX).includes(this.#expected!);
  }

  #finish(failure: string | undefined): void {
    this.#end();
    this.#done(failure);
  }

  #end(): void {
    const request = this.#request!;
    this.#request = undefined;
    request.off('response', this.#onResponse).off('error', this.#onError).on('error', ignore);
    const response = this.#response;
    if (response !== undefined) {
      response
        .off('data', this.#onData)
        .off('end', this.#onEnd)
        .off('error', this.#onError)
        .on('error', ignore);
      this.#response = undefined;
      this.#body = [];
      this.#bodyBytes = 0;
    }
    request.destroy();
  }
}

function contextOf(tls: TlsCheck): SecureContext {
  const context = contexts.get(tls) ?? createSecureContext({ ca: tls.ca });
  contexts.set(tls, context);
  return context;
}
