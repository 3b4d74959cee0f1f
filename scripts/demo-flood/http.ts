/**
 * One real client's connection over HTTP/1.1: a request now and then for as long as it lasts, or one and the end. It fails when it
 * is refused, reset, ended by the server, answered wrongly, or not answered for SILENCE_MS: a connection, a request.
 */
import { connect, type Socket } from 'node:net';
import type { Client, Kind, Observer } from '../survive/crowd.js';
import type { ClientRecord } from './journal.js';

/** TCP sends a SYN again after 1 and 3 s; other segments sooner. */
export const SILENCE_MS = 5_000;

export interface HttpPlan {
  readonly kind: Kind;
  readonly family: 4 | 6;
  readonly host: string;
  readonly port: number;
  readonly localAddress: string;
  readonly localPort: number;
}

export class HttpConnection implements Client {
  readonly #plan: HttpPlan;
  readonly #observer: Observer;
  readonly #socket: Socket;
  readonly #request: string;
  readonly #openedAtMs = Date.now();
  #connectedMs: number | null = null;
  #server: string | null = null;
  #answers = 0;
  #received = '';
  #finishing: boolean;
  #ended = false;
  /** Since when something is due that has not come. */
  #dueSinceMs: number | undefined = this.#openedAtMs;

  constructor(plan: HttpPlan, observer: Observer) {
    this.#plan = plan;
    this.#observer = observer;
    this.#finishing = plan.kind === 'short';
    const { host, port, localAddress, localPort } = plan;
    const close = plan.kind === 'short' ? 'Connection: close\r\n' : '';
    this.#request = `GET / HTTP/1.1\r\nHost: flood.example\r\n${close}\r\n`;
    this.#socket = connect({ host, port, localAddress, localPort, noDelay: true });
    this.#socket.setEncoding('latin1');
    this.#socket.on('connect', () => {
      this.#connectedMs = Date.now() - this.#openedAtMs;
      this.#ask(Date.now());
    });
    this.#socket.on('data', (chunk: string) => this.#take(chunk));
    this.#socket.on('end', () => this.#fail('ended by the server'));
    this.#socket.on('error', (error: NodeJS.ErrnoException) => this.#fail(error.code ?? error.message));
  }

  /** Asks again, if nothing is due. @returns false when there is nothing left to do */
  turn(nowMs: number): boolean {
    if (this.#ended) return false;
    if (this.#dueSinceMs === undefined) {
      if (this.#finishing) this.#end(null, null);
      else this.#ask(nowMs);
    } else if (nowMs - this.#dueSinceMs > SILENCE_MS) {
      const what = this.#connectedMs === null ? 'no connection' : 'no answer';
      this.#fail(`${what} for ${SILENCE_MS / 1000} s`, this.#dueSinceMs);
    }
    return !this.#ended;
  }

  finish(): void {
    this.#finishing = true;
  }

  #ask(nowMs: number): void {
    this.#dueSinceMs = nowMs;
    this.#socket.write(this.#request);
  }

  #take(chunk: string): void {
    this.#received += chunk;
    const end = this.#received.indexOf('\r\n\r\n');
    if (end < 0) return;
    const head = `${this.#received.slice(0, end)}\r\n`;
    const body = this.#received.slice(end + 4);
    const length = Number(/^Content-Length: (\d+)\r$/im.exec(head)?.[1]);
    if (body.length < length) return;
    const server = /^X-Backend: (\S+)\r$/im.exec(head)?.[1] ?? null;
    if (!head.startsWith('HTTP/1.1 200 ') || server === null || body !== `${server}\n`)
      this.#fail(`wrong answer "${head.split('\r', 1)[0]}"`);
    else if (this.#server !== null && this.#server !== server)
      this.#fail(`${server} answered on a connection with ${this.#server}`);
    else this.#answered(server);
  }

  #answered(server: string): void {
    this.#received = '';
    this.#server = server;
    this.#answers += 1;
    this.#observer.answered(Date.now() - this.#dueSinceMs!, this.#answers);
    this.#dueSinceMs = undefined;
    if (this.#plan.kind === 'short') this.#end(null, null);
  }

  #fail(why: string, sinceMs = Date.now()): void {
    this.#end(why, sinceMs);
  }

  #end(broken: string | null, brokenSinceMs: number | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#socket.destroy();
    const { kind, family, localPort: port } = this.#plan;
    const record: ClientRecord = {
      event: 'connection',
      kind,
      family,
      port,
      server: this.#server,
      openedAtMs: this.#openedAtMs,
      connectedMs: this.#connectedMs,
      endedAtMs: Date.now(),
      answers: this.#answers,
      broken,
      brokenSinceMs,
    };
    this.#observer.ended(record);
  }
}
