/** Round trips over UDP, timed without an event loop in the way (native/dev/round-trip.c). */
import { devLibrary } from './object.js';

const LOST = 0xffffffff;

/** Sends every datagram back, from a thread of its own. Made in the network namespace that this thread is in. */
export class EchoServer {
  readonly #echo: number;

  constructor(address: string, port: number) {
    this.#echo = devLibrary.call('ERR_NATIVE', 'anyhop_dev_echo_start', address, port);
  }

  stop(): void {
    devLibrary.attempt('anyhop_dev_echo_stop', this.#echo);
  }
}

export interface RoundTrips {
  /** Of those that came back, in microseconds. */
  readonly us: readonly number[];
  readonly lost: number;
}

/** Asks an echo server `count` times, every `gapUs` microseconds. This thread waits meanwhile. */
export function roundTrips(address: string, port: number, count: number, gapUs: number): RoundTrips {
  const out = Buffer.alloc(count * 4);
  const lost = devLibrary.call('ERR_NATIVE', 'anyhop_dev_round_trips', address, port, count, gapUs, out);
  const times = Array.from({ length: count }, (_, i) => out.readUInt32LE(i * 4)).filter((ns) => ns !== LOST);
  return { us: times.map((ns) => ns / 1000), lost };
}
