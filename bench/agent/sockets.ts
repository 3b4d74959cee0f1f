/** Real connections on loopback, for the agent's program to find. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { AgentFlow } from './harness.js';

export class Connections {
  readonly port: number;
  /** One of each. */
  readonly flows: readonly AgentFlow[];
  readonly #server: Server;
  readonly #clients: readonly Socket[];

  private constructor(server: Server, clients: readonly Socket[], client: Uint8Array) {
    this.#server = server;
    this.#clients = clients;
    this.port = (server.address() as AddressInfo).port;
    this.flows = clients.map((socket) => ({ client, port: socket.localPort! }));
  }

  /** @param vip a loopback address @param client the last four bytes of the other one */
  static async open(
    vip: string,
    clientText: string,
    client: Uint8Array,
    count: number,
  ): Promise<Connections> {
    const server = createServer().listen(0, vip);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const clients: Socket[] = [];
    for (let i = 0; i < count; i++) {
      const socket = connect({ host: vip, port, localAddress: clientText });
      await once(socket, 'connect');
      clients.push(socket);
    }
    return new Connections(server, clients, client);
  }

  close(): void {
    for (const socket of this.#clients) socket.destroy();
    this.#server.close();
  }
}
