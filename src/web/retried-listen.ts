/** A server that listens as soon as it can: an address that is not there yet, or a port that is taken, is tried again. */
import type { Server } from 'node:http';
import { reasonOf } from '../core/reason.js';

const RETRY_MS = 2_000;

export interface ListenWords {
  available(server: Server): void;
  /** Once, until it is available. */
  unavailable(why: string): void;
}

export class RetriedListen {
  readonly #place: { readonly host: string; readonly port: number };
  readonly #make: () => Server;
  readonly #words: ListenWords;
  #server!: Server;
  #retry: NodeJS.Timeout | undefined;
  #isUnavailable = false;

  /** @param make a server that does not listen yet */
  constructor(
    place: { readonly host: string; readonly port: number },
    make: () => Server,
    words: ListenWords,
  ) {
    this.#place = place;
    this.#make = make;
    this.#words = words;
    this.#start();
  }

  /** The one that listens, or is about to. */
  get server(): Server {
    return this.#server;
  }

  /** Ends all connections. */
  async close(): Promise<void> {
    clearTimeout(this.#retry);
    const server = this.#server;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  }

  #start(): void {
    const server = this.#make();
    this.#server = server;
    server.on('error', (error) => {
      if (!this.#isUnavailable) this.#words.unavailable(reasonOf(error));
      this.#isUnavailable = true;
      server.close();
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => this.#start(), RETRY_MS).unref();
    });
    server.listen(this.#place, () => {
      this.#isUnavailable = false;
      this.#words.available(server);
    });
    server.unref();
  }
}
