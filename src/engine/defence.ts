/** What an engine's defence can be told and asked (forward/guard.ts): the same for all engines, over the state that packets count in. */
import { monotonicMs } from '../core/clock.js';
import { L } from '../core/layout.gen.js';
import { candidatesOf } from '../forward/candidates.js';
import type { Counters } from '../forward/counters.js';
import { isFlooded, programUnits, setFleetOffsetMs, setThreshold } from '../forward/guard-state.js';
import { Lists, NO_LISTS } from '../forward/lists.js';
import type { Image } from '../image/read.js';
import { rulesFlags, sourceWindowMs } from '../image/rules.js';
import { addressFromBytes } from '../packet/address.js';

export interface Tuning {
  /** By service counter: SYNs in the service's window above which cookies answer; a service that is not there has its rules'. */
  readonly thresholds: ReadonlyMap<number, number>;
  /** From CLOCK_MONOTONIC to the fleet's clock, in whole ms: the same for all nodes and agents is the sum. */
  readonly fleetOffsetMs: number;
}

export interface HeavySource {
  /** A prefix; a single address without its length. */
  readonly source: string;
  /** Counter number of the service that counts it; undefined: all of the node that count together. */
  readonly service: number | undefined;
  /** At least what it was let through. */
  readonly packetsPerSecond: number;
  /** By the limits of sources, of late; in observe mode what would have been. */
  readonly dropped: number;
}

export interface Defence {
  /** Lists to look sources up in from now on, as compiled; undefined for none. Resolves when no packet meets the former any more. */
  publishLists(lists: Uint8Array | undefined): Promise<void>;
  /** Those that this process put in force last; none before the first. */
  readonly lists: Lists;
  tune(tuning: Tuning): void;
  /** What rules did so far: L.GUARDED_KINDS counts for each service counter (native/include/anyhop/defend.h). */
  guarded(): Float64Array;
  /** Those that send most, the heaviest first. */
  heavySources(): HeavySource[];
  /** By service counter: whether cookies answer SYNs at present, or would in observe mode. */
  cookiesActive(): boolean[];
}

/** What the defence of an engine is over. */
export interface Defended {
  /** In force. */
  readonly image: Image;
  readonly state: Int32Array;
  readonly counters: Counters;
}

/** Compiled lists as a pipeline reads them. */
export function listsIn(compiled: Uint8Array | undefined): Lists {
  return compiled === undefined ? NO_LISTS : new Lists(sharedMemory(compiled));
}

/** They come from a worker in memory that threads share, and are copied otherwise. */
export function sharedMemory({ buffer, byteOffset, length }: Uint8Array): SharedArrayBuffer {
  if (buffer instanceof SharedArrayBuffer && byteOffset === 0 && buffer.byteLength === length) return buffer;
  const memory = new SharedArrayBuffer(length);
  new Uint8Array(memory).set(new Uint8Array(buffer, byteOffset, length));
  return memory;
}

export class StateDefence implements Defence {
  lists = NO_LISTS;
  readonly #defended: () => Defended;
  readonly #putInForce: Defence['publishLists'];

  /** @param defended asked each time; it may throw while the engine does not run */
  constructor(defended: () => Defended, putInForce: Defence['publishLists']) {
    this.#defended = defended;
    this.#putInForce = putInForce;
  }

  async publishLists(compiled: Uint8Array | undefined): Promise<void> {
    await this.#putInForce(compiled);
    this.lists = listsIn(compiled);
  }

  tune({ thresholds, fleetOffsetMs }: Tuning): void {
    const { image, state } = this.#defended();
    setFleetOffsetMs(state, fleetOffsetMs);
    for (let counter = 0; counter < image.serviceCounters; counter++)
      setThreshold(state, counter, thresholds.get(counter) ?? 0);
  }

  guarded(): Float64Array {
    return this.#defended().counters.guarded;
  }

  heavySources(): HeavySource[] {
    const { image, state } = this.#defended();
    const windowMs = sourceWindowMs(image);
    return candidatesOf(image, state, programUnits(state, monotonicMs()))
      .map(({ address, prefix, service, packets, dropped }) => ({
        source:
          prefix === address.length * 8
            ? addressFromBytes(address).text
            : `${addressFromBytes(address).text}/${prefix}`,
        service,
        packetsPerSecond: (packets * 1000) / windowMs,
        dropped,
      }))
      .sort((a, b) => b.packetsPerSecond - a.packetsPerSecond);
  }

  cookiesActive(): boolean[] {
    const { image, state } = this.#defended();
    const now = programUnits(state, monotonicMs());
    return Array.from({ length: image.serviceCounters }, (_, counter) => {
      const flags = rulesFlags(image, counter);
      if ((flags & L.RULES_COOKIES) === 0) return false;
      return (flags & L.RULES_COOKIES_ALWAYS) !== 0 || isFlooded(state, counter, now);
    });
  }
}
