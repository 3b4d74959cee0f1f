/**
 * Kind `tcp`: a connection is made, and reset at once: a reset leaves nothing waiting in either kernel, where an ordinary
 * close would leave 60,000 sockets in TIME_WAIT at 1000 checks a second.
 */
import { Socket } from 'node:net';
import { type Done, fail, ignore, type Probe } from './probe.js';

export class TcpProbe implements Probe {
  readonly #to: { readonly host: string; readonly port: number };
  readonly #done: Done;
  #socket: Socket | undefined;

  constructor(address: string, port: number, done: Done) {
    this.#to = { host: address, port };
    this.#done = done;
  }

  start(): void {
    const socket = new Socket();
    this.#socket = socket;
    socket.on('connect', this.#onConnect).on('error', this.#onError);
    socket.connect(this.#to);
  }

  cancel(): string {
    this.#end();
    return 'no connection';
  }

  readonly #onConnect = (): void => {
    this.#end();
    this.#done(undefined);
  };

  readonly #onError = (error: Error): void => {
    this.#end();
    fail(this.#done, error);
  };

  #end(): void {
    const socket = this.#socket!;
    this.#socket = undefined;
    socket.off('connect', this.#onConnect).off('error', this.#onError).on('error', ignore);
    if (socket.connecting) socket.destroy();
    else socket.resetAndDestroy();
  }
}
