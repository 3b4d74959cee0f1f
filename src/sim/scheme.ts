/**
 * Ways to choose a backend for the same flows: anyhop's own tables and keys, and three common ones. Those have neither layers nor
 * remembered states: a backend that is down or drains is not in the list that they hash over.
 *
 *     maglev      one Maglev table over the eligible backends, built by the code of anyhop's first layer
 *     rendezvous  highest random weight: each slot goes to the backend with the highest score -w / ln(hash)
 *     modulo      hash mod n over the eligible backends, each repeated by its weight
 */
import { flowHash, slotOf } from '../hash/flow.js';
import { flowKeyFor } from '../hash/key.js';
import { keyIds, slotKeys } from '../packet/second-chance-key.js';
import type { NamedStates } from '../pool/states.js';
import { eligibility } from '../table/eligible.js';
import { buildStack, byName, NONE } from '../table/layers.js';
import { nameWords } from '../table/name-words.js';
import { type PoolTables, resolvePool } from '../table/resolve.js';
import type { PoolStates } from '../table/state.js';

/** Where a node sends a flow, by its 32-bit hash: ids from `BackendIds`, or NONE. */
export interface Lookup {
  owner(hash: number): number;
  /** A backend in the GRE key. @param at its place there, from 0 */
  alternate(hash: number, at: number): number;
  /** What it was found in, for the next to be made of. */
  readonly tables?: PoolTables;
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

/** @param before one that it has made for the same node or another */
export type Builder = (pool: NamedStates, ids: BackendIds, before?: Lookup) => Lookup;

function anyhopLookup(pool: NamedStates, ids: BackendIds, before?: Lookup): Lookup {
  const tables = resolvePool({ ...pool, before: before?.tables });
  const { members, names, owners, alternates } = tables;
  const keys = slotKeys(members, owners, alternates);
  const id = names.map((name) => ids.of(name));
  const byKeyId = new Map(members.map((member, i) => [member.id, id[i]]));
  return {
    tables,
    owner(hash) {
      const index = owners[slotOf(hash, pool.slots)];
      return index === NONE ? NONE : id[index];
    },
    alternate: (hash, at) => byKeyId.get(keyIds(keys[slotOf(hash, pool.slots)])[at]) ?? NONE,
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
  /** How many of the backends in a key get a packet that those before them have no socket for. */
  readonly alternates: number;
}

export const ANYHOP: Scheme = {
  name: 'anyhop',
  title: 'anyhop',
  build: anyhopLookup,
  alternates: 2,
};
/** As if a key had room for one. */
export const ANYHOP_ONE: Scheme = {
  name: 'anyhop_one_alternate',
  title: 'anyhop, 1 alternate',
  build: anyhopLookup,
  alternates: 1,
};
export const ANYHOP_ALONE: Scheme = {
  name: 'anyhop_without_second_chance',
  title: 'anyhop, no 2nd chance',
  build: anyhopLookup,
  alternates: 0,
};
export const PEERS: readonly Scheme[] = [
  { name: 'maglev', title: 'plain Maglev', build: maglevLookup, alternates: 0 },
  { name: 'rendezvous', title: 'rendezvous', build: rendezvousLookup, alternates: 0 },
  { name: 'modulo', title: 'modulo', build: moduloLookup, alternates: 0 },
];
