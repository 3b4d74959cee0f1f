/**
 * The dashboard of a node: one page and what it asks for. It runs in the thread of the HTTP listener (src/web), reads the node through its
 * control socket as any client does, and changes nothing. The listener has checked host, method, login and certificate before.
 *
 *   browser --GET /--> page, modules, style          node <--control socket-- source.ts --> board.ts --> watchers.ts --> browser
 *           --GET /api/stream--> server-sent events   siblings <--mutual TLS-- siblings.ts --^
 *           --GET /api/slots, /api/moves--> slot-map.ts
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { reasonOf } from '../core/reason.js';
import { SerialQueue } from '../core/serial-queue.js';
import type { Exchange, Mount, Mounted, Pages } from '../web/pages.js';
import { askSocket } from './ask.js';
import { Assets } from './assets.js';
import { GLANCE_PATH, type Sibling, Siblings } from './siblings.js';
import { movesReport, NotThere, type PoolMoment, poolMoment, slotsReport } from './slot-map.js';
import { Source } from './source.js';
import { WATCHERS_MAX } from './watchers.js';
import type { Glance } from './wire.js';

/** The inputs of 65,535 backends have some 20 MB. */
const IN_FORCE_BOUNDS = { timeoutMs: 5_000, bytesMax: 64 * 1024 * 1024 };
/** Siblings that ask at once share one answer of the node. */
const GLANCE_MS = 900;
/** Requests for tables that run or wait for their turn. */
const TABLES_MAX = 8;
const zip = promisify(gzip);

/** What the node tells its dashboard. */
export interface DashboardData {
  /** Path of the node's control socket. */
  readonly socket: string;
  readonly siblings: readonly Sibling[];
}

export const mount: Mount = (mounted) => new Dashboard(mounted);

class Dashboard implements Pages {
  readonly #socket: string;
  readonly #assets = new Assets();
  readonly #source: Source;
  readonly #tables = new SerialQueue();
  #tablesAsked = 0;
  #glance: { readonly atMs: number; readonly answer: Promise<Glance> } | undefined;

  constructor({ data, tls }: Mounted) {
    const { socket, siblings } = data as DashboardData;
    this.#socket = socket;
    this.#source = new Source(socket, new Siblings(siblings, tls));
  }

  answer(exchange: Exchange): boolean {
    const { request, response, url } = exchange;
    if (this.#assets.answer(url.pathname, request, response)) return true;
    if (!url.pathname.startsWith('/api/')) return false;
    this.#api(exchange).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else if (error instanceof NotThere) sendError(response, 404, 'ERR_NOT_FOUND', error.message);
      else sendError(response, 502, 'ERR_SOCKET', `the node does not answer: ${reasonOf(error)}`);
    });
    return true;
  }

  close(): void {
    this.#source.close();
  }

  async #api(exchange: Exchange): Promise<void> {
    const { request, response, url } = exchange;
    const asked = (name: string): string => url.searchParams.get(name) ?? '';
    switch (url.pathname) {
      case '/api/stream':
        return this.#stream(exchange);
      case GLANCE_PATH:
        return send(response, request, await this.#ownGlance());
      case '/api/slots':
        return this.#ofTables(exchange, asked('pool'), slotsReport);
      case '/api/moves':
        return this.#ofTables(exchange, asked('pool'), (moment) => movesReport(moment, asked('backend')));
      default:
        return sendError(response, 404, 'ERR_NOT_FOUND', 'the dashboard has no such path');
    }
  }

  #stream({ request, response, stays }: Exchange): void {
    if (this.#source.watchers.count >= WATCHERS_MAX) {
      const message = `${WATCHERS_MAX} browsers watch already`;
      sendError(response, 429, 'ERR_BUSY', message, 'Close one of them.');
    } else if (request.method === 'HEAD') {
      response.writeHead(200).end();
    } else {
      stays();
      this.#source.watch(response);
    }
  }

  #ownGlance(): Promise<Glance> {
    const nowMs = performance.now();
    if (this.#glance === undefined || nowMs - this.#glance.atMs > GLANCE_MS)
      this.#glance = { atMs: nowMs, answer: this.#source.glance() };
    return this.#glance.answer;
  }

  /** One after the other: the largest table takes some memory. */
  async #ofTables(
    { request, response }: Exchange,
    pool: string,
    report: (moment: PoolMoment) => object,
  ): Promise<void> {
    if (this.#tablesAsked >= TABLES_MAX)
      return sendError(response, 429, 'ERR_BUSY', 'too many tables are asked for at once', 'Ask again.');
    this.#tablesAsked++;
    try {
      await this.#tables.add(async () => {
        const inForce = await askSocket(this.#socket, '/in-force', IN_FORCE_BOUNDS);
        await send(response, request, report(poolMoment(inForce, pool)));
      });
    } finally {
      this.#tablesAsked--;
    }
  }
}

async function send(
  response: ServerResponse,
  { headers, method }: IncomingMessage,
  value: object,
): Promise<void> {
  const text = Buffer.from(JSON.stringify(value));
  const isZipped = /\bgzip\b/.test(String(headers['accept-encoding'] ?? ''));
  const body = isZipped ? await zip(text) : text;
  response.writeHead(200, {
    'content-type': 'application/json; charset=utf-8',
    ...(isZipped && { 'content-encoding': 'gzip' }),
    'content-length': body.length,
  });
  response.end(method === 'HEAD' ? undefined : body);
}

/** As the control API says it. */
function sendError(
  response: ServerResponse,
  status: number,
  code: string,
  message: string,
  hint?: string,
): void {
  const text = JSON.stringify({ error: { code, message, ...(hint !== undefined && { hint }) } });
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', connection: 'close' });
  response.end(text);
}
