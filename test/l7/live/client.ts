/** A client of HTTP/1.1 over connections that are made in a way of the caller's choice. What goes wrong is a value too. */
import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import type { Duplex } from 'node:stream';

export interface Ask {
  readonly host: string;
  /** `/` when not given. */
  readonly path?: string;
  /** GET when not given. */
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string | Buffer;
}

export interface Answer {
  /** 0 when there was none. */
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** As far as it came, latin1. */
  readonly body: string;
  /** Why there is no whole answer. */
  readonly failure: string | undefined;
  readonly ms: number;
}

export class Client {
  readonly #agent: Agent;

  /** @param keeps whether it has one connection that it keeps; else each request gets its own, and says so */
  constructor(connect: () => Promise<Duplex>, keeps = false) {
    this.#agent = new Agent(keeps ? { keepAlive: true, maxSockets: 1 } : {});
    const createConnection = (_: unknown, done: (error: Error | null, socket?: Duplex) => void): void =>
      void connect().then((socket) => done(null, socket), done);
    Object.assign(this.#agent, { createConnection });
  }

  ask({ host, path = '/', method = 'GET', headers = {}, body }: Ask): Promise<Answer> {
    const start = performance.now();
    return new Promise((resolve) => {
      const answer = { status: 0, headers: {} as IncomingHttpHeaders, body: '' };
      const end = (failure: string | undefined): void =>
        resolve({ ...answer, failure, ms: performance.now() - start });
      // Node says no length of its own with every method.
      const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
      const all = { host, ...length, ...headers };
      const sent = request({ agent: this.#agent, host, path, method, headers: all });
      sent.on('response', (response) => {
        answer.status = response.statusCode ?? 0;
        answer.headers = response.headers;
        response.setEncoding('latin1').on('data', (part) => (answer.body += part));
        response.on('end', () => end(undefined));
        response.on('error', ({ message }) => end(message));
      });
      sent.on('error', ({ message }) => end(message));
      sent.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
