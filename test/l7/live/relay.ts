/**
 * Connections from the test's process into a namespace. A relay runs there and listens on a socket of the file system, which no
 * namespace hides; the first line says where to connect to, and from where.
 *
 *   const relay = await startRelay(resources, namespace);
 *   const socket = await relay.connect({ address: VIP4, port: 443, from: '192.0.2.7' });
 */
import { once } from 'node:events';
import { connect as connectTo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type CallContext, callable, startCall } from '../../../scripts/lab/l7/call.js';
import type { Resources } from '../../../scripts/lab/resources.js';

export interface Target {
  readonly address: string;
  readonly port: number;
  /** The client's own address, one of the namespace. */
  readonly from?: string;
}

export interface Relay {
  /** Resolves at once: a connection that cannot be made ends the socket. */
  connect(target: Target): Promise<Socket>;
}

const READY_TIMEOUT_MS = 15_000;
const RELAY = callable(import.meta.url, 'relay', relay);
let relays = 0;

/** Ends with the resources. */
export async function startRelay(resources: Resources, namespace: string): Promise<Relay> {
  relays += 1;
  const path = join(resources.directory, `relay-${relays}`);
  const { process } = await startCall(resources, namespace, RELAY, { path });
  await process.waitForEvent('listening', READY_TIMEOUT_MS);
  return {
    async connect(target) {
      const socket = connectTo({ path, allowHalfOpen: true });
      await once(socket, 'connect');
      socket.write(`${JSON.stringify(target)}\n`);
      return socket;
    },
  };
}

/** The program in the namespace. */
export async function relay({ path }: { path: string }, { stop, print }: CallContext): Promise<void> {
  const server = createServer({ allowHalfOpen: true }, accept);
  server.listen(path, () => print({ event: 'listening' }));
  await once(stop, 'abort');
}

function accept(near: Socket): void {
  near.on('error', () => {});
  let head: Buffer = Buffer.alloc(0);
  near.on('data', function read(part: Buffer) {
    head = Buffer.concat([head, part]);
    const end = head.indexOf('\n');
    if (end < 0) return;
    near.off('data', read).pause();
    const { from, ...target }: Target = JSON.parse(head.toString('utf8', 0, end));
    bridge(near, target, from, head.subarray(end + 1));
  });
}

function bridge(near: Socket, { address, port }: Target, from: string | undefined, first: Buffer): void {
  const far = connectTo({ host: address, port, allowHalfOpen: true, ...(from && { localAddress: from }) });
  far.setNoDelay(true);
  if (first.length > 0) far.write(first);
  near.pipe(far);
  far.pipe(near);
  far.on('error', () => near.destroy());
  near.on('close', () => far.destroy());
}
