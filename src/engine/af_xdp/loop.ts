/**
 * The forwarding loop over one AF_XDP socket: a batch is taken from RX, each frame goes through the pipeline where it lies,
 * and its address goes on to TX or back to the fill ring. Nothing is copied, and nothing is called, a packet.
 *
 *     kernel --RX--> pipeline --TX--> kernel --completion--+
 *       ^                \--- dropped ---\                 |
 *       +-------------------- fill <-----+<----------------+
 *
 * Every frame is always in one of these places. The fill ring has room for all of them (native/lib/xsk.c), so giving one
 * back never fails; a full TX ring gives the frame back as well, counts it, and goes on.
 *
 * The same loop in C, for comparison: native/dev/xsk-loop.c.
 */
import { L } from '../../core/layout.gen.js';
import type { Pipeline } from '../../forward/pipeline.js';
import type { Ring } from './ring.js';

/** Descriptors of RX and TX, in words: the address's two halves, the length, options. */
export const DESC_WORDS_SHIFT = 2;
export const DESC_LENGTH = 2;
/** Entries of fill and completion: the address's two halves. */
export const ENTRY_WORDS_SHIFT = 1;

/** Frames whose headers are fetched together: as many cache misses as a core can have under way, and some. */
const GROUP_FRAMES = 16;
/** From a frame's start to the second cache line of its headers. */
const NEXT_LINE = 48;

/** Verdicts up to this one leave a frame to be sent; they are the first in the list. */
export const SENT_LAST = L.V_SYN_COOKIE_ANSWERED;
/** Verdicts that pass a frame to the host. */
export const PASS_FIRST = L.V_PASS_NOT_IP;
export const PASS_LAST = L.V_PASS_NEIGHBOUR;

/** Where the loop counts, beside the pipeline's counters; indexes into `tally`. */
export const TALLY = {
  /** Frames put on the TX ring. */
  queued: 0,
  /** Frames that a full TX ring kept from being sent. */
  unqueued: 1,
  /** Frames steered here that the pipeline would pass to the host, which is not possible any more. */
  stray: 2,
} as const;
export const TALLIES = 3;

/** Rings and packet memory of one socket. */
export interface SocketMemory {
  /** All of the packet memory. */
  readonly frames: DataView;
  readonly rx: Ring;
  readonly tx: Ring;
  readonly fill: Ring;
  readonly completion: Ring;
}

export class ForwardingLoop {
  /** Of no use to anybody; without it the compiler leaves out the reads of `#touch`. */
  seen = 0;
  // Declared only: written once, by the constructor, they are constants to V8. As #fields, which are undefined first, they cost 6 ns
  // a packet of 104, with those of Ring.
  declare private readonly memory: SocketMemory;
  declare private readonly pipeline: Pipeline;
  declare private readonly tally: Float64Array;

  /** @param tally TALLIES counters */
  constructor(memory: SocketMemory, pipeline: Pipeline, tally: Float64Array) {
    this.memory = memory;
    this.pipeline = pipeline;
    this.tally = tally;
  }

  /** Takes up to `limit` frames. @returns how many there were */
  batch(limit: number): number {
    this.reclaim();
    const { rx, tx, fill } = this.memory;
    const available = rx.available();
    const count = available < limit ? available : limit;
    if (count === 0) return 0;
    const sentBefore = tx.own;
    let room = tx.entries - tx.pending();
    for (let left = count; left > 0; left -= GROUP_FRAMES) {
      const group = left < GROUP_FRAMES ? left : GROUP_FRAMES;
      this.#touch(group);
      room = this.#forward(group, room);
    }
    rx.publish();
    fill.publish();
    tx.publish();
    this.tally[TALLY.queued] += (tx.own - sentBefore) | 0;
    return count;
  }

  /**
   * Reads a little of each of the next frames. They were written by another core, and these reads wait for it all at once, where
   * the pipeline would wait for one after the other.
   */
  #touch(count: number): void {
    const { frames, rx } = this.memory;
    let seen = 0;
    for (let i = 0; i < count; i++) {
      const start = rx.words[rx.first + (((rx.own + i) & rx.mask) << DESC_WORDS_SHIFT)];
      seen ^= frames.getInt32(start) ^ frames.getInt32(start + NEXT_LINE);
    }
    this.seen = seen;
  }

  /** @param room entries of TX that are free @returns how many are left */
  #forward(count: number, room: number): number {
    const { frames, rx, tx, fill } = this.memory;
    const pipeline = this.pipeline;
    const received = rx.words;
    const sent = tx.words;
    for (let i = 0; i < count; i++) {
      const desc = rx.first + (((rx.own + i) & rx.mask) << DESC_WORDS_SHIFT);
      const start = received[desc];
      const verdict = pipeline.process(frames, start, received[desc + DESC_LENGTH]);
      if (verdict <= SENT_LAST && room > 0) {
        const out = tx.first + ((tx.own & tx.mask) << DESC_WORDS_SHIFT);
        sent[out] = pipeline.outStart;
        sent[out + DESC_LENGTH] = pipeline.outLength;
        tx.own = (tx.own + 1) | 0;
        room--;
        continue;
      }
      if (verdict <= SENT_LAST) this.tally[TALLY.unqueued]++;
      else if (verdict >= PASS_FIRST && verdict <= PASS_LAST) this.disown(verdict);
      fill.words[fill.first + ((fill.own & fill.mask) << ENTRY_WORDS_SHIFT)] = start;
      fill.own = (fill.own + 1) | 0;
    }
    rx.own = (rx.own + count) | 0;
    return room;
  }

  /** Frames that have been sent can be received into again. The kernel rounds addresses down to their frame's start. */
  reclaim(): void {
    const { completion, fill } = this.memory;
    const count = completion.available();
    if (count === 0) return;
    for (let i = 0; i < count; i++) {
      const entry = completion.first + ((completion.own & completion.mask) << ENTRY_WORDS_SHIFT);
      fill.words[fill.first + ((fill.own & fill.mask) << ENTRY_WORDS_SHIFT)] = completion.words[entry];
      completion.own = (completion.own + 1) | 0;
      fill.own = (fill.own + 1) | 0;
    }
    completion.publish();
    fill.publish();
  }

  /** It was not passed, so it must not count as passed. */
  disown(verdict: number): void {
    this.pipeline.counters.verdicts[verdict]--;
    this.tally[TALLY.stray]++;
  }
}
