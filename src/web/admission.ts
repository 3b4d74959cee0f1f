/**
 * Who may hold connections to a server that strangers can reach: each address has a share of them, and strangers have their own, so that
 * any number of them ends no connection of somebody who is known.
 *
 *   connected --> stranger --shows a certificate, or asks as it should--> known
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { Shares } from '../core/shares.js';

export interface AdmissionLimits {
  /** Of strangers together, and of those who are known together. */
  readonly connectionsMax: number;
  /** Of one address, each. */
  readonly connectionsPerPeerMax: number;
}

export class Admission {
  readonly #strangers: Shares<Socket>;
  readonly #known: Shares<Socket>;
  /** Open connections, by address and port of the other end: a TLS socket is another object than the one below it. */
  readonly #sockets = new Map<string, Socket>();

  constructor({ connectionsMax, connectionsPerPeerMax }: AdmissionLimits) {
    this.#strangers = new Shares<Socket>(connectionsMax, connectionsPerPeerMax);
    this.#known = new Shares<Socket>(connectionsMax, connectionsPerPeerMax);
  }

  /** Before any other listener of the server sees a connection. */
  guard(server: Pick<Server, 'prependListener'>): void {
    server.prependListener('connection', (socket: Socket) => this.#admit(socket));
  }

  /** It is no stranger. @param socket of TLS, or below it */
  know(socket: Socket): void {
    const { remoteAddress = '' } = socket;
    const below = this.#sockets.get(peerOf(socket));
    if (below === undefined) return;
    this.#strangers.leave(remoteAddress, below);
    this.#known.enter(remoteAddress, below)?.destroy();
  }

  #admit(socket: Socket): void {
    const { remoteAddress = '' } = socket;
    const peer = peerOf(socket);
    this.#sockets.set(peer, socket);
    this.#strangers.enter(remoteAddress, socket)?.destroy();
    socket.once('close', () => {
      this.#sockets.delete(peer);
      this.#strangers.leave(remoteAddress, socket);
      this.#known.leave(remoteAddress, socket);
    });
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
