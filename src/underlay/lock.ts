/**
 * One forwarder and one agent an interface: a lock that the kernel gives back when its holder dies, however that happens.
 * It is a listening socket with an abstract name, which belongs to the network namespace like the interface itself, so it
 * also holds between containers that share one and see no processes of each other; and it leaves no file behind.
 */
import { createServer, type Server } from 'node:net';
import { AnyhopError } from '../core/errors.js';
import { reasonOf } from '../core/reason.js';

/** The command that holds a lock. */
export type LockHolder = 'run' | 'agent';

export interface InterfaceLock {
  release(): Promise<void>;
}

/** @throws AnyhopError ERR_INTERFACE when another process of that command has the interface */
export function lockInterface(holder: LockHolder, link: string): Promise<InterfaceLock> {
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => reject(cannotLock(holder, link, cause)));
    server.listen(`\0anyhop/${holder}/${link}`, () => resolve({ release: () => close(server) }));
    server.unref();
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

function cannotLock(holder: LockHolder, link: string, cause: NodeJS.ErrnoException): AnyhopError {
  if (cause.code !== 'EADDRINUSE') {
    return new AnyhopError('ERR_INTERFACE', `interface ${link} cannot be locked: ${reasonOf(cause)}`, {
      cause,
    });
  }
  return new AnyhopError('ERR_INTERFACE', `another "anyhop ${holder}" runs on interface ${link}`, {
    hint: `Stop it first. It runs in this network namespace, maybe in a container that shares it: pgrep -af "anyhop ${holder}"`,
  });
}
