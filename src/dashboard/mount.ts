/**
 * The dashboard of a node: one page and what it asks for. It runs in the thread of the HTTP listener (src/web), reads the node through its
 * control socket as any client does, and changes nothing. The listener has checked host, method, login and certificate before.
 *
 *   browser --GET /--> page, modules, style          node <--control socket-- source.ts --> view --> board.ts --> watchers.ts --> browser
 *           --GET /api/stream--> server-sent events   siblings <--mutual TLS--^
 *           --GET /api/slots, /api/moves--> slot-map.ts
 *   sibling --GET /api/node, /api/revision--> what the node says
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent } from 'node:https';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { reasonOf } from '../core/reason.js';
import { SerialQueue } from '../core/serial-queue.js';
import type { Exchange, Mount, Mounted, Pages } from '../web/pages.js';
import { askSocket } from './ask.js';
import {
  AskedNode,
  NODE_PATH,
  ownNode,
  REVISION_BOUNDS,
  REVISION_PATH,
  type Sibling,
  sibling,
} from './asked-node.js';
import { Assets } from './assets.js';
import { movesReport, NotThere, type PoolMoment, poolMoment, slotsReport } from './slot-map.js';
import { Source } from './source.js';
import { WATCHERS_MAX } from './watchers.js';

/** The inputs of 65,535 backends have some 20 MB. */
const IN_FORCE_BOUNDS = { timeoutMs: 5_000, bytesMax: 64 * 1024 * 1024 };
/** Siblings that ask at once share one answer of the node. */
const REPORT_MS = 900;
/** Of a connection to a sibling that nobody asks any more. */
const IDLE_MS = 10_000;
/** Requests for tables that run or wait for their turn. */
const TABLES_MAX = 8;
const JSON_TYPE = 'application/json; charset=utf-8';
const LINES_TYPE = 'application/x-ndjson; charset=utf-8';
const zip = promisify(gzip);

/** What the node tells its dashboard. */
export interface DashboardData {
  /** The node's name. */
  readonly name: string;
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
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1, timeout: IDLE_MS });
  #report: { readonly atMs: number; readonly text: Promise<string> } | undefined;

  constructor({ data, ...secrets }: Mounted) {
    const { name, socket, siblings } = data as DashboardData;
    this.#socket = socket;
    this.#source = new Source(
      name,
      new AskedNode(name, ownNode(socket)),
      siblings.map((each) => new AskedNode(each.name, sibling(each, secrets, this.#agent))),
    );
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
    this.#agent.destroy();
  }

  async #api(exchange: Exchange): Promise<void> {
    const { request, response, url } = exchange;
    const asked = (name: string): string => url.searchParams.get(name) ?? '';
    switch (url.pathname) {
      case '/api/stream':
        return this.#stream(exchange);
      case NODE_PATH:
        return send(response, request, await this.#ownReport(), LINES_TYPE);
      case REVISION_PATH:
        return send(response, request, await askSocket(this.#socket, '/revision', REVISION_BOUNDS));
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

  /** The status of the node in a line, then its events. */
  #ownReport(): Promise<string> {
    const nowMs = performance.now();
    if (this.#report === undefined || nowMs - this.#report.atMs > REPORT_MS) {
      const text = ownNode(this.#socket)().then(({ status, events }) => `${status.trimEnd()}\n${events}`);
      this.#report = { atMs: nowMs, text };
    }
    return this.#report.text;
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
        const found = report(poolMoment(JSON.parse(inForce), pool));
        await send(response, request, JSON.stringify(found));
      });
    } finally {
      this.#tablesAsked--;
    }
  }
}

async function send(
  response: ServerResponse,
  { headers, method }: IncomingMessage,
  content: string,
  type = JSON_TYPE,
): Promise<void> {
  const text = Buffer.from(content);
  const isZipped = /\bgzip\b/.test(String(headers['accept-encoding'] ?? ''));
  const body = isZipped ? await zip(text) : text;
  response.writeHead(200, {
    'content-type': type,
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
  response.writeHead(status, { 'content-type': JSON_TYPE, connection: 'close' });
  response.end(text);
}
