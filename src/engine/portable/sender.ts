/**
 * The sending half of the portable engine: raw sockets at layer 3, one for each family of outer headers and one for each
 * family of the node's own answers. Those leave by the routes to clients, and come from VIPs.
 *
 * A raw socket fills in an IPv4 identification of 0 when DF is off: an echo reply may leave with another one.
 */
import { L } from '../../core/layout.gen.js';
import type { Logger } from '../../core/log.js';
import type { Pipeline } from '../../forward/pipeline.js';
import { imageBackends, imageVips } from '../../image/inspect.js';
import type { Image } from '../../image/read.js';
import { addressFromBytes } from '../../packet/address.js';
import { P } from '../../packet/constants.js';
import type { RawSender } from '../../underlay/raw-socket.js';
import type { Libraries } from './libraries.js';

/** The last refusal of the kernel is logged, at most this often. */
const SEND_FAILURE_LOG_MS = 10_000;

export class Sender {
  sent = 0;
  failed = 0;
  readonly #openSender: Libraries['openSender'];
  /** Where frames lie. */
  readonly #memory: Buffer;
  readonly #log: Logger;
  #outer4: RawSender | undefined;
  #outer6: RawSender | undefined;
  #answers4: RawSender | undefined;
  #answers6: RawSender | undefined;
  /** By the image's numbers: where to send, as text, and over which socket. */
  #addresses: readonly string[] = [];
  #isOuter6: readonly boolean[] = [];
  #lastFailure = '';
  #lastFailureLogMs = 0;

  constructor(openSender: Libraries['openSender'], memory: Buffer, log: Logger) {
    this.#openSender = openSender;
    this.#memory = memory;
    this.#log = log;
  }

  /** What sending needs to know of an image. A kernel without IPv6 is asked for an IPv6 socket only when one is needed. */
  prepare(image: Image): void {
    const backends = imageBackends(image);
    this.#addresses = backends.map(({ address }) => address.text);
    this.#isOuter6 = backends.map(({ flags }) => (flags & L.PATH_OUTER_IPV6) !== 0);
    const outer4 = backends.find(({ address }) => address.family === 4);
    const outer6 = backends.find(({ address }) => address.family === 6);
    if (outer4 !== undefined) this.#outer4 ??= this.#openSender(4, outer4.source);
    if (outer6 !== undefined) this.#outer6 ??= this.#openSender(6, outer6.source);
    const families = new Set(imageVips(image).map(({ family }) => family));
    if (families.has(4)) this.#answers4 ??= this.#openSender(4);
    if (families.has(6)) this.#answers6 ??= this.#openSender(6);
  }

  /** What the pipeline has just wrapped, to its backend. */
  forward(pipeline: Pipeline): void {
    const { backend } = pipeline;
    this.#send(pipeline, this.#isOuter6[backend] ? this.#outer6! : this.#outer4!, this.#addresses[backend]);
  }

  /** What the pipeline has just answered, to the client whose address stands in the answer itself. Rare: it may allocate. */
  answer(pipeline: Pipeline): void {
    const ip = pipeline.outStart + pipeline.outL2;
    const isIpv4 = pipeline.family === 4;
    const end = ip + (isIpv4 ? P.IPV4_HEADER : P.IPV6_HEADER);
    const client = addressFromBytes(this.#memory.subarray(end - (isIpv4 ? 4 : 16), end));
    this.#send(pipeline, isIpv4 ? this.#answers4! : this.#answers6!, client.text);
  }

  /** To be called now and then: logs the last failure. */
  look(nowMs: number): void {
    if (this.#lastFailure === '' || nowMs - this.#lastFailureLogMs <= SEND_FAILURE_LOG_MS) return;
    this.#lastFailureLogMs = nowMs;
    this.#log.warn({ event: 'send_failed', total: this.failed, last: this.#lastFailure }, 'sending failed');
    this.#lastFailure = '';
  }

  close(): void {
    for (const socket of [this.#outer4, this.#outer6, this.#answers4, this.#answers6]) socket?.close();
  }

  #send({ outStart, outLength, outL2 }: Pipeline, socket: RawSender, address: string): void {
    const failure = socket.send(this.#memory, outStart + outL2, outLength - outL2, address);
    if (failure === undefined) this.sent++;
    else {
      this.failed++;
      this.#lastFailure = `${address}: ${failure}`;
    }
  }
}
