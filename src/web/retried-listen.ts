/** A server that listens as soon as it can: an address that is not there yet, or a port that is taken, is tried again. */
import type { Server, Socket } from 'node:net';
import { reasonOf } from '../core/reason.js';

const RETRY_MS = 2_000;

export interface ListenPlace {
  readonly host: string;
  readonly port: number;
  /** `::` without IPv4. */
  readonly ipv6Only?: boolean;
}

export interface ListenWords<S> {
  /** @param isAgain it could not listen before */
  available(server: S, isAgain: boolean): void;
  /** Once, until it is available. */
  unavailable(why: string): void;
}

export class RetriedListen<S extends Server> {
  readonly #place: ListenPlace;
  readonly #make: () => S;
  readonly #words: ListenWords<S>;
  /** Also those whose TLS handshake is not over, of which a server for HTTP does not know. */
  readonly #sockets = new Set<Socket>();
  #server: S;
  #retry: NodeJS.Timeout | undefined;
  #isUnavailable = false;

  /** @param make a server that does not listen yet */
  constructor(place: ListenPlace, make: () => S, words: ListenWords<S>) {
    this.#place = place;
    this.#make = make;
    this.#words = words;
    this.#server = this.#start();
  }

  /** The one that listens, or is about to. */
  get server(): S {
    return this.#server;
  }

  /** Ends all connections. */
  async close(): Promise<void> {
    clearTimeout(this.#retry);
    const server = this.#server;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const socket of this.#sockets) socket.destroy();
    });
  }

  #start(): S {
    const server = this.#make();
    server.on('error', (error) => {
      if (!this.#isUnavailable) this.#words.unavailable(reasonOf(error));
      this.#isUnavailable = true;
      server.close();
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => {
        this.#server = this.#start();
      }, RETRY_MS).unref();
    });
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    server.listen(this.#place, () => {
      this.#words.available(server, this.#isUnavailable);
      this.#isUnavailable = false;
    });
    server.unref();
    return server;
  }
}
