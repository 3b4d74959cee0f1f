/**
 * Kind `udp`: a datagram, and an answer that holds what is expected. Each check has a socket of its own, connected: its
 * port tells a late answer to an earlier check apart, and the kernel passes on that a port is unreachable.
 */
import { createSocket, type Socket } from 'node:dgram';
import { quote } from '../config/path.js';
import type { UdpCheck } from '../config/types.js';
import type { IpAddress } from '../packet/address.js';
import { type Done, fail, ignore, type Probe } from './probe.js';

export class UdpProbe implements Probe {
  readonly #address: IpAddress;
  readonly #check: UdpCheck;
  readonly #payload: Buffer;
  readonly #answer: Buffer | undefined;
  readonly #done: Done;
  #socket: Socket | undefined;

  constructor(address: IpAddress, check: UdpCheck, done: Done) {
    this.#address = address;
    this.#check = check;
    this.#payload = Buffer.from(check.payload, 'latin1');
    this.#answer = check.answer === undefined ? undefined : Buffer.from(check.answer, 'latin1');
    this.#done = done;
  }

  start(): void {
    const socket = createSocket(this.#address.family === 4 ? 'udp4' : 'udp6');
    this.#socket = socket;
    socket.on('connect', this.#onConnect).on('message', this.#onMessage).on('error', this.#onError);
    socket.connect(this.#check.port, this.#address.text);
  }

  cancel(): string {
    this.#end();
    return 'no answer';
  }

  readonly #onConnect = (): void => {
    this.#socket!.send(this.#payload);
  };

  readonly #onMessage = (message: Buffer): void => {
    this.#end();
    const isGood = this.#answer === undefined || message.includes(this.#answer);
    this.#done(isGood ? undefined : `the answer does not hold ${quote(this.#check.answer!)}`);
  };

  readonly #onError = (error: NodeJS.ErrnoException): void => {
    this.#end();
    if (error.code !== 'ECONNREFUSED') fail(this.#done, error);
    else this.#done(`${this.#address.text} says that port ${this.#check.port} is unreachable`);
  };

  #end(): void {
    const socket = this.#socket!;
    this.#socket = undefined;
    socket
      .off('connect', this.#onConnect)
      .off('message', this.#onMessage)
      .off('error', this.#onError)
      .on('error', ignore)
      .close();
  }
}
