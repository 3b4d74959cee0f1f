/**
 * The connections to the control socket, and what clients can do with them that is no question to the node: hold one, ask and
 * not read the answer, send what is no HTTP. None of it keeps others out.
 *
 *   connected --a whole request--> asks --an answer--> reads it
 *                              \-> changes: kept until it is answered, of which there are few (limits.ts)
 *                              \-> follows: kept for as long as it reads, of which there are few (followers.ts)
 */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { CONTROL_CONNECTIONS_MAX, CONTROL_UNASKED_MIN } from '../core/limits.js';
import { errorAnswer, HEADERS } from './answer.js';

/** By the codes of Node's parser and server, and CONNECT, which Node takes for no request; anything else is 400. */
const REFUSALS: Readonly<Record<string, readonly [status: number, code: string, message: string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'ERR_TIMEOUT', 'the request did not come in in time'],
  HPE_HEADER_OVERFLOW: [431, 'ERR_TOO_LARGE', 'path and headers are too large'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'ERR_TOO_LARGE', 'chunk extensions are too large'],
  CONNECT: [405, 'ERR_METHOD', 'CONNECT is for proxies, and this is none'],
};

export class Connections {
  /** Those that have not asked yet, the oldest first. */
  readonly #waiting = new Set<Socket>();
  /** Those that have, and have no answer yet or not all of it; without those that are kept. The oldest first. */
  readonly #asking = new Set<Socket>();
  #open = 0;

  /** Beyond the bound, another makes room. */
  add(socket: Socket): void {
    this.#open++;
    this.#waiting.add(socket);
    socket.once('close', () => {
      this.#open--;
      this.#waiting.delete(socket);
      this.#asking.delete(socket);
    });
    if (this.#open <= CONTROL_CONNECTIONS_MAX) return;
    const loser = this.#loser();
    this.#waiting.delete(loser);
    this.#asking.delete(loser);
    loser.destroy();
  }

  /** It has sent a whole request. One that changes nothing may lose its connection before it is answered. */
  asked(socket: Socket, changes: boolean): void {
    this.#waiting.delete(socket);
    if (!changes && !socket.destroyed) this.#asking.add(socket);
  }

  /** Its change is done, or refused: what is left is to read what became of it. */
  changed(socket: Socket): void {
    if (!socket.destroyed) this.#asking.add(socket);
  }

  /** It is kept for as long as it follows. */
  follows(socket: Socket): void {
    this.#asking.delete(socket);
  }

  /**
   * One that has not asked is the cheapest to lose, but not down to the last of them: the next client would lose its connection
   * before it could ask. So of those who have asked one goes then who does not read: its answer fills its socket.
   */
  #loser(): Socket {
    const [oldest] = this.#waiting;
    if (this.#waiting.size > CONTROL_UNASKED_MIN) return oldest;
    const asking = [...this.#asking];
    return asking.find(({ writableLength }) => writableLength > 0) ?? asking[0] ?? oldest;
  }

  /** What came cannot be read as a request, or not in time. */
  refuse({ code = '' }: NodeJS.ErrnoException, socket: Socket): void {
    if (!socket.writable) socket.destroy();
    // Rubbish behind a request that is being answered: it stays unread.
    else if (!this.#waiting.has(socket) || socket.bytesWritten > 0) socket.pause();
    else {
      this.#waiting.delete(socket);
      socket.end(refusal(code), () => socket.destroy());
    }
  }

  /** Node has let go of this socket, and would leave it open without a word. */
  refuseTunnel(socket: Socket): void {
    socket.on('error', () => undefined); // a client that has gone; it is closed all the same
    socket.end(refusal('CONNECT'), () => socket.destroy());
  }
}

function refusal(parserCode: string): string {
  const known = Object.hasOwn(REFUSALS, parserCode) ? REFUSALS[parserCode] : undefined;
  const [status, code, message] = known ?? [400, 'ERR_HTTP', 'this is not HTTP'];
  const text = `${JSON.stringify(errorAnswer(status, { code, message }).json)}\n`;
  const headers = { ...HEADERS, 'content-length': Buffer.byteLength(text) };
  const lines = Object.entries(headers).map(([field, value]) => `${field}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${text}`;
}
