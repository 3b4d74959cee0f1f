/**
 * The replay engine: frames from a capture in, what the node would send out, with fixed MAC addresses. For tests,
 * debugging and simulation; the pipeline is the one that forwards. Time is the capture's own, so that limits behave as
 * they would have.
 */

import { L, VERDICTS } from '../core/layout.gen.js';
import { Counters } from '../forward/counters.js';
import { makeGuardState, setFleetOffsetMs } from '../forward/guard-state.js';
import { Pipeline } from '../forward/pipeline.js';
import { tryFrame } from '../forward/try-frame.js';
import type { Image } from '../image/read.js';
import { FRAME_BYTES_MAX } from '../packet/link-type.js';
import type { CapturedPacket } from '../packet/pcap.js';
import type { Engine, EngineCounters } from './contract.js';
import { renumber } from './counter-moves.js';
import { listsIn, StateDefence } from './defence.js';
import { ending } from './ending.js';

/** Where frames go; a CaptureWriter is one. */
export interface FrameSink {
  write(frame: Uint8Array, timestampNs: bigint): void;
}

const TICK_NS = BigInt(L.BUDGET_TICK_MS) * 1_000_000n;
const FLEET_CLOCK_START_MS = L.FLEET_CLOCK_START * 1000;
/** Interfaces' queues mix less. */
const DISORDER_NS = 1_000_000_000n;
/** The event loop gets a turn after this many packets, for signals and a publish. */
const BATCH_PACKETS = 4096;
const SENDS = VERDICTS.map(({ action }) => action === 'forward' || action === 'answer');

export class ReplayEngine implements Engine {
  readonly name = 'replay';
  readonly mode = 'from a capture';
  readonly detached = undefined;
  readonly program = undefined;
  readonly sends = 'frame';
  readonly logsLosses = false;
  readonly #end = ending();
  readonly finished = this.#end.promise;
  readonly #packets: Iterable<CapturedPacket>;
  readonly #sink: FrameSink;
  readonly #onVerdict: ((verdict: number, number: number) => void) | undefined;
  #pipeline: Pipeline | undefined;
  #stopped = false;
  #received = 0;
  #sent = 0;

  /** @param onVerdict called for each packet, with its number in the capture */
  constructor(
    packets: Iterable<CapturedPacket>,
    sink: FrameSink,
    onVerdict?: (verdict: number, number: number) => void,
  ) {
    this.#packets = packets;
    this.#sink = sink;
    this.#onVerdict = onVerdict;
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

  unreachable(): undefined {
    return undefined;
  }

  async predecessor(): Promise<undefined> {
    return undefined;
  }

  async start(image: Image, lists?: Uint8Array): Promise<void> {
    if (this.#pipeline !== undefined) throw new Error('the engine has been started already');
    setFleetOffsetMs(this.#guardState, -FLEET_CLOCK_START_MS); // captures tell the time of day
    this.#pipeline = new Pipeline(image, new Counters(), this.#guardState);
    await this.defence.publishLists(lists);
    this.#run(this.#pipeline).then(this.#end.resolve, this.#end.reject);
  }

  async publish(image: Image): Promise<void> {
    renumber(this.#started, image);
    this.#started.publish(image);
  }

  async tryFrame(frame: Uint8Array): Promise<Uint8Array | undefined> {
    return tryFrame(new Pipeline(this.#started.image), frame);
  }

  async engineCounters(): Promise<EngineCounters> {
    return { received: this.#received, sent: this.#sent, sendFailed: 0, missed: 0 };
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    // What broke it, if anything, is for those who await `finished`.
    await this.finished.catch(() => undefined);
  }

  async leave(): Promise<boolean> {
    await this.stop();
    return false;
  }

  async #run(pipeline: Pipeline): Promise<void> {
    const memory = new Uint8Array(L.HEADROOM + FRAME_BYTES_MAX);
    const view = new DataView(memory.buffer);
    let timeNs = 0n;
    for (const { number, frame, timestampNs } of this.#packets) {
      if (this.#stopped) return;
      memory.set(frame, L.HEADROOM);
      timeNs = follow(timeNs, timestampNs);
      pipeline.tick = Number(BigInt.asIntN(32, timeNs / TICK_NS));
      pipeline.setClock(Number(timeNs) / 1e6);
      const verdict = pipeline.process(view, L.HEADROOM, frame.length);
      if (SENDS[verdict]) {
        const { outStart, outLength } = pipeline;
        this.#sink.write(memory.subarray(outStart, outStart + outLength), timestampNs);
        this.#sent++;
      }
      this.#onVerdict?.(verdict, number);
      this.#received++;
      if (this.#received % BATCH_PACKETS === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  get #started(): Pipeline {
    if (this.#pipeline === undefined) throw new Error('the engine has not been started');
    return this.#pipeline;
  }
}

/**
 * The time at the next packet. Stamps may be out of order, so time stands still for one that lies a little back. One that lies
 * far back is followed: it, or the one before it, was bogus, and a time that only rises would stand still from then on.
 */
function follow(time: bigint, next: bigint): bigint {
  return next > time || time - next > DISORDER_NS ? next : time;
}
