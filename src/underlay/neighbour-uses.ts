/**
 * The neighbours that backends depend on, and the state of each: resolved, failed, or still being asked. There is one round for each read
 * of the neighbour table.
 *
 * An entry that failed before this process asked may be old and proves nothing. An entry that the kernel cannot make, for example in a
 * full table, fails after a time.
 */
import { type Neighbour, type NeighbourPlace, neighbourKey } from './neighbour.js';

export type Standing = 'resolved' | 'failed' | 'asking';

interface Use {
  readonly place: NeighbourPlace;
  readonly standing: Standing;
  /** Of the first question since it was last resolved. */
  readonly askedMs: number | undefined;
  readonly isFixed: boolean;
}

/** A little more than the kernel asks for: 3 s (mcast_solicit times retrans_time). */
const ASKING_MS_MAX = 4_000;

export class NeighbourUses {
  #before: ReadonlyMap<string, Use> = new Map();
  #uses = new Map<string, Use>();
  #unasked: NeighbourPlace[] = [];
  #table: ReadonlyMap<string, Neighbour> = new Map();
  #nowMs = 0;

  /** From here on the neighbours that are not looked up are no longer in use. */
  startRound(table: ReadonlyMap<string, Neighbour>, nowMs: number): void {
    this.#before = this.#uses;
    this.#uses = new Map();
    this.#unasked = [];
    this.#table = table;
    this.#nowMs = nowMs;
  }

  lookUp(place: NeighbourPlace): Standing {
    const key = neighbourKey(place);
    const known = this.#uses.get(key);
    if (known !== undefined) return known.standing;
    const use = this.#judge(place, this.#table.get(key), this.#before.get(key));
    this.#uses.set(key, use);
    return use.standing;
  }

  /** Those of this round that the kernel has to be asked for now. */
  unasked(): readonly NeighbourPlace[] {
    return this.#unasked;
  }

  /** All that may be used: see `useNeighbours`. */
  usable(): NeighbourPlace[] {
    return [...this.#uses.values()].filter(({ isFixed }) => !isFixed).map(({ place }) => place);
  }

  #judge(place: NeighbourPlace, entry: Neighbour | undefined, before: Use | undefined): Use {
    const isFixed = entry?.isFixed ?? false;
    if (entry?.state === 'resolved') return { place, standing: 'resolved', askedMs: undefined, isFixed };
    const failed = entry?.state === 'failed';
    if (before === undefined || (before.askedMs === undefined && !failed)) {
      if (!isFixed) this.#unasked.push(place);
      return { place, standing: 'asking', askedMs: this.#nowMs, isFixed };
    }
    const askedMs = before.askedMs ?? this.#nowMs;
    const standing = failed || this.#nowMs - askedMs > ASKING_MS_MAX ? 'failed' : 'asking';
    return { place, standing, askedMs, isFixed };
  }
}
