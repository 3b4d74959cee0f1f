/**
 * The client's end of one connection: it sends a numbered message each time that the wheel calls on it, checks every answer,
 * and closes in order after its last one. It is broken by a reset, by an end that it did not ask for, by an answer that is not
 * the one due (wire.ts), and by silence where something is due: a connection, an answer, the server's own end.
 */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import type { Client, Kind, Observer } from './crowd.js';
import { answer, Lines, message } from './wire.js';

/** TCP sends again after 0.2, 0.6, 1.4, 3 and 6.2 s, a SYN after 1, 3 and 7 s. */
const SILENCE_MS = 10_000;

export interface ConnectionPlan {
  readonly kind: Kind;
  readonly family: 4 | 6;
  readonly host: string;
  readonly port: number;
  readonly localPort: number;
  /** After so many it closes. */
  readonly messages: number;
}

export class Connection implements Client {
  readonly #plan: ConnectionPlan;
  readonly #observer: Observer;
  readonly #socket: Socket;
  readonly #nonce = randomBytes(4).toString('hex');
  readonly #lines = new Lines();
  readonly #openedAtMs: number;
  #server: string | null = null;
  #messages: number;
  #sent = 0;
  #answers = 0;
  #closing = false;
  #ended = false;
  /** Since when something is due that has not come. */
  #dueSinceMs: number | undefined;

  constructor(plan: ConnectionPlan, observer: Observer, nowMs: number) {
    this.#plan = plan;
    this.#observer = observer;
    this.#messages = plan.messages;
    this.#openedAtMs = nowMs;
    this.#dueSinceMs = nowMs;
    const { host, port, localPort } = plan;
    this.#socket = connect({ host, port, localPort, noDelay: true });
    this.#socket.setEncoding('utf8');
    this.#socket.on('data', (chunk: string) => this.#take(chunk));
    this.#socket.on('end', () => this.#endOfServer());
    this.#socket.on('error', (error: NodeJS.ErrnoException) => this.#break(error.code ?? error.message));
  }

  /** The wheel's call. @returns false when there is nothing left to do */
  turn(nowMs: number): boolean {
    if (this.#ended) return false;
    if (this.#dueSinceMs !== undefined && nowMs - this.#dueSinceMs > SILENCE_MS) {
      this.#break(`silence for ${SILENCE_MS / 1000} s`, this.#dueSinceMs);
      return false;
    }
    if (this.#server === null || this.#closing) return true;
    if (this.#sent < this.#messages) {
      this.#sent += 1;
      this.#socket.write(message(this.#nonce, this.#sent));
      this.#dueSinceMs ??= nowMs;
    } else if (this.#answers === this.#sent) {
      this.#closing = true;
      this.#socket.end();
      this.#dueSinceMs = nowMs;
    }
    return true;
  }

  /** Sends no more messages, so that it closes in its next turns. */
  finish(): void {
    this.#messages = this.#sent;
  }

  #take(chunk: string): void {
    const nowMs = Date.now();
    let lines: string[];
    try {
      lines = this.#lines.take(chunk);
    } catch (error) {
      this.#break((error as Error).message);
      return;
    }
    for (const line of lines) {
      if (this.#server === null) this.#server = line;
      else if (`${line}\n` === answer(this.#server, this.#nonce, this.#answers + 1)) {
        this.#answers += 1;
        this.#observer.answered(nowMs - this.#dueSinceMs!, this.#answers);
      } else this.#break(`wrong answer "${line}" to ${this.#nonce} ${this.#answers + 1}`);
      this.#dueSinceMs = this.#sent > this.#answers ? nowMs : undefined;
    }
  }

  #endOfServer(): void {
    if (!this.#closing || this.#answers < this.#sent) this.#break('EOF');
    else this.#end(null, null);
  }

  #break(why: string, sinceMs = Date.now()): void {
    this.#end(why, sinceMs);
    this.#socket.destroy();
  }

  #end(broken: string | null, brokenSinceMs: number | null): void {
    if (this.#ended) return;
    this.#ended = true;
    const { kind, family, localPort: port } = this.#plan;
    this.#observer.ended({
      event: 'connection',
      kind,
      family,
      port,
      server: this.#server,
      openedAtMs: this.#openedAtMs,
      endedAtMs: Date.now(),
      answers: this.#answers,
      broken,
      brokenSinceMs,
    });
  }
}
