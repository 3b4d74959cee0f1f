/**
 * The connections to the control socket, and what clients can do with one without asking anything: hold it, or send what is
 * no HTTP. Neither keeps others out.
 */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { errorAnswer, HEADERS } from './answer.js';

const CONNECTIONS_MAX = 64;

/** By the codes of Node's parser and server; anything else is 400. */
const REFUSALS: Readonly<Record<string, readonly [status: number, code: string, message: string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'ERR_TIMEOUT', 'the request did not come in in time'],
  HPE_HEADER_OVERFLOW: [431, 'ERR_TOO_LARGE', 'path and headers are too large'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'ERR_TOO_LARGE', 'chunk extensions are too large'],
};

export class Connections {
  /** Those that have not asked yet, the oldest first. */
  readonly #waiting = new Set<Socket>();
  #open = 0;

  /** Beyond the bound, the oldest that has not asked makes room. */
  add(socket: Socket): void {
    this.#open++;
    this.#waiting.add(socket);
    socket.once('close', () => {
      this.#open--;
      this.#waiting.delete(socket);
    });
    if (this.#open <= CONNECTIONS_MAX) return;
    const [oldest] = this.#waiting;
    this.#waiting.delete(oldest);
    oldest.destroy();
  }

  /** It has sent a whole request, and keeps its connection until that is answered. */
  asked(socket: Socket): void {
    this.#waiting.delete(socket);
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
}

function refusal(parserCode: string): string {
  const known = Object.hasOwn(REFUSALS, parserCode) ? REFUSALS[parserCode] : undefined;
  const [status, code, message] = known ?? [400, 'ERR_HTTP', 'this is not HTTP'];
  const text = `${JSON.stringify(errorAnswer(status, { code, message }).json)}\n`;
  const headers = { ...HEADERS, 'content-length': Buffer.byteLength(text) };
  const lines = Object.entries(headers).map(([field, value]) => `${field}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${text}`;
}
