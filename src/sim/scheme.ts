/**
 * Ways to choose a backend for the same flows: anyhop's own tables, and three common ones. Those have neither layers nor a prior
 * state: a backend that is down or drains is not in the list that they hash over.
 *
 *     maglev      one Maglev table over the eligible backends, built by the code of anyhop's first layer
 *     rendezvous  highest random weight: each slot goes to the backend with the highest score -w / ln(hash)
 *     modulo      hash mod n over the eligible backends, each repeated by its weight
 */
import { flowHash, slotOf } from '../hash/flow.js';
import { flowKeyFor } from '../hash/key.js';
import { eligibility } from '../table/eligible.js';
import { buildStack, byName, NONE } from '../table/layers.js';
import { nameWords } from '../table/name-words.js';
import { resolvePool } from '../table/resolve.js';
import type { PoolStates } from '../table/state.js';

/** Where a node sends a flow, by its 32-bit hash: ids from `BackendIds`, or NONE. */
export interface Lookup {
  owner(hash: number): number;
  /** The backends in the GRE key. @param which 0 the first, 1 the second */
  alternate(hash: number, which: 0 | 1): number;
}

/** Ids of backends by name, the same for all schemes of a simulation. */
export class BackendIds {
  readonly #ids = new Map<string, number>();

  of(name: string): number {
    const id = this.#ids.get(name) ?? this.#ids.size;
    this.#ids.set(name, id);
    return id;
  }
}

export type Builder = (pool: PoolStates, ids: BackendIds) => Lookup;

function anyhopLookup(pool: PoolStates, ids: BackendIds): Lookup {
  const tables = resolvePool(pool);
  const id = tables.names.map((name) => ids.of(name));
  const { owners, alternates } = tables;
  const idOf = (index: number): number => (index === NONE ? NONE : id[index]);
  return {
    owner: (hash) => idOf(owners[slotOf(hash, pool.slots)]),
    alternate: (hash, which) => idOf(alternates[which * pool.slots + slotOf(hash, pool.slots)]),
  };
}

function maglevLookup({ state, slots }: PoolStates, ids: BackendIds): Lookup {
  const { members } = eligibility(state);
  const { names, layers } = buildStack(members, slots, 1);
  const id = names.map((name) => ids.of(name));
  return ownersOnly((hash) => (layers.length === 0 ? NONE : id[layers[0][slotOf(hash, slots)]]));
}

const RENDEZVOUS_KEY = flowKeyFor(new Uint8Array(0), 'rendezvous');

function rendezvousLookup({ state, slots }: PoolStates, ids: BackendIds): Lookup {
  const members = [...eligibility(state).members].sort(byName);
  const id = members.map(({ name }) => ids.of(name));
  const words = members.map(({ name }) => nameWords(name));
  const input = new Int32Array(3);
  const highest = (slot: number): number => {
    input[0] = slot;
    let best = NONE;
    let bestScore = -1;
    for (let i = 0; i < members.length; i++) {
      input[1] = words[i][0];
      input[2] = words[i][1];
      const hash = flowHash(RENDEZVOUS_KEY, 0, input, 3) >>> 0;
      const score = -members[i].weight / Math.log((hash + 0.5) / 2 ** 32);
      if (score <= bestScore) continue;
      best = id[i];
      bestScore = score;
    }
    return best;
  };
  // Computed on first use: a simulation has fewer flows than a table has slots.
  const found = new Int32Array(slots).fill(-1);
  return ownersOnly((hash) => {
    const slot = slotOf(hash, slots);
    if (found[slot] < 0) found[slot] = highest(slot);
    return found[slot];
  });
}

function moduloLookup({ state }: PoolStates, ids: BackendIds): Lookup {
  const members = [...eligibility(state).members].sort(byName);
  const list = members.flatMap(({ name, weight }) => new Array<number>(weight).fill(ids.of(name)));
  return ownersOnly((hash) => (list.length === 0 ? NONE : list[(hash >>> 0) % list.length]));
}

function ownersOnly(owner: (hash: number) => number): Lookup {
  return { owner, alternate: () => NONE };
}

export interface Scheme {
  /** In JSON. */
  readonly name: string;
  /** For people. */
  readonly title: string;
  /** Schemes with one builder share their tables. */
  readonly build: Builder;
  readonly secondChance: boolean;
}

export const ANYHOP: Scheme = {
  name: 'anyhop',
  title: 'anyhop',
  build: anyhopLookup,
  secondChance: true,
};
export const ANYHOP_ALONE: Scheme = {
  name: 'anyhop_without_second_chance',
  title: 'anyhop, no 2nd chance',
  build: anyhopLookup,
  secondChance: false,
};
export const PEERS: readonly Scheme[] = [
  { name: 'maglev', title: 'plain Maglev', build: maglevLookup, secondChance: false },
  { name: 'rendezvous', title: 'rendezvous', build: rendezvousLookup, secondChance: false },
  { name: 'modulo', title: 'modulo', build: moduloLookup, secondChance: false },
];
