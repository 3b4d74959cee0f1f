/** A connection as the tests' clients make it: TCP, or TLS with the tests' authority, to an address of their choice. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';

export interface Endpoint {
  readonly address: string;
  readonly port: number;
  /** No TLS when not given. */
  readonly tls?: {
    /** File of the authority that is trusted. */
    readonly ca: string;
    /** The name that is sent (SNI) and that the certificate must have. */
    readonly serverName: string;
    /** What is offered; `http/1.1` when not given. */
    readonly alpn?: readonly string[];
    /** File of certificate and key. */
    readonly clientCertificate?: string;
  };
}

/** Resolves when it is there, after TLS's handshake if there is one. Rejects when it cannot be made in time. */
export async function open({ address, port, tls }: Endpoint, timeoutMs: number): Promise<Socket | TLSSocket> {
  const signal = AbortSignal.timeout(timeoutMs);
  if (tls === undefined) {
    const socket = connectTcp(port, address);
    await opened(socket, 'connect', signal);
    return socket.setNoDelay(true);
  }
  const pem = tls.clientCertificate === undefined ? undefined : readFileSync(tls.clientCertificate);
  const socket = connectTls({
    host: address,
    port,
    servername: tls.serverName,
    ca: readFileSync(tls.ca),
    ALPNProtocols: [...(tls.alpn ?? ['http/1.1'])],
    ...(pem === undefined ? {} : { cert: pem, key: pem }),
  });
  await opened(socket, 'secureConnect', signal);
  return socket.setNoDelay(true);
}

async function opened(socket: Socket, event: string, signal: AbortSignal): Promise<void> {
  try {
    await once(socket, event, { signal });
  } catch (error) {
    socket.destroy();
    throw error;
  }
}
