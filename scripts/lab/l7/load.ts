/**
 * Requests over HTTPS, so many a second, by clients that keep their connections as browsers do; counts every one that fails, and why.
 *
 * Each client has one connection and one target, sends one request at a time, and keeps cookies if its target says so. When a request
 * is due while another is under way, it follows at once: the rate is kept, or the result tells that it was not.
 *
 * What is not a failure, and nothing else:
 *  - A connection that the server closes between two requests. The next one opens another.
 *  - A request of which nothing was sent, or which the server refuses by the rules of HTTP/2 (REFUSED_STREAM, or GOAWAY with a lower
 *    stream). It was processed by nobody; the client sends it over another connection, and `retried` counts it.
 * A request that was sent and met a closed connection has failed, although browsers would try again.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type CallContext, callable } from './call.js';
import { createClient, type LoadClient } from './load-client.js';

export interface LoadTarget {
  /** Where to connect to. */
  readonly address: string;
  /** 443 when not given. */
  readonly port?: number;
  /** Name of the host, for TLS and HTTP. */
  readonly host: string;
  readonly path: string;
  /** Whether the client keeps cookies. */
  readonly cookies: boolean;
  /** The servers that may answer, by their header `X-Backend`; any, when not given. */
  readonly servers?: readonly string[];
  /** 200 when not given. */
  readonly status?: number;
}

export interface LoadPlan {
  /** File of the authority that is trusted. */
  readonly ca: string;
  readonly protocol: 'http1' | 'http2';
  /** Client i has the target i modulo the number of targets. */
  readonly targets: readonly LoadTarget[];
  readonly clients: number;
  /** Of all clients together. */
  readonly requestsPerSecond: number;
  /** After so many a client opens another connection; never, when not given. */
  readonly requestsPerConnection?: number;
  /** For one request. */
  readonly timeoutMs: number;
  /** Until it is told to end, when not given. */
  readonly seconds?: number;
}

export interface LoadFailure {
  /** Since the epoch, when the request was sent. */
  readonly atMs: number;
  readonly client: number;
  readonly target: string;
  readonly reason: string;
  /** The proxy (by its header `X-Proxy`) that answered before over the same connection; null when the connection was new. */
  readonly proxy: string | null;
}

/** A client that keeps cookies was answered by another server than the time before. */
export interface LoadMove {
  /** Since the epoch, when the request was sent. */
  readonly atMs: number;
  readonly client: number;
  readonly from: string;
  readonly to: string;
}

export interface LoadResult {
  readonly requests: number;
  readonly failed: number;
  readonly retried: number;
  readonly connections: number;
  /** The first 1000. */
  readonly moves: readonly LoadMove[];
  readonly reasons: Readonly<Record<string, number>>;
  /** The first 1000. */
  readonly failures: readonly LoadFailure[];
  /** Answers by server. */
  readonly servers: Readonly<Record<string, number>>;
  /** The same by proxy, as far as answers have the header `X-Proxy`. */
  readonly proxies: Readonly<Record<string, number>>;
  readonly seconds: number;
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly max: number };
}

export const LOAD = callable(import.meta.url, 'generateLoad', generateLoad);

const KEPT = 1_000;
const TELL_INTERVAL_MS = 1_000;

/** Printed every second, as `event: progress`: what was done so far. */
export type LoadProgress = Pick<LoadResult, 'requests' | 'failed' | 'proxies'>;

/** Prints its progress, and each of the first failures as `event: failed`. */
export async function generateLoad(plan: LoadPlan, { stop, print }: CallContext): Promise<LoadResult> {
  const ending = new AbortController();
  const end = ending.signal;
  const finish = (): void => ending.abort();
  if (stop.aborted) finish();
  stop.addEventListener('abort', finish);
  const timer = plan.seconds === undefined ? undefined : setTimeout(finish, plan.seconds * 1_000);
  const tally = new Tally(print);
  const teller = setInterval(() => tally.tell(), TELL_INTERVAL_MS);
  const intervalMs = (1_000 * plan.clients) / plan.requestsPerSecond;
  const startMs = performance.now();
  await Promise.all(
    Array.from({ length: plan.clients }, async (_, i) => {
      const client = createClient(plan, plan.targets[i % plan.targets.length]!);
      // They do not all start at once.
      let dueMs = startMs + (i * intervalMs) / plan.clients;
      for (;;) {
        await until(dueMs, end);
        if (end.aborted) break;
        await request(client, i, tally);
        dueMs += intervalMs;
      }
      client.close();
      tally.connections += client.connections;
    }),
  );
  clearInterval(teller);
  clearTimeout(timer);
  stop.removeEventListener('abort', finish);
  return tally.result((performance.now() - startMs) / 1_000);
}

async function until(ms: number, end: AbortSignal): Promise<void> {
  const leftMs = ms - performance.now();
  if (leftMs > 0 && !end.aborted) await delay(leftMs, undefined, { signal: end }).catch(() => {});
}

async function request(client: LoadClient, number: number, tally: Tally): Promise<void> {
  const { target, server: from, proxy: over } = client;
  const atMs = Date.now();
  const start = performance.now();
  const { failure, retries, kept } = await client.request();
  tally.latencies.push(performance.now() - start);
  tally.requests += 1;
  tally.retried += retries;
  if (failure !== undefined) {
    const name = `https://${target.host}${target.path} at ${target.address}`;
    tally.fail({ atMs, client: number, target: name, reason: failure, proxy: kept ? (over ?? null) : null });
    return;
  }
  const { server: to = '', proxy = '' } = client;
  count(tally.servers, to);
  if (proxy !== '') count(tally.proxies, proxy);
  if (target.cookies && from !== undefined && from !== to) tally.move({ atMs, client: number, from, to });
}

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

class Tally {
  requests = 0;
  retried = 0;
  connections = 0;
  readonly servers = new Map<string, number>();
  readonly proxies = new Map<string, number>();
  readonly latencies: number[] = [];
  readonly #failures: LoadFailure[] = [];
  readonly #moves: LoadMove[] = [];
  readonly #reasons = new Map<string, number>();
  #failed = 0;
  readonly #print: CallContext['print'];

  constructor(print: CallContext['print']) {
    this.#print = print;
  }

  fail(failure: LoadFailure): void {
    this.#failed += 1;
    count(this.#reasons, failure.reason);
    if (this.#failures.length === KEPT) return;
    this.#failures.push(failure);
    this.#print({ event: 'failed', ...failure });
  }

  move(move: LoadMove): void {
    if (this.#moves.length < KEPT) this.#moves.push(move);
  }

  tell(): void {
    const progress: LoadProgress = {
      requests: this.requests,
      failed: this.#failed,
      proxies: Object.fromEntries(this.proxies),
    };
    this.#print({ event: 'progress', ...progress });
  }

  result(seconds: number): LoadResult {
    const sorted = this.latencies.toSorted((a, b) => a - b);
    const at = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
    return {
      requests: this.requests,
      failed: this.#failed,
      retried: this.retried,
      connections: this.connections,
      moves: this.#moves,
      reasons: Object.fromEntries(this.#reasons),
      failures: this.#failures,
      servers: Object.fromEntries(this.servers),
      proxies: Object.fromEntries(this.proxies),
      seconds,
      latencyMs: { p50: at(0.5), p99: at(0.99), max: at(1) },
    };
  }
}
