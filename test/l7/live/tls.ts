/** TLS over a connection through a relay. */
import { readFileSync } from 'node:fs';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import type { Relay, Target } from './relay.js';

export interface TlsClient extends Target {
  /** File of the authority that is trusted. */
  readonly ca: string;
  /** The name that is sent and that the certificate must have. */
  readonly serverName: string;
  readonly alpn?: readonly string[];
  readonly options?: ConnectionOptions;
}

/** Resolves after the handshake. Rejects when there is none. */
export async function connectTls(
  relay: Relay,
  { ca, serverName, alpn = ['http/1.1'], options = {}, ...target }: TlsClient,
): Promise<TLSSocket> {
  const socket = connect({
    socket: await relay.connect(target),
    servername: serverName,
    ca: readFileSync(ca),
    ALPNProtocols: [...alpn],
    ...options,
  });
  return new Promise((resolve, reject) => {
    socket.once('secureConnect', () => resolve(socket));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed within the handshake')));
  });
}
