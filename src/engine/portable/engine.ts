/**
 * The portable engine: npm `cap` (libpcap) receives, the TypeScript pipeline decides, npm `raw-socket` sends. For any
 * Linux, for containers, for trying it out; tens of thousands of packets a second.
 *
 *   interface -> libpcap's ring -> memory after HEADROOM -> pipeline -> raw socket at layer 3 -> the kernel's routes
 *        \-> the host's own stack, less what is for a VIP (host.ts)
 *
 * Traps of the two libraries (more on `cap` in capture.ts):
 *  - `cap` hands over packets in a loop of its own for as long as there are any, so that under overload neither timers
 *    nor signals would ever run. After BREATH_MS in that loop a new capture is opened and the old one closed, which
 *    ends the loop; what the old ring held by then is lost, and counted as missed.
 *  - Both are native and optional: the engine loads them when it starts, so the other engines do without them.
 */

import type { CaptureFilter } from '../../capture/record.js';
import { monotonicMs } from '../../core/clock.js';
import { L, VERDICTS } from '../../core/layout.gen.js';
import { Counters } from '../../forward/counters.js';
import { makeGuardState } from '../../forward/guard-state.js';
import { Pipeline } from '../../forward/pipeline.js';
import { tryFrame } from '../../forward/try-frame.js';
import { imageMacs, imageVips } from '../../image/inspect.js';
import type { Image } from '../../image/read.js';
import type { IpAddress } from '../../packet/address.js';
import { formatMac } from '../../packet/mac.js';
import { type Recording, recordingOf } from '../capture/recording.js';
import { RecordRing } from '../capture/ring.js';
import { Tap } from '../capture/tap.js';
import type { Engine, EngineCounters, EngineSettings } from '../contract.js';
import { renumber } from '../counter-moves.js';
import { listsIn, StateDefence } from '../defence.js';
import { ending } from '../ending.js';
import { type HostFilter, readDroppedPackets } from '../host-filter.js';
import { type Capture, openCapture } from './capture.js';
import { captureFilter } from './capture-filter.js';
import { FilterWatch } from './filter-watch.js';
import { FollowedCapture } from './followed-capture.js';
import { guardHost, type HostGuard } from './host.js';
import { type Libraries, loadLibraries } from './libraries.js';
import { Sender } from './sender.js';

/** The kernel's ring: it holds some 4000 packets at an MTU of 1500, 40 ms of 100,000 a second. See offload.ts. */
const RING_BYTES = 8 * 1024 * 1024;
/** cap's snap length; merged packets (GRO, LRO) cannot come, host.ts sees to it. */
const FRAME_BYTES = 65535;
/**
 * Time after which a capture that never runs dry is replaced, and how often the clock is looked at. A replacement takes
 * 70 ms (the kernel makes a ring, and waits until nobody uses the old one) and 3 KB for good: 7 % of an overloaded
 * second.
 */
const BREATH_MS = 1000;
const CLOCK_PACKETS = 256;

export type PortableOptions = Pick<EngineSettings, 'interface' | 'log' | 'changed'>;

export class PortableEngine implements Engine {
  readonly name = 'portable';
  readonly sends = 'packet';
  readonly logsLosses = true;
  readonly mode = 'libpcap in, raw sockets out';
  readonly program = undefined;
  readonly #end = ending();
  readonly finished = this.#end.promise;
  readonly #options: PortableOptions;
  readonly #memory = Buffer.alloc(L.HEADROOM + FRAME_BYTES);
  readonly #view = new DataView(this.#memory.buffer, this.#memory.byteOffset, this.#memory.length);
  #pipeline: Pipeline | undefined;
  /** While somebody captures. */
  #tap: Tap | undefined;
  #guard: HostGuard | undefined;
  #libraries: Libraries | undefined;
  #capture: FollowedCapture | undefined;
  #filterWatch: FilterWatch | undefined;
  #sender: Sender | undefined;
  #timer: NodeJS.Timeout | undefined;
  #received = 0;
  #missedAtStop: number | undefined;
  #startMs = 0;
  #lastTurnMs = 0;

  constructor(options: PortableOptions) {
    this.#options = options;
  }

  readonly #guardState = makeGuardState();
  readonly defence = new StateDefence(
    () => {
      const { image, counters } = this.#started;
      return { image, counters, state: this.#guardState };
    },
    async (lists) => {
      this.#started.lists = listsIn(lists);
    },
  );

  counters(): Counters {
    return this.#started.counters;
  }

  /** The kernel routes what it sends. */
  unreachable(): undefined {
    return undefined;
  }

  /** Forwarding ends with the process, even a killed one. */
  async predecessor(): Promise<undefined> {
    return undefined;
  }

  /** What the guard found out about the interface; there once started. */
  get link(): HostGuard['link'] | undefined {
    return this.#guard?.link;
  }

  /** Why no packets get here at present, or the host gets them too. */
  get detached(): string | undefined {
    return this.#capture?.detached ?? this.#filterWatch?.detached;
  }

  async start(image: Image, lists?: Uint8Array): Promise<void> {
    if (this.#pipeline !== undefined) throw new Error('the engine has been started already');
    this.#pipeline = new Pipeline(image, new Counters(), this.#guardState);
    await this.defence.publishLists(lists);
    const { interface: name, log, changed } = this.#options;
    try {
      this.#libraries = await loadLibraries();
      const filter = { vips: imageVips(image), macs: imageMacs(image) };
      this.#guard = await guardHost(this.#options.interface, filter);
      this.#sender = new Sender(this.#libraries.openSender, this.#memory, log);
      this.#sender.prepare(image);
      this.#capture = new FollowedCapture({
        interface: name,
        log,
        changed,
        open: () => this.#openCapture(),
        lost: (reason) => this.#end.reject(reason),
      });
    } catch (error) {
      await this.stop();
      throw error;
    }
    const guard = this.#guard;
    this.#filterWatch = new FilterWatch({
      interface: name,
      log,
      changed,
      read: () => readDroppedPackets(name),
      putBack: () => guard.putBack(this.#filterOf(this.#started.image)),
    });
    this.#startMs = this.#lastTurnMs = performance.now();
    this.#timer = setInterval(() => this.#turn(), L.BUDGET_TICK_MS);
  }

  /**
   * While VIPs come or go, the filter covers those of both images: a packet that the image in force does not know is
   * dropped for a moment, and the host never answers in the engine's place.
   */
  async publish(image: Image): Promise<void> {
    const former = this.#started.image;
    const [before, after] = [this.#filterOf(former), this.#filterOf(image)];
    const haveChanged = textOf(before) !== textOf(after);
    if (haveChanged) await this.#guard!.setFilter({ ...after, vips: union(before.vips, after.vips) });
    this.#sender!.prepare(image);
    renumber(this.#started, image);
    this.#started.publish(image);
    // The capture's own filter has the addresses and the VIPs.
    if (haveChanged) this.#breathe();
    if (haveChanged) await this.#guard?.setFilter(after);
  }

  async tryFrame(frame: Uint8Array): Promise<Uint8Array | undefined> {
    return tryFrame(new Pipeline(this.#started.image), frame);
  }

  async record(filter: CaptureFilter): Promise<Recording> {
    if (this.#tap !== undefined) throw new Error('somebody records already');
    const ring = new RecordRing(RecordRing.memory());
    this.#tap = new Tap(this.#started, ring, filter, 0);
    return recordingOf([ring], async () => {
      this.#tap = undefined;
    });
  }

  async engineCounters(): Promise<EngineCounters> {
    if (this.#filterWatch?.dropped === undefined) await this.#filterWatch?.look();
    const missed = this.#missedAtStop ?? this.#countMissed();
    const { sent, failed: sendFailed } = this.#sender!;
    return { received: this.#received, sent, sendFailed, missed };
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#capture?.close();
    this.#capture = undefined;
    this.#sender?.close();
    const guard = this.#guard;
    this.#guard = undefined;
    await this.#filterWatch?.close();
    await this.#filterWatch?.look(); // the last packets
    this.#missedAtStop ??= this.#countMissed();
    await guard?.release();
    this.#end.resolve();
  }

  async leave(): Promise<boolean> {
    await this.stop();
    return false;
  }

  /** The host's addresses on the interface, by the image: they can change. */
  #filterOf(image: Image): HostFilter {
    const macs = imageMacs(image);
    return { vips: imageVips(image), macs: macs.length > 0 ? macs : [this.#guard!.link.mac] };
  }

  #openCapture(): Capture {
    const { macs, vips } = this.#filterOf(this.#started.image);
    return openCapture(this.#libraries!.Cap, {
      interface: this.#options.interface,
      filter: captureFilter(macs, vips),
      ringBytes: RING_BYTES,
      buffer: this.#memory.subarray(L.HEADROOM),
      onPacket: (length) => this.#onPacket(length),
    });
  }

  /** The one packet that cap has just copied behind the headroom. */
  #onPacket(length: number): void {
    const pipeline = this.#started;
    const verdict = (this.#tap ?? pipeline).process(this.#view, L.HEADROOM, length);
    if (verdict <= L.V_FORWARDED_ICMP_ERROR) {
      this.#sender!.forward(pipeline);
    } else if (verdict <= L.V_SYN_COOKIE_ANSWERED) {
      this.#sender!.answer(pipeline);
    }
    this.#received++;
    if (this.#received % CLOCK_PACKETS === 0) this.#lookAtClock();
  }

  /** The event loop may not have had a turn for long: time goes on all the same. */
  #lookAtClock(): number {
    const now = performance.now();
    this.#started.tick = 1 + Math.floor((now - this.#startMs) / L.BUDGET_TICK_MS);
    this.#started.setClock(monotonicMs());
    if (now - this.#lastTurnMs > BREATH_MS) this.#breathe();
    return now;
  }

  /** Replaces a capture that never runs dry, or that has the filter of a former image. */
  #breathe(): void {
    this.#lastTurnMs = performance.now();
    this.#capture?.replace();
  }

  /** Every tick: the event loop is alive. */
  #turn(): void {
    this.#lastTurnMs = performance.now();
    this.#capture?.look();
    this.#sender!.look(this.#lookAtClock());
  }

  /**
   * Packets for VIPs that reached the interface, by the host filter's counters, less those that the pipeline saw. While
   * packets flow it includes those that wait in the ring.
   */
  #countMissed(): number {
    const { arrived, elsewhere } = this.#filterWatch?.dropped ?? { arrived: Number.NaN, elsewhere: 0 };
    const { verdicts } = this.counters();
    let seen = 0;
    for (const [index, { action }] of VERDICTS.entries()) {
      if (action !== 'pass') seen += verdicts[index]; // what the filter drops
    }
    verdicts[L.V_PASS_OTHER_HOST] = elsewhere; // libpcap is not asked for these
    return Math.max(0, arrived - seen);
  }

  get #started(): Pipeline {
    if (this.#pipeline === undefined) throw new Error('the engine has not been started');
    return this.#pipeline;
  }
}

function textOf({ vips, macs }: HostFilter): string {
  return [...vips.map(({ text }) => text).sort(), ...macs.map(formatMac)].join();
}

function union(some: readonly IpAddress[], others: readonly IpAddress[]): IpAddress[] {
  return [...new Map([...some, ...others].map((vip) => [vip.text, vip])).values()];
}
