/**
 * Kinds `http` and `https`: a GET over a new connection each time, since one that is kept open says nothing about whether
 * the server takes new ones. Redirects are not followed: their status is judged like any other. The answer is read by
 * http-answer.ts, since Node's own client refuses answers that every browser and load balancer takes.
 */
import { connect as connectTcp, type Socket } from 'node:net';
import {
  type ConnectionOptions,
  connect as connectTls,
  createSecureContext,
  type SecureContext,
} from 'node:tls';
import type { HttpCheck, TlsCheck } from '../config/types.js';
import { reasonOf } from '../core/reason.js';
import { HttpAnswer, type Verdict } from './http-answer.js';
import { type Done, fail, ignore, type Probe } from './probe.js';

/** Reading the trusted certificates takes milliseconds: once for all backends of a pool. */
const contexts = new WeakMap<TlsCheck, SecureContext>();

export class HttpProbe implements Probe {
  readonly #check: HttpCheck;
  readonly #options: ConnectionOptions & { readonly host: string; readonly port: number };
  readonly #request: Buffer;
  readonly #done: Done;
  #socket: (Socket & { readonly secureConnecting?: boolean }) | undefined;
  #answer: HttpAnswer | undefined;

  constructor(address: string, check: HttpCheck, done: Done) {
    this.#check = check;
    this.#done = done;
    this.#request = requestOf(address, check);
    const { tls } = check;
    this.#options = {
      host: address,
      port: check.port,
      ...(tls !== undefined && {
        // An empty name sends none (RFC 6066 knows no addresses); the certificate is then checked for the address.
        servername: tls.serverName ?? '',
        rejectUnauthorized: tls.verify,
        secureContext: contextOf(tls),
      }),
    };
  }

  start(): void {
    const isTls = this.#check.tls !== undefined;
    const socket = isTls ? connectTls(this.#options) : connectTcp(this.#options);
    this.#socket = socket;
    this.#answer = new HttpAnswer(this.#check);
    socket.on('data', this.#onData).on('end', this.#onEnd).on('error', this.#onError);
    socket.write(this.#request);
  }

  cancel(): string {
    const { connecting, secureConnecting } = this.#socket!;
    const missing = connecting
      ? 'no connection'
      : secureConnecting
        ? 'no TLS handshake'
        : this.#answer!.hasHead
          ? 'no whole body'
          : 'no response';
    this.#end();
    return missing;
  }

  readonly #onData = (data: Buffer): void => this.#judge(this.#answer!.add(data));

  readonly #onEnd = (): void => this.#judge(this.#answer!.end());

  readonly #onError = (error: Error): void => {
    const isInBody = this.#answer!.hasHead;
    this.#end();
    if (isInBody) this.#done(`${reasonOf(error)} within the body`);
    else fail(this.#done, error);
  };

  #judge(verdict: Verdict): void {
    if (verdict === undefined) return;
    this.#end();
    this.#done(verdict.failure);
  }

  #end(): void {
    const socket = this.#socket!;
    this.#socket = undefined;
    this.#answer = undefined;
    socket
      .off('data', this.#onData)
      .off('end', this.#onEnd)
      .off('error', this.#onError)
      .on('error', ignore)
      .destroy();
  }
}

/** What the config lets in for path and host has no spaces or line ends in it. */
function requestOf(address: string, { path, host, port, tls }: HttpCheck): Buffer {
  const literal = address.includes(':') ? `[${address}]` : address;
  const isUsual = port === (tls === undefined ? 80 : 443);
  const lines = [
    `GET ${path} HTTP/1.1`,
    `Host: ${host ?? (isUsual ? literal : `${literal}:${port}`)}`,
    'User-Agent: anyhop',
    'Accept: */*',
    'Connection: close',
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

function contextOf(tls: TlsCheck): SecureContext {
  const context = contexts.get(tls) ?? createSecureContext({ ca: tls.ca });
  contexts.set(tls, context);
  return context;
}
