/**
 * The portable engine: npm `cap` (libpcap) receives, the TypeScript pipeline decides, npm `raw-socket` sends. For any
 * Linux, for containers, for trying it out; tens of thousands of packets a second.
 *
 *   interface -> libpcap's ring -> memory after HEADROOM -> pipeline -> raw socket at layer 3 -> the kernel's routes
 *        \-> the host's own stack, less what is for a VIP (host.ts)
 *
 * What to beware of, in the two libraries:
 *  - `cap` hands over packets in a loop of its own for as long as there are any, so that under overload neither timers
 *    nor signals would ever run. After BREATH_MS in that loop the capture is closed and opened again from the event
 *    loop; what the old ring held is lost, and counted as missed.
 *  - `raw-socket`'s public `send` queues, and takes a turn of the event loop a packet. The socket that it wraps sends
 *    at once, and throws when the kernel refuses: caught and counted.
 *  - Both are native and optional: they are loaded when the engine starts, and a missing one costs this engine alone.
 */
import type { Cap } from 'cap';
import { AnyhopError } from '../../core/errors.js';
import {
  HEADROOM,
  PATH_OUTER_IPV6,
  V_FORWARDED_ICMP_ERROR,
  V_TOO_BIG_ANSWERED,
  VERDICTS,
} from '../../core/layout.gen.js';
import type { Logger } from '../../core/log.js';
import type { Image } from '../../forward/image.js';
import { LIMIT_TICK_MS, Pipeline } from '../../forward/pipeline.js';
import { addressFromBytes, type IpAddress } from '../../packet/address.js';
import { IPV4_HEADER, IPV6_HEADER } from '../../packet/constants.js';
import { imageBackends, imageVips } from '../../pool/inspect.js';
import type { Engine, EngineCounters } from '../contract.js';
import { captureFilter } from './capture-filter.js';
import { readDroppedPackets } from './filter.js';
import { guardHost, type HostGuard } from './host.js';
import { type Libraries, loadLibraries, type RawSender } from './libraries.js';

/** The kernel's ring of captured packets: a tenth of a second at 50,000 packets of 1500 bytes each. */
const RING_BYTES = 8 * 1024 * 1024;
/** cap's snap length; merged packets (GRO, LRO) cannot come, host.ts sees to it. */
const FRAME_BYTES = 65535;
/** Time after which a capture that never runs dry gives the event loop a turn, and how often it is looked at. */
const BREATH_MS = 500;
const BREATH_CHECK_PACKETS = 256;
/** The last refusal of the kernel is logged, at most this often. */
const SEND_FAILURE_LOG_MS = 10_000;

export interface PortableOptions {
  readonly interface: string;
  readonly log: Logger;
}

export class PortableEngine implements Engine {
  readonly name = 'portable';
  readonly finished: Promise<void>;
  readonly #options: PortableOptions;
  readonly #memory = Buffer.alloc(HEADROOM + FRAME_BYTES);
  readonly #view = new DataView(this.#memory.buffer, this.#memory.byteOffset, this.#memory.length);
  #finish: () => void = () => undefined;
  #pipeline: Pipeline | undefined;
  #guard: HostGuard | undefined;
  #libraries: Libraries | undefined;
  #capture: Cap | undefined;
  #socket4: RawSender | undefined;
  #socket6: RawSender | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** By the image's numbers: where to send, as text, and over which socket. */
  #addresses: readonly string[] = [];
  #isOuter6: readonly boolean[] = [];
  #received = 0;
  #sent = 0;
  #sendFailed = 0;
  #missedAtStop: number | undefined;
  #lastTurnMs = 0;
  #lastFailure = '';
  #lastFailureLogMs = 0;

  constructor(options: PortableOptions) {
    this.#options = options;
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  get counters(): Pipeline['counters'] {
    return this.#started.counters;
  }

  /** What the guard found out about the interface; there once started. */
  get link(): HostGuard['link'] | undefined {
    return this.#guard?.link;
  }

  async start(image: Image): Promise<void> {
    this.#libraries = await loadLibraries();
    const vips = imageVips(image);
    this.#guard = await guardHost(this.#options.interface, vips);
    try {
      this.#pipeline = new Pipeline(image);
      this.publish(image);
      this.#socket4 = this.#libraries.openSender(4);
      this.#socket6 = this.#libraries.openSender(6);
      this.#openCapture(vips);
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#lastTurnMs = performance.now();
    this.#timer = setInterval(() => this.#turn(), LIMIT_TICK_MS);
  }

  publish(image: Image): void {
    const backends = imageBackends(image);
    this.#addresses = backends.map(({ address }) => address.text);
    this.#isOuter6 = backends.map(({ flags }) => (flags & PATH_OUTER_IPV6) !== 0);
    this.#started.publish(image);
  }

  async engineCounters(): Promise<EngineCounters> {
    const missed = this.#missedAtStop ?? (await this.#countMissed());
    return { received: this.#received, sent: this.#sent, sendFailed: this.#sendFailed, missed };
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#capture?.close();
    this.#capture = undefined;
    if (this.#pipeline !== undefined) this.#missedAtStop ??= await this.#countMissed();
    this.#socket4?.close();
    this.#socket6?.close();
    const guard = this.#guard;
    this.#guard = undefined;
    await guard?.release();
    this.#finish();
  }

  #openCapture(vips: readonly IpAddress[]): void {
    const capture = new this.#libraries!.Cap();
    const linkType = capture.open(
      this.#options.interface,
      captureFilter(vips, this.#guard!.link.mac),
      RING_BYTES,
      this.#memory.subarray(HEADROOM),
    );
    if (linkType !== 'ETHERNET') {
      capture.close();
      throw new AnyhopError(
        'ERR_INTERFACE',
        `${this.#options.interface} is of type ${linkType}, not Ethernet`,
      );
    }
    capture.on('packet', (length) => this.#onPacket(length));
    this.#capture = capture;
  }

  /** The one packet that cap has just copied behind the headroom. */
  #onPacket(length: number): void {
    const pipeline = this.#started;
    const verdict = pipeline.process(this.#view, HEADROOM, length);
    if (verdict <= V_FORWARDED_ICMP_ERROR) {
      const { backend } = pipeline;
      this.#send(this.#isOuter6[backend] ? this.#socket6! : this.#socket4!, this.#addresses[backend]);
    } else if (verdict <= V_TOO_BIG_ANSWERED) {
      this.#answer(pipeline);
    }
    this.#received++;
    if (this.#received % BREATH_CHECK_PACKETS === 0 && performance.now() - this.#lastTurnMs > BREATH_MS)
      this.#breathe();
  }

  #send(socket: RawSender, address: string): void {
    const { outStart, outLength, outL2 } = this.#started;
    const failure = socket.send(this.#memory, outStart + outL2, outLength - outL2, address);
    if (failure === undefined) this.#sent++;
    else {
      this.#sendFailed++;
      this.#lastFailure = `${address}: ${failure}`;
    }
  }

  /** To the client, whose address stands in the answer itself. Rare: it may allocate. */
  #answer(pipeline: Pipeline): void {
    const ip = pipeline.outStart + pipeline.outL2;
    const isIpv4 = pipeline.family === 4;
    const end = ip + (isIpv4 ? IPV4_HEADER : IPV6_HEADER);
    const client = addressFromBytes(this.#memory.subarray(end - (isIpv4 ? 4 : 16), end));
    this.#send(isIpv4 ? this.#socket4! : this.#socket6!, client.text);
  }

  /** Closes a capture that never runs dry; the event loop gets its turn before the next one opens. */
  #breathe(): void {
    this.#capture!.close();
    this.#capture = undefined;
    setImmediate(() => {
      if (this.#guard === undefined) return; // stopped meanwhile
      this.#openCapture(imageVips(this.#started.image));
      this.#lastTurnMs = performance.now();
    });
  }

  /** Every tick: the event loop is alive. */
  #turn(): void {
    const now = performance.now();
    this.#lastTurnMs = now;
    this.#started.tick++;
    if (this.#lastFailure !== '' && now - this.#lastFailureLogMs > SEND_FAILURE_LOG_MS) {
      this.#lastFailureLogMs = now;
      this.#options.log.warn(
        { event: 'send_failed', total: this.#sendFailed, last: this.#lastFailure },
        'sending failed',
      );
      this.#lastFailure = '';
    }
  }

  /** Packets for VIPs that reached the interface, by the filter's counters, less those that the pipeline saw. */
  async #countMissed(): Promise<number> {
    const arrived = await readDroppedPackets(this.#options.interface);
    const { verdicts } = this.counters;
    let seen = 0;
    for (const [index, { name }] of VERDICTS.entries()) {
      if (name !== 'pass_not_ip' && name !== 'pass_not_vip') seen += verdicts[index];
    }
    return Math.max(0, arrived - seen);
  }

  get #started(): Pipeline {
    if (this.#pipeline === undefined) throw new Error('the engine has not been started');
    return this.#pipeline;
  }
}
