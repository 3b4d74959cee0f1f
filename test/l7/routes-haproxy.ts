/**
 * A real HAProxy with one frontend for each list of routes, whose answers say what the rules decided; and a client that sends
 * requests as bytes, many on a connection.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import {
  type ClientHttp2Session,
  connect as connectHttp2,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
} from 'node:http2';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findProgram } from '#anyhop/core/program.js';
import type { CompiledRoutes } from '#anyhop/l7/routes/compile.js';
import type { RouteRequest } from '#anyhop/l7/routes/explain.js';
import { mapFiles } from '#anyhop/l7/routes/maps.js';
import { routeRules } from '#anyhop/l7/routes/rules.js';
import { ownAddress } from './haproxy-fixture.js';

const PORT_FIRST = 8080;
/** The frontends of lists speak HTTP/1.1 there, and HTTP/2 as many ports further. */
const HTTP2_PORTS_LATER = 1000;
const DEADLINE_MS = 30_000;

export interface Answer {
  readonly status: number;
  /** `txn.action` of a request that gets to an upstream. */
  readonly action: string | undefined;
  readonly location: string | undefined;
}

export class RoutingHaproxy {
  readonly address = ownAddress();
  readonly directory = mkdtempSync(join(tmpdir(), 'anyhop-routes-'));
  readonly #child: ChildProcess;
  #output = '';

  /** @param lists each gets a frontend; its number is its index */
  constructor(lists: readonly CompiledRoutes[]) {
    const sections = lists.map((compiled, i) => this.#section(compiled, i));
    const file = join(this.directory, 'haproxy.cfg');
    writeFileSync(
      file,
      `global
  maxconn 1000
  nbthread 1
defaults
  mode http
  timeout client 60s
  timeout server 10s
  timeout connect 10s
${sections.join('')}`,
    );
    this.#child = spawn(findProgram('haproxy')!, ['-db', '-f', file], { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout!, this.#child.stderr!])
      stream.on('data', (data: Buffer) => {
        this.#output += data.toString();
      });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  port(list: number): number {
    return PORT_FIRST + list;
  }

  http2Port(list: number): number {
    return PORT_FIRST + HTTP2_PORTS_LATER + list;
  }

  /** Resolves when it listens. */
  async ready(): Promise<void> {
    const deadline = Date.now() + DEADLINE_MS;
    for (;;) {
      if (this.#child.exitCode !== null || Date.now() > deadline)
        throw new Error(`HAProxy does not start\n${this.#output}`);
      const socket = connect(PORT_FIRST, this.address);
      try {
        await once(socket, 'connect');
        return;
      } catch {
        await delay(20);
      } finally {
        socket.destroy();
      }
    }
  }

  async close(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.kill('SIGKILL')) await once(this.#child, 'exit');
    rmSync(this.directory, { recursive: true });
  }

  #section(compiled: CompiledRoutes, list: number): string {
    const maps = join(this.directory, `maps-${list}`);
    mkdirSync(maps);
    for (const [name, text] of mapFiles(compiled)) writeFileSync(join(maps, name), text);
    const rules = routeRules(compiled, maps).map(({ words }) => `  ${words.map(quoted).join(' ')}\n`);
    return `frontend f_${list}
  bind ${this.address}:${this.port(list)}
  bind ${this.address}:${this.http2Port(list)} proto h2
${rules.join('')}  http-request return status 200 hdr x-action "%[var(txn.action)]"
`;
  }
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** The request as HTTP/1.1; without a host as HTTP/1.0, where none is needed. */
export function requestBytes({ host, path, headers }: RouteRequest): Buffer {
  const start = `${path === undefined ? 'OPTIONS *' : `GET ${path}`} HTTP/1.${host === undefined ? 0 : 1}`;
  const first = host === undefined ? ['Connection: keep-alive'] : [`Host: ${host}`];
  const lines = [start, ...first, ...headers.map(({ name, value }) => `${name}: ${value}`)];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

/** Sends requests one behind the other; an answer that ends the connection is followed by a new one. */
export async function ask(address: string, port: number, requests: readonly Buffer[]): Promise<Answer[]> {
  const answers: Answer[] = [];
  while (answers.length < requests.length) {
    const more = await askOnce(address, port, requests.slice(answers.length));
    if (more.length === 0) throw new Error(`no answer to ${requests[answers.length].toString('latin1')}`);
    answers.push(...more);
  }
  return answers;
}

async function askOnce(address: string, port: number, requests: readonly Buffer[]): Promise<Answer[]> {
  const socket = connect(port, address);
  socket.setTimeout(DEADLINE_MS, () => socket.destroy());
  socket.on('error', () => {}); // a reset shows in the number of answers
  const answers: Answer[] = [];
  let text = '';
  socket.on('data', (data) => {
    text += data.toString('latin1');
    for (let end = answerEnd(text); end !== undefined; end = answerEnd(text)) {
      answers.push(readAnswer(text.slice(0, end)));
      text = text.slice(end);
    }
    if (answers.length === requests.length) socket.destroy();
  });
  socket.write(Buffer.concat(requests));
  await once(socket, 'close');
  return answers;
}

/** The same over HTTP/2, all at once. Requests have a host and a path. */
export async function askHttp2(
  address: string,
  port: number,
  requests: readonly RouteRequest[],
): Promise<Answer[]> {
  const session = connectHttp2(`http://${address}:${port}`);
  session.setTimeout(DEADLINE_MS, () => session.destroy(new Error('no answer in time')));
  try {
    return await Promise.all(requests.map((wanted) => askStream(session, wanted)));
  } finally {
    session.destroy();
  }
}

async function askStream(
  session: ClientHttp2Session,
  { host, path, headers }: RouteRequest,
): Promise<Answer> {
  const lines: Record<string, string[]> = {};
  for (const { name, value } of headers) {
    const key = name.toLowerCase();
    lines[key] = [...(lines[key] ?? []), value.trim()];
  }
  const stream = session.request({ ':authority': host, ':path': path, ...lines });
  const [answer] = (await once(stream, 'response')) as [IncomingHttpHeaders & IncomingHttpStatusHeader];
  stream.close();
  return {
    status: answer[':status'] ?? 0,
    action: answer['x-action'] as string | undefined,
    location: answer.location,
  };
}

function answerEnd(text: string): number | undefined {
  const head = text.indexOf('\r\n\r\n');
  if (head < 0) return undefined;
  const end = head + 4 + Number(/\r\ncontent-length: *(\d+)/i.exec(text.slice(0, head))?.[1] ?? 0);
  return text.length < end ? undefined : end;
}

function readAnswer(text: string): Answer {
  const value = (name: string) => new RegExp(`\r\n${name}: ([^\r]*)`, 'i').exec(text)?.[1];
  return { status: Number(text.slice(9, 12)), action: value('x-action'), location: value('location') };
}
