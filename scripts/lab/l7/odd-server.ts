/**
 * A server for tests that misbehaves on demand, and tells what it is asked: `odd-server.js JSON`, where the argument is a value of
 * OddServerPlan.
 *
 *   /hang /reset /error /drip /half /huge-header /invalid /grpc    see odd-behaviours.ts, also for what the query may say
 *   others                                                         200 with what was received, as JSON: a SeenRequest
 *   an upgrade to websocket, on any path                           an echo of every message
 *
 * While the mode file names one of these, every request gets it, whatever its path; `reset` then already meets the connection. Each
 * request is printed as a line of JSON too, before it is answered; so is one that is refused since it is not valid HTTP.
 */
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import * as http2 from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { OddServerPlan, SeenRequest } from './odd.js';
import { BEHAVIOURS, isBehaviour } from './odd-behaviours.js';
import { acceptOf, encodeFrame, type Frame, FrameReader, OPCODE } from './websocket.js';

/** A request of HTTP/1.1 or 2; that of 2 is nearly the same. */
type Received = IncomingMessage & { readonly stream?: http2.ServerHttp2Stream };

/** Of a body, and of what comes on a connection between two requests, the first bytes are kept. */
const KEPT_BYTES_MAX = 256 * 1024;

const plan: OddServerPlan = JSON.parse(process.argv[2]!);
/** By socket, or session of HTTP/2: in the order of their first requests. */
const connectionNumbers = new WeakMap<object, number>();
let connections = 0;
/** What came over a connection since its last request was whole; only without TLS and HTTP/2. */
const arrived = new WeakMap<object, string>();

const server = makeServer();
server.on('connection', (socket: Socket) => {
  socket.on('error', () => {}); // the other side's end of it is what a test looks at
  if (mode() === 'reset') socket.resetAndDestroy();
  else if (plan.protocol === 'http1') keepArrived(socket);
});
server.on('tlsClientError', ({ message }: Error) => print({ event: 'tls refused', reason: message }));
server.on('request', (request: Received, response: ServerResponse) => void serve(request, response));
server.on('upgrade', serveWebSocket);
server.on('clientError', ({ message }: Error, socket: Socket) => {
  print({ event: 'refused', reason: message, raw: arrived.get(socket) ?? '' });
  if (socket.writable)
    socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
});
server.listen(plan.port, plan.address, () => print({ event: 'listening', ...(server.address() as object) }));

function makeServer(): Server {
  const { protocol, certificate, clientCa, lenient = false } = plan;
  if (protocol === 'http1') return createServer({ insecureHTTPParser: lenient, keepAliveTimeout: 60_000 });
  if (protocol === 'h2c') return http2.createServer() as unknown as Server;
  const pem = readFileSync(certificate!);
  const clients =
    clientCa === undefined ? {} : { ca: readFileSync(clientCa), requestCert: true, rejectUnauthorized: true };
  return http2.createSecureServer({ allowHTTP1: true, key: pem, cert: pem, ...clients }) as unknown as Server;
}

async function serve(request: Received, response: ServerResponse): Promise<void> {
  response.on('error', () => {});
  const seen = await see(request);
  if (seen === undefined) return;
  print({ event: 'request', ...seen });
  const url = new URL(seen.path, 'http://server');
  const name = mode() ?? url.pathname.split('/')[1]!;
  response.setHeader('x-backend', plan.name);
  if (isBehaviour(name)) {
    BEHAVIOURS[name](response, url.searchParams);
    return;
  }
  const body = JSON.stringify(seen);
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

/** Reads a request to its end; undefined when it has none. */
async function see(request: Received): Promise<SeenRequest | undefined> {
  const parts: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const part of request) {
      bytes += part.length;
      if (bytes <= KEPT_BYTES_MAX) parts.push(part);
    }
  } catch {
    return undefined; // the client gave up
  }
  return { ...seenHead(request), body: Buffer.concat(parts).toString('latin1'), bodyBytes: bytes };
}

function seenHead(request: Received): Omit<SeenRequest, 'body' | 'bodyBytes'> {
  const { rawHeaders, method = '', url = '', httpVersion } = request;
  const connection = request.stream?.session ?? request.socket;
  const headers: [string, string][] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) headers.push([rawHeaders[i]!, rawHeaders[i + 1]!]);
  const raw = arrived.get(connection);
  if (raw !== undefined) arrived.set(connection, '');
  return {
    server: plan.name,
    connection: numberOf(connection),
    from: { address: request.socket.remoteAddress ?? '', port: request.socket.remotePort ?? 0 },
    method,
    path: url,
    httpVersion,
    headers,
    ...(raw === undefined ? {} : { raw }),
    ...(plan.protocol === 'tls' ? { tls: seenTls(request.socket as TLSSocket) } : {}),
  };
}

function numberOf(connection: object): number {
  const known = connectionNumbers.get(connection);
  if (known !== undefined) return known;
  connections += 1;
  connectionNumbers.set(connection, connections);
  return connections;
}

function seenTls(socket: TLSSocket): NonNullable<SeenRequest['tls']> {
  const { servername } = socket as TLSSocket & { servername?: string | false };
  return {
    serverName: servername || null,
    alpn: socket.alpnProtocol || null,
    version: socket.getProtocol(),
    client: socket.getPeerX509Certificate()?.subject ?? null,
  };
}

/** Node's parser has the socket by now; a listener for data makes it share what comes. */
function keepArrived(socket: Socket): void {
  arrived.set(socket, '');
  socket.on('data', () => {});
  // Before the parser, which tells of a request at once.
  socket.prependListener('data', (bytes: Buffer) => {
    const before = arrived.get(socket) ?? '';
    arrived.set(socket, `${before}${bytes.toString('latin1')}`.slice(0, KEPT_BYTES_MAX));
  });
}

function serveWebSocket(request: IncomingMessage, socket: Socket, head: Buffer): void {
  const key = request.headers['sec-websocket-key'];
  const seen = { ...seenHead(request), body: '', bodyBytes: 0 };
  print({ event: 'request', ...seen });
  if (request.headers.upgrade?.toLowerCase() !== 'websocket' || key === undefined) {
    socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
    return;
  }
  socket.on('error', () => {});
  const answer = ['HTTP/1.1 101 Switching Protocols', 'upgrade: websocket', 'connection: Upgrade'];
  const own = [`sec-websocket-accept: ${acceptOf(key)}`, `x-backend: ${plan.name}`];
  socket.write(`${[...answer, ...own].join('\r\n')}\r\n\r\n`);
  const reader = new FrameReader();
  const take = (bytes: Buffer): void => {
    for (const { opcode, payload } of framesIn(reader, bytes, socket)) {
      if (opcode === OPCODE.pong) continue;
      const answered = opcode === OPCODE.ping ? OPCODE.pong : opcode;
      socket.write(encodeFrame({ opcode: answered, payload }, false));
      if (opcode === OPCODE.close) socket.end();
    }
  };
  socket.on('data', take);
  take(head);
}

/** Ends the connection, and tells why, when they are no frames. */
function framesIn(reader: FrameReader, bytes: Buffer, socket: Socket): Frame[] {
  try {
    return reader.read(bytes);
  } catch (error) {
    print({ event: 'refused', reason: (error as Error).message, raw: bytes.toString('latin1') });
    socket.destroy();
    return [];
  }
}

/** What the mode file asks for, if it is there. */
function mode(): string | undefined {
  if (plan.modeFile === undefined) return undefined;
  try {
    return readFileSync(plan.modeFile, 'utf8').trim() || undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function print(event: object): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}
