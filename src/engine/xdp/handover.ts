/**
 * Counters' way from one set of maps to the one that takes its place. The former program counts until the moment when the
 * link has the next one, and programs that had begun by then until a barrier later:
 *
 *     former set   ---counts--------------------|-tail-|
 *     next set                                  |---counts--------------
 *                  carry      link is updated   ^      ^ barrier is over: carry again, unpin the former set
 *
 * What is carried is written as a whole, not added: as often as anybody likes, also by a process that comes after one that
 * was killed in between. It goes by names, since two versions may number verdicts, and two configs backends, differently.
 */

import { L, LAYOUT_DIGEST, VERDICTS } from '../../core/layout.gen.js';
import type { Logger } from '../../core/log.js';
import { Barrier } from '../../ffi/barrier.js';
import { COUNTED, COUNTED_KINDS, Counters } from '../../forward/counters.js';
import { imageCounterNames } from '../../image/inspect.js';
import type { CounterNames } from '../../image/numbers.js';
import type { Image } from '../../image/read.js';
import type { PinnedSet } from './pinned-set.js';

const NO_NAMES: CounterNames = { services: [], backends: [] };

export class Handover {
  readonly #from: PinnedSet;
  readonly #to: PinnedSet;
  readonly #fromNames: CounterNames;
  readonly #toNames: CounterNames;
  #isOver = false;

  /** @param image in force in the set that counters go to */
  constructor(from: PinnedSet, to: PinnedSet, image: Image, log: Logger) {
    this.#from = from;
    this.#to = to;
    this.#toNames = imageCounterNames(image);
    const former = from.about.imageVersion === L.IMAGE_VERSION ? from.maps.image() : undefined;
    this.#fromNames = former === undefined || !this.#sameBlocks ? NO_NAMES : imageCounterNames(former);
    if (this.#fromNames === NO_NAMES) {
      const { version } = from.about;
      log.warn(
        { event: 'counters_dropped', version },
        `counters of services and backends start again: those of version ${version} cannot be read`,
      );
    }
  }

  /** Writes what the former set has counted by now into the next one; nothing once it is over. */
  carry(): void {
    if (this.#isOver) return;
    const { services, backends } = this.#fromNames;
    const counted = this.#from.maps.counters(services.length, backends.length);
    const carried = new Counters();
    carried.grow(this.#toNames.services.length, this.#toNames.backends.length);
    if (this.#sameBlocks) {
      for (const [number, name] of this.#from.about.verdicts.entries()) {
        const to = VERDICTS.findIndex((verdict) => verdict.name === name);
        if (to >= 0) carried.verdicts[to] = this.#from.maps.verdict(number);
      }
    }
    for (const kind of COUNTED_KINDS) {
      const { each, of } = COUNTED[kind];
      copyByName(counted[kind], this.#fromNames[of], carried[kind], this.#toNames[of], each);
    }
    this.#to.maps.carry(carried);
  }

  /** What the former set's defence has counted goes on in the next one; what it counts from now on is lost. */
  continueDefence(): void {
    // Another layout may have other things in its words.
    if (this.#from.defence === undefined || this.#from.about.layout !== LAYOUT_DIGEST) return;
    const numbers = new Map(this.#fromNames.services.map((name, number) => [name, number]));
    const moves = this.#toNames.services.map((name) => numbers.get(name) ?? -1);
    this.#to.defence?.continueFrom(this.#from.defence, moves);
  }

  /** Once the link has the next program: carries the tail, and removes the former set. */
  async finish(): Promise<void> {
    await new Barrier().over();
    this.carry();
    this.#isOver = true;
    this.#from.remove();
  }

  /** Whether counters lie where this version looks for them. */
  get #sameBlocks(): boolean {
    return this.#from.about.counterBytes === L.SIZEOF_COUNTERS;
  }
}

function copyByName(
  from: Float64Array,
  fromNames: readonly string[],
  to: Float64Array,
  toNames: readonly string[],
  each: number,
): void {
  const numbers = new Map(toNames.map((name, number) => [name, number]));
  for (const [number, name] of fromNames.entries()) {
    const target = numbers.get(name);
    if (target === undefined) continue;
    const start = number * each;
    to.set(from.subarray(start, start + each), target * each);
  }
}
