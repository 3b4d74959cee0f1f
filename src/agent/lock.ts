/**
 * One agent an interface: a second one would replace the first one's program and look healthy, and its stop would
 * leave the backend without. The lock is a name in the abstract socket space, which belongs to the network namespace
 * as the interface does, leaves no file behind, and ends with the process however that ends.
 */
import { createServer, type Server } from 'node:net';
import { AnyhopError } from '../core/errors.js';

export class InterfaceLock {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** @throws AnyhopError ERR_INTERFACE when another agent of this network namespace holds it */
  static async take(networkInterface: string): Promise<InterfaceLock> {
    const server = createServer((socket) => socket.destroy());
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(`\0anyhop-agent-${networkInterface}`, resolve);
      });
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cause;
      throw new AnyhopError('ERR_INTERFACE', `another anyhop agent runs on ${networkInterface}`, {
        hint: 'stop it first: two agents would take the interface from each other',
        cause,
      });
    }
    server.unref();
    return new InterfaceLock(server);
  }

  release(): void {
    this.#server.close();
  }
}
