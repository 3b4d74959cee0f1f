/** HAProxy with a rendered config on the loopback interface, and small servers behind it that remember what they were asked. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Server } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { L7Config } from '#anyhop/config/l7/types.js';
import { Generations } from '#anyhop/l7/haproxy/generations.js';
import { LOCAL_PEER, type RenderedLine } from '#anyhop/l7/render/rendering.js';
import { ownAddress, temporaryRun } from './haproxy-fixture.js';
import { onLoopback, rendererOf } from './render-fixture.js';

const DEADLINE_MS = 20_000;

/** Polls until `what` is true, or fails with what it was waiting for. @param seen what there is instead, for the error */
export async function until(
  what: string,
  isTrue: () => boolean | Promise<boolean>,
  seen = (): string => '',
): Promise<void> {
  for (const end = Date.now() + DEADLINE_MS; Date.now() < end; await sleep(20)) if (await isTrue()) return;
  throw new Error(`not within ${DEADLINE_MS} ms: ${what}\n${seen()}`.trimEnd());
}

export interface TestServer {
  readonly address: string;
  readonly port: number;
  readonly node: Server;
  readonly requests: readonly IncomingMessage[];
  /** Without those of health checks (to /health). */
  asked(): readonly IncomingMessage[];
  close(): Promise<void>;
}

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** Listens on an address of its own. Checks of /health pass unless `handler` wants them. */
export async function startServer(handler: Handler, address = ownAddress()): Promise<TestServer> {
  return listening(
    createServer((request, response) => handler(request, response)),
    address,
  );
}

export async function listening(server: Server, address = ownAddress()): Promise<TestServer> {
  const requests: IncomingMessage[] = [];
  server.on('request', (request: IncomingMessage) => requests.push(request));
  const sockets = new Set<{ destroy(): void }>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  return {
    address,
    port: (server.address() as AddressInfo).port,
    node: server,
    requests,
    asked: () => requests.filter(({ url }) => url !== '/health'),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

export interface TestProxy {
  /** Of every IPv4 VIP. */
  readonly address: string;
  /** What the config's ports have become. */
  port(configured: number): number;
  /** Lines of the access log so far. */
  readonly log: readonly string[];
  /** Lines of the access log that contain a text, parsed, once there are so many. */
  entriesWith(text: string, count: number): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** What HAProxy said about itself. */
  readonly messages: readonly string[];
  stop(): Promise<void>;
}

export interface ProxyOptions {
  readonly servers?: readonly TestServer[];
  readonly now?: Date;
  readonly address?: string;
  /** Changes the rendered lines: what no client on this machine can do. */
  readonly changed?: (lines: readonly RenderedLine[]) => readonly RenderedLine[];
}

/** Starts HAProxy, and waits until it listens. */
export async function startProxy(config: L7Config, options: ProxyOptions = {}): Promise<TestProxy> {
  const { servers = [], address = ownAddress(), now = new Date(), changed = (lines) => lines } = options;
  const portShift = randomInt(10_000, 50_000);
  const place = temporaryRun();
  const moved = onLoopback(config, { address, portShift, servers });
  // As this process's user: what HAProxy's own may do is tested with what starts it.
  const generations = await Generations.open(place.run, undefined);
  const render = rendererOf(moved, { now });
  const { file } = await generations.write((directory) => {
    const { lines, files } = render(directory);
    return { lines: changed(lines), files };
  });
  const child = spawn('haproxy', ['-db', '-L', LOCAL_PEER, '-f', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log: string[] = [];
  const messages: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => log.push(line));
  createInterface({ input: child.stderr }).on('line', (line) => messages.push(line));
  const exited = new Promise<void>((resolve) => child.on('close', () => resolve()));
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await exited;
    place.remove();
  };
  const bind = moved.frontends[0]!.binds[0]!;
  try {
    await until(`HAProxy listens\n${messages.join('\n')}`, () => {
      if (hasEnded(child)) throw new Error(`HAProxy ended:\n${messages.join('\n')}`);
      return answers(bind.vip.text, bind.portFirst);
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    address,
    port: (configured) => configured + portShift,
    log,
    messages,
    async entriesWith(text, count) {
      const lines = () => log.filter((line) => line.includes(text));
      await until(`${count} lines of the access log with ${text}`, () => lines().length >= count);
      return lines().map((line) => JSON.parse(line));
    },
    stop,
  };
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

/** Sends bytes as they are and gives what comes back until the connection closes, or is silent for a while. */
export function exchange(
  host: string,
  port: number,
  bytes: string | Buffer,
  silentMs = 1000,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(port, host, () => socket.write(bytes));
    socket.setTimeout(silentMs, () => socket.destroy());
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', (error: NodeJS.ErrnoException) => error.code !== 'ECONNRESET' && reject(error));
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
  });
}
