/**
 * Kind `tunnel`: a SYN to every VIP of the pool through the backend's tunnel. The check is good when all are answered by a
 * SYN-ACK: then the tunnel, the VIP on the backend, its listener and the direct way back are all there.
 */
import type { TunnelCheck } from '../config/types.js';
import type { IpAddress } from '../packet/address.js';
import type { Endpoint } from '../packet/compose.js';
import { P } from '../packet/constants.js';
import type { TcpSegment } from '../packet/tcp.js';
import type { Done, Probe } from './probe.js';
import type { Tunnel } from './tunnel.js';

interface Try {
  readonly vip: Endpoint;
  readonly client: IpAddress;
  /** Of the last SYN; the sequence number is -1 before the first. */
  port: number;
  sequence: number;
  isMissing: boolean;
}

export class TunnelProbe implements Probe {
  readonly #tunnel: Tunnel;
  readonly #backend: IpAddress;
  readonly #tries: readonly Try[];
  readonly #done: Done;
  #isRunning = false;

  /** @throws AnyhopError when this host cannot make such checks */
  constructor(tunnel: Tunnel, backend: IpAddress, { endpoints }: TunnelCheck, done: Done) {
    this.#tunnel = tunnel;
    this.#backend = backend;
    this.#done = done;
    this.#tries = endpoints.map(({ vip, port }) => ({
      vip: { address: vip, port },
      client: tunnel.prepare(backend, vip),
      port: 0,
      sequence: -1,
      isMissing: false,
    }));
  }

  start(): void {
    this.#forget(); // until now, late answers were reset as well
    this.#isRunning = true;
    const port = this.#tunnel.nextPort();
    for (const each of this.#tries) {
      const source = { address: each.client, port };
      each.isMissing = true;
      const sent = this.#tunnel.connect(this.#backend, source, each.vip, (segment) =>
        this.#take(each, source, segment),
      );
      if (typeof sent === 'string') {
        this.#finish(`cannot be sent to: ${sent}`);
        return;
      }
      each.port = port;
      each.sequence = sent;
    }
  }

  cancel(): string {
    this.#isRunning = false;
    const missing = this.#tries.filter(({ isMissing }) => isMissing).map(({ vip }) => vip);
    const why = missing.flatMap(({ address }) => this.#tunnel.deafness(address) ?? [])[0];
    const text = `no answer from ${missing.map(textOf).join(' and ')} through the tunnel`;
    return why === undefined ? text : `${text}: ${why}`;
  }

  close(): void {
    this.#forget();
  }

  #take(each: Try, source: Endpoint, segment: TcpSegment): void {
    const isOpen = (segment.flags & P.TCP_SYN) !== 0;
    if (isOpen) this.#tunnel.reset(this.#backend, source, each.vip, segment);
    if (!this.#isRunning) return;
    each.isMissing = false;
    if (!isOpen) this.#finish(`${textOf(each.vip)} refuses connections`);
    else if (this.#tries.every(({ isMissing }) => !isMissing)) this.#finish(undefined);
  }

  #finish(failure: string | undefined): void {
    this.#isRunning = false;
    this.#done(failure);
  }

  #forget(): void {
    for (const { port, sequence } of this.#tries) if (sequence >= 0) this.#tunnel.forget(port, sequence);
  }
}

function textOf({ address, port }: Endpoint): string {
  return address.family === 4 ? `${address.text}:${port}` : `[${address.text}]:${port}`;
}
