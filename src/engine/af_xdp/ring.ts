/**
 * One ring of an AF_XDP socket, as memory shared with the kernel (native/lib/xsk.c maps it).
 *
 *     producer                    entry i of a counter that runs on for ever lies at i & mask;
 *        v                        both counters are 32 bits and wrap
 *     +--+--+--+--+--+--+--+--+
 *     |  |  |xx|xx|xx|  |  |  |   xx: written by the producer, not yet taken by the consumer
 *     +--+--+--+--+--+--+--+--+
 *           ^
 *        consumer
 *
 * The kernel consumes fill and TX and produces RX and completion; this side does the other half. Entries are plain memory;
 * a counter is read or written once a batch, by Atomics, which orders it after or before them (9 ns each).
 *
 * Entries are read and written as 32-bit words of small integers: addresses are below 2 GiB, and the upper halves that the
 * kernel looks at are zero and stay so.
 */

import type { RingLayout } from '../../ffi/xsk.js';

/** XDP_RING_NEED_WAKEUP of linux/if_xdp.h: the kernel looks at this ring only after a system call. */
const NEED_WAKEUP = 1;

export class Ring {
  // Fields are declared only: see ForwardingLoop.
  /** All of it as words; entries begin at `first`. */
  declare readonly words: Int32Array;
  declare readonly first: number;
  declare readonly entries: number;
  declare readonly mask: number;
  /** This side's counter; the kernel sees it at the next `publish`. */
  declare own: number;
  /** The kernel's counter, as it was last seen. */
  declare private other: number;
  declare private readonly ownWord: number;
  declare private readonly otherWord: number;
  declare private readonly flagsWord: number;

  /** @param role what this side does with it */
  constructor(memory: ArrayBufferLike, layout: RingLayout, role: 'producer' | 'consumer') {
    this.words = new Int32Array(memory, 0, layout.bytes >> 2);
    this.first = layout.desc >> 2;
    this.entries = layout.entries;
    this.mask = layout.entries - 1;
    this.ownWord = layout[role] >> 2;
    this.otherWord = layout[role === 'producer' ? 'consumer' : 'producer'] >> 2;
    this.flagsWord = layout.flags >> 2;
    this.own = Atomics.load(this.words, this.ownWord);
    this.other = Atomics.load(this.words, this.otherWord);
  }

  /** Entries that can be taken, by the kernel's counter now. For a consumer. */
  available(): number {
    this.other = Atomics.load(this.words, this.otherWord);
    return (this.other - this.own) | 0;
  }

  /** Entries that the kernel has not taken yet, by its counter now. For a producer. */
  pending(): number {
    this.other = Atomics.load(this.words, this.otherWord);
    return (this.own - this.other) | 0;
  }

  /** Shows the kernel what has been taken or written. */
  publish(): void {
    Atomics.store(this.words, this.ownWord, this.own);
  }

  needsWakeup(): boolean {
    return (Atomics.load(this.words, this.flagsWord) & NEED_WAKEUP) !== 0;
  }
}
