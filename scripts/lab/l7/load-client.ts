/** One client of the load (load.ts): its connection over HTTP/1.1 or HTTP/2, its cookies, and what became of each of its requests. */
import { readFileSync } from 'node:fs';
import { type ClientHttp2Session, connect, constants } from 'node:http2';
import { Agent, request } from 'node:https';
import type { Socket } from 'node:net';
import type { LoadPlan, LoadTarget } from './load.js';

const HTTPS_PORT = 443;
/** Of one request; after that it has failed. */
const RETRIES_MAX = 3;

export interface LoadClient {
  readonly target: LoadTarget;
  /** Opened so far. */
  readonly connections: number;
  /** Which answered last; undefined before the first answer. */
  readonly server: string | undefined;
  /** Which answered last, by the header `X-Proxy`; undefined without that. */
  readonly proxy: string | undefined;
  /** Makes one request; resolves when it has ended, well (`failure` undefined) or not. */
  request(): Promise<LoadOutcome>;
  close(): void;
}

export interface LoadOutcome {
  readonly failure: string | undefined;
  readonly retries: number;
  /** Whether the connection had been used before. */
  readonly kept: boolean;
}

/** What came of sending a request once. */
type Outcome = Answer | { readonly failed: string; readonly kept: boolean } | { readonly untouched: true };

interface Answer {
  readonly status: number;
  readonly server: string;
  readonly proxy: string | undefined;
  readonly cookies: readonly string[];
}

/** How requests are sent: a connection that is opened when it is needed. */
interface Transport {
  readonly connections: number;
  send(headers: Readonly<Record<string, string>>): Promise<Outcome>;
  /** The next request opens another one. */
  drop(): void;
}

export function createClient(plan: LoadPlan, target: LoadTarget): LoadClient {
  const transport = plan.protocol === 'http1' ? new Http1(plan, target) : new Http2(plan, target);
  const cookies = new Map<string, string>();
  let server: string | undefined;
  let proxy: string | undefined;
  let sent = 0;

  const attempt = async (): Promise<Outcome> => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    return transport.send(cookie === '' ? {} : { cookie });
  };
  const judge = (outcome: Exclude<Outcome, { untouched: true }>): string | undefined => {
    if ('failed' in outcome) return outcome.failed;
    const { status = 200, servers } = target;
    proxy = outcome.proxy;
    if (target.cookies) for (const cookie of outcome.cookies) keepCookie(cookies, cookie);
    if (outcome.status !== status) return `status ${outcome.status}`;
    server = outcome.server;
    return servers === undefined || servers.includes(server) ? undefined : `answered by ${server}`;
  };
  return {
    target,
    get connections() {
      return transport.connections;
    },
    get server() {
      return server;
    },
    get proxy() {
      return proxy;
    },
    async request() {
      if (sent > 0 && sent % (plan.requestsPerConnection ?? Number.POSITIVE_INFINITY) === 0) transport.drop();
      sent += 1;
      for (let retries = 0; ; retries++) {
        const outcome = await attempt();
        if (!('untouched' in outcome))
          return { failure: judge(outcome), retries, kept: 'failed' in outcome && outcome.kept };
        if (retries === RETRIES_MAX) return { failure: `refused ${retries + 1} times`, retries, kept: true };
      }
    },
    close: () => transport.drop(),
  };
}

class Http1 implements Transport {
  connections = 0;
  readonly #plan: LoadPlan;
  readonly #target: LoadTarget;
  readonly #ca: Buffer;
  #agent = newAgent();
  /** Of the last request. */
  #socket: Socket | undefined;

  constructor(plan: LoadPlan, target: LoadTarget) {
    this.#plan = plan;
    this.#target = target;
    this.#ca = readFileSync(plan.ca);
  }

  drop(): void {
    this.#agent.destroy();
    this.#agent = newAgent();
  }

  send(headers: Readonly<Record<string, string>>): Promise<Outcome> {
    const { address, port = HTTPS_PORT, host, path } = this.#target;
    // The other side's end of it was seen, though the agent may not have taken it out yet.
    if (this.#socket?.readableEnded) this.drop();
    return new Promise((resolve) => {
      let sentBefore = 0;
      let answered = false;
      const options = {
        host: address,
        port,
        path,
        agent: this.#agent,
        ca: this.#ca,
        servername: host,
        ALPNProtocols: ['http/1.1'],
        headers: { host, ...headers },
        signal: AbortSignal.timeout(this.#plan.timeoutMs),
      };
      const outgoing = request(options, (incoming) => {
        answered = true;
        const { statusCode: status = 0, headers: got } = incoming;
        incoming.on('error', (error) => resolve(failure(outgoing.reusedSocket, true, nameOf(error))));
        incoming.on('end', () => resolve({ status, ...named(got), cookies: got['set-cookie'] ?? [] }));
        incoming.resume();
      });
      outgoing.on('socket', (given) => {
        sentBefore = given.bytesWritten;
        if (given !== this.#socket) this.connections += 1;
        this.#socket = given;
      });
      outgoing.on('error', (error) => {
        const kept = outgoing.reusedSocket;
        if (kept && this.#socket?.bytesWritten === sentBefore) resolve({ untouched: true });
        else resolve(failure(kept, answered, nameOf(error)));
      });
      outgoing.end();
    });
  }
}

function newAgent(): Agent {
  return new Agent({ keepAlive: true, maxSockets: 1, maxCachedSessions: 0 });
}

class Http2 implements Transport {
  connections = 0;
  readonly #plan: LoadPlan;
  readonly #target: LoadTarget;
  readonly #ca: Buffer;
  #session: ClientHttp2Session | undefined;

  constructor(plan: LoadPlan, target: LoadTarget) {
    this.#plan = plan;
    this.#target = target;
    this.#ca = readFileSync(plan.ca);
  }

  drop(): void {
    this.#session?.close();
    this.#session = undefined;
  }

  send(headers: Readonly<Record<string, string>>): Promise<Outcome> {
    const { host, path } = this.#target;
    return new Promise((resolve) => {
      const session = this.#open(resolve);
      const kept = session.alpnProtocol !== undefined;
      const stream = session.request({ ':authority': host, ':path': path, ...headers });
      let answer: Answer | undefined;
      const timer = setTimeout(() => {
        resolve(failure(kept, answer !== undefined, 'timeout'));
        stream.close(constants.NGHTTP2_CANCEL);
      }, this.#plan.timeoutMs);
      stream.on('response', (given) => {
        answer = { status: given[':status'] ?? 0, ...named(given), cookies: given['set-cookie'] ?? [] };
      });
      stream.on('error', (error) => {
        if (stream.rstCode === constants.NGHTTP2_REFUSED_STREAM) resolve({ untouched: true });
        else resolve(failure(kept, answer !== undefined, nameOf(error)));
      });
      stream.on('close', () => {
        clearTimeout(timer);
        if (answer !== undefined && stream.rstCode === constants.NGHTTP2_NO_ERROR) resolve(answer);
        else resolve(failure(kept, answer !== undefined, `stream reset (${stream.rstCode})`));
      });
      stream.resume();
    });
  }

  #open(resolve: (outcome: Outcome) => void): ClientHttp2Session {
    const known = this.#session;
    if (known !== undefined && !known.closed && !known.destroyed) return known;
    const { address, port = HTTPS_PORT, host } = this.#target;
    const where = address.includes(':') ? `[${address}]` : address;
    const session = connect(`https://${where}:${port}`, { servername: host, ca: this.#ca });
    session.on('error', (error) => resolve(failure(false, false, nameOf(error))));
    this.connections += 1;
    this.#session = session;
    return session;
  }
}

function failure(kept: boolean, answered: boolean, why: string): Outcome {
  const when = answered ? 'half an answer' : kept ? 'on a kept connection' : 'on a new connection';
  return { failed: `${when}: ${why}`, kept };
}

/** Who says that it answered. */
function named(headers: Readonly<Record<string, unknown>>): Pick<Answer, 'server' | 'proxy'> {
  const { 'x-backend': server = '', 'x-proxy': proxy } = headers;
  return { server: String(server), proxy: proxy === undefined ? undefined : String(proxy) };
}

/** Of `Set-Cookie`, the name and value; one that has ended is forgotten. */
function keepCookie(cookies: Map<string, string>, text: string): void {
  const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(text) ?? [];
  if (/; *max-age=0/i.test(text)) cookies.delete(name);
  else cookies.set(name, value);
}

/** Short, and the same for the same cause: failures are counted by it. */
function nameOf(error: Error): string {
  const cause = error.cause instanceof Error ? error.cause : error; // of a stream, what ended its session
  if (cause.name === 'AbortError' || cause.name === 'TimeoutError') return 'timeout';
  return (cause as NodeJS.ErrnoException).code ?? cause.message;
}
