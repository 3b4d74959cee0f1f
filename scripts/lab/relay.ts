/**
 * A way from this machine's loopback into a namespace of the lab: a browser outside sees what a program inside serves.
 *
 *   browser --TCP--> 127.0.0.1, here --Unix socket--> relay-program.js, in the namespace --TCP or TLS--> its server
 */

import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Resources } from './resources.js';

const PROGRAM = fileURLToPath(new URL('./relay-program.js', import.meta.url));
const READY_TIMEOUT_MS = 30_000;
let relays = 0;

export interface RelayTarget {
  readonly namespace: string;
  readonly host: string;
  readonly port: number;
  /** When it wants a certificate: the client's with its key, who signed the server's, and whom that is for. */
  readonly tls?: { readonly certificate: string; readonly authority: string; readonly name: string };
}

export interface Relay {
  /** On 127.0.0.1. */
  readonly port: number;
  close(): void;
}

/** @param port wanted; another one when it is taken */
export async function startRelay(resources: Resources, target: RelayTarget, port = 0): Promise<Relay> {
  const { namespace, host, tls } = target;
  relays += 1;
  const path = join(resources.directory, `relay-${relays}.sock`);
  const secure = tls === undefined ? [] : [tls.certificate, tls.authority, tls.name];
  const argv = [process.execPath, PROGRAM, path, host, String(target.port), ...secure];
  const started = await resources.startProcess('relay', namespace, argv);
  await started.waitForLine((line) => line === 'listening', 'listening', READY_TIMEOUT_MS);
  const server = createServer((socket) => {
    const inside = connect(path);
    socket.on('error', () => inside.destroy()).on('close', () => inside.destroy());
    inside.on('error', () => socket.destroy()).on('close', () => socket.destroy());
    socket.pipe(inside).pipe(socket);
  });
  const listen = (wanted: number): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(wanted, '127.0.0.1', resolve);
    });
  await listen(port).catch(() => listen(0));
  server.unref();
  return { port: (server.address() as AddressInfo).port, close: () => void server.close() };
}
