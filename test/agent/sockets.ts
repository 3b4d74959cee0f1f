/** Real sockets on loopback, which stands for the VIPs: a test run looks sockets up in the namespace that it runs in. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export const LOOPBACK = { 4: '127.0.0.5', 6: '::1' } as const;
export const FAMILIES = [4, 6] as const;
export type Family = (typeof FAMILIES)[number];

/** Where the connections to it come from. */
export function client(family: Family): string {
  return family === 4 ? '127.0.0.1' : '::1';
}

/** A server of either family on one port, and a client of each. */
export class Sockets {
  readonly #servers: Server[] = [];
  readonly #clients: Socket[] = [];
  port = 0;

  async listen(): Promise<void> {
    for (const family of FAMILIES) {
      const server = createServer((socket) => {
        // "close" makes this end the first to close, so the one that keeps TIME-WAIT.
        socket.on('data', () => socket.end()).on('error', () => {});
      });
      server.listen(this.port, LOOPBACK[family]);
      await once(server, 'listening');
      this.#servers.push(server);
      this.port = (server.address() as AddressInfo).port;
    }
  }

  /** A connection from the family's loopback address. @returns the client's end */
  async connect(family: Family): Promise<Socket> {
    const localAddress = client(family);
    const socket = connect({ host: LOOPBACK[family], port: this.port, localAddress });
    this.#clients.push(socket);
    await once(socket, 'connect');
    return socket;
  }

  close(): void {
    for (const socket of this.#clients) socket.destroy();
    for (const server of this.#servers) server.close();
  }
}
