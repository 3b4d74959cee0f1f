/**
 * Where counts go when names get new numbers (numbers.ts): each engine moves what it has counted in the moment in which it takes the
 * image with the new ones.
 */
import { COUNTED, COUNTED_KINDS, type CountedMemory, Counters } from '../forward/counters.js';
import { moveServiceStates } from '../forward/guard-state.js';
import type { Pipeline } from '../forward/pipeline.js';
import { imageCounterNames } from '../image/inspect.js';
import type { Image } from '../image/read.js';

const KINDS = ['services', 'backends'] as const;

/** For each new number the former one of the same name; -1 for a name that had none. */
export type CounterMoves = Readonly<Record<(typeof KINDS)[number], Int32Array>>;

/** Undefined when all names have kept their numbers: that takes no look at them. Numbers are only given up all at once. */
export function counterMoves(former: Image, image: Image): CounterMoves | undefined {
  const isSame =
    image.serviceCounters >= former.serviceCounters && image.backendCounters >= former.backendCounters;
  if (isSame) return undefined;
  const [then, now] = [imageCounterNames(former), imageCounterNames(image)];
  const movesOf = (kind: (typeof KINDS)[number]): Int32Array => {
    const numbers = new Map(then[kind].map((name, number) => [name, number]));
    return Int32Array.from(now[kind], (name) => numbers.get(name) ?? -1);
  };
  return { services: movesOf('services'), backends: movesOf('backends') };
}

/** Takes what has been counted to its new places, in memory that is all zeros. */
export function moveCounters(counters: Counters, moves: CounterMoves, to: CountedMemory): void {
  for (const kind of COUNTED_KINDS) {
    const { each, of } = COUNTED[kind];
    for (const [number, former] of moves[of].entries()) {
      if (former < 0) continue;
      const start = former * each;
      to[kind].set(counters[kind].subarray(start, start + each), number * each);
    }
    counters[kind] = to[kind];
  }
}

/** The same in memory of its own, for a pipeline of this thread, and of what rules of defence know of services. */
export function renumber({ counters, guardState, image: former }: Pipeline, image: Image): void {
  const moves = counterMoves(former, image);
  if (moves === undefined) return;
  moveServiceStates(guardState, moves.services, former.serviceCounters);
  const room = new Counters();
  room.grow(image.serviceCounters, image.backendCounters);
  moveCounters(counters, moves, room);
}
