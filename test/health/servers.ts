/** Servers that answer well, late, half, wrongly or not at all, on loopback; and certificates for them. */
import { execFileSync } from 'node:child_process';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';

export interface TestServer {
  readonly port: number;
  close(): void;
}

/** @param serve is called with each connection; what it does not end is ended on close */
export async function tcpServer(serve: (socket: Socket) => void): Promise<TestServer> {
  return listen(createServer(), 'connection', serve);
}

export async function tlsServer(options: TlsOptions, serve: (socket: Socket) => void): Promise<TestServer> {
  return listen(createTlsServer(options), 'secureConnection', serve);
}

async function listen(server: Server, event: string, serve: (socket: Socket) => void): Promise<TestServer> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => {});
  });
  server.on(event, (socket: Socket) => {
    socket.on('error', () => {}); // the check hangs up when it knows enough
    serve(socket);
  });
  server.on('tlsClientError', () => {});
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Serves `answer` to every request, once its head is there. */
export function answering(answer: string, then: (socket: Socket) => void = (socket) => socket.end()) {
  return (socket: Socket): void => {
    socket.once('data', () => socket.write(answer, () => then(socket)));
  };
}

export async function udpServer(answer: (message: Buffer) => Buffer | undefined): Promise<TestServer> {
  const socket: UdpSocket = createSocket('udp4');
  socket.on('message', (message, { port, address }) => {
    const reply = answer(message);
    if (reply !== undefined) socket.send(reply, port, address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { port: socket.address().port, close: () => socket.close() };
}

/** A port that nobody listens on any more. */
export async function closedPort(): Promise<number> {
  const server = await tcpServer(() => {});
  server.close();
  return server.port;
}

export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

/** A self-signed certificate, its own authority. @param names as openssl writes them: `DNS:www.example.com,IP:127.0.0.1` */
export function makeCertificate(names: string, days = 2): Certificate {
  const directory = mkdtempSync(join(tmpdir(), 'anyhop-certificate-'));
  try {
    const [key, request, cert] = ['key', 'request', 'cert'].map((name) => join(directory, `${name}.pem`));
    const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key];
    const subject = ['-subj', '/CN=anyhop test', '-addext', `subjectAltName=${names}`];
    openssl('req', ...kind, ...subject, '-out', request);
    // Not in one step: "req" refuses a certificate that is over already.
    const extensions = ['-copy_extensions', 'copy', '-days', String(days)];
    openssl('x509', '-req', '-in', request, '-signkey', key, ...extensions, '-out', cert);
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
