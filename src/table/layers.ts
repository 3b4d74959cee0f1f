/**
 * The stack of layers: K = 4 Maglev tables over the same slots, in which a backend stands at most once a slot. A
 * function of names, weights and M alone: health and admin state play no part, so that a backend which goes and
 * comes back finds its slots as they were.
 *
 * This is a versioned function: every node of a fleet must compute the same stack. Version 1:
 *  - Backends with weight above 0, sorted by the bytes of their names. n of them give min(4, n) layers.
 *  - W = the eight big-endian words of SHA-256(name). In layer k: offset = W[2k] mod M, skip = 1 + W[2k+1] mod (M-1).
 *  - Quotas by largest remainder of M * w / sum(w), ties by name; turn j of a backend with quota q at
 *    floor((2j+1) * M / 2q); turns in order of (that, j, name), the same in every layer (turns.ts).
 *  - In its turn a backend claims the next slot of its permutation that is free and that it does not own in a layer
 *    above. If its walk reaches the end of the permutation instead, it drops out of this layer, in that turn.
 *  - When the turns are spent and L slots are free, a further round is played: quotas by largest remainder over the L
 *    slots and the weights of those still in, turns at floor((2j+1) * L / 2q), and so on until no slot is free.
 *
 * It ends: a slot left free in layer k can be refused only by the k backends that own it above, so at most k < n
 * backends drop out, and a round in which none does fills the layer. Hence at most 4 rounds a layer, and no weights
 * make it slow: a walk goes around at most twice a layer.
 *
 * The cost lies in the last slots, where walks are long: the last 128 of 65537 slots take nearly half of all steps.
 * For these the walk is turned around: of each free slot the position in the backend's permutation is worked out, and
 * the first position wins. Positions behind the walk cannot win: such slots are taken or the backend's own above.
 */
import { isPrime } from '../config/prime.js';
import { quotas } from '../core/apportion.js';
import { LAYERS_MAX, TABLE_SIZE_MAX, WEIGHT_MAX } from '../core/limits.js';
import { nameWords } from './name-words.js';
import { inverse, mod, permutationOffset, permutationSkip } from './permutation.js';
import { turnOrder } from './turns.js';

/** Version of the function from members and M to layers, turns.ts and permutation.ts included. */
export const STACK_VERSION = 1;

/** "No backend", in any table of 16-bit indexes. */
export const NONE = 0xffff;

/** Below this many free slots positions are computed instead of walked; 256 measures the same at M = 65537. */
const TAIL_SLOTS = 128;

export interface WeightedName {
  readonly name: string;
  /** 0 to WEIGHT_MAX, an integer; 0 takes no part. */
  readonly weight: number;
}

export interface Stack {
  readonly version: number;
  /** M, prime. */
  readonly slots: number;
  /** Backends with weight above 0, sorted by the bytes of their names; the layers hold indexes into this. */
  readonly names: readonly string[];
  /** In the order of `names`. */
  readonly weights: readonly number[];
  /** min(LAYERS_MAX, names.length) tables of M entries each, the first one on top. */
  readonly layers: readonly Uint16Array[];
}

/**
 * The stack over `members` (in any order) with `slots` = M slots, a prime up to TABLE_SIZE_MAX.
 * Throws RangeError for a size that is not such a prime, a weight out of range or a name given twice: a validated
 * config has none of these.
 */
export function buildStack(
  members: readonly WeightedName[],
  slots: number,
  layersMax: number = LAYERS_MAX,
): Stack {
  if (slots < 3 || slots > TABLE_SIZE_MAX || !isPrime(slots)) {
    throw new RangeError(`a table has a prime number of slots from 3 to ${TABLE_SIZE_MAX}, not ${slots}`);
  }
  const taking = sortedMembers(members);
  const names = taking.map((member) => member.name);
  const weights = taking.map((member) => member.weight);
  const layers: Uint16Array[] = [];
  if (names.length > 0) {
    const words = names.map(nameWords);
    const order = turnOrder(quotas(weights, slots), slots);
    while (layers.length < Math.min(layersMax, names.length)) {
      layers.push(buildLayer(words, weights, order, layers, slots));
    }
  }
  return { version: STACK_VERSION, slots, names, weights, layers };
}

/** True when `buildStack(members, slots)` would give `stack` again: nothing but health or admin states differ. */
export function stackFits(stack: Stack, members: readonly WeightedName[], slots: number): boolean {
  if (stack.slots !== slots) return false;
  const weights = new Map(stack.names.map((name, i) => [name, stack.weights[i]]));
  let found = 0;
  for (const { name, weight } of members) {
    if (weight === 0) continue;
    if (weights.get(name) !== weight) return false;
    found++;
  }
  return found === stack.names.length;
}

/** Compares by UTF-16 units, which for ASCII names is by bytes. */
export function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

function sortedMembers(members: readonly WeightedName[]): WeightedName[] {
  const taking = members.filter((member) => member.weight !== 0).sort(byName);
  for (const [i, { name, weight }] of taking.entries()) {
    if (!Number.isInteger(weight) || weight < 0 || weight > WEIGHT_MAX) {
      throw new RangeError(`weight of ${name} is ${weight}; it must be an integer from 0 to ${WEIGHT_MAX}`);
    }
    if (i > 0 && taking[i - 1].name === name) throw new RangeError(`two members are named ${name}`);
  }
  return taking;
}

/** A layer while it is being filled. */
interface Filling {
  readonly slots: number;
  readonly table: Uint16Array;
  /** One bit a slot. 8 KiB stay in the first-level cache, where looking into `table` took 1.8 ms a layer, not 1.5. */
  readonly taken: Int32Array;
  readonly above: readonly Uint16Array[];
  readonly offsets: Int32Array;
  readonly skips: Int32Array;
  /** The slot each walk looks at next; -1 once the backend has dropped out. */
  readonly next: Int32Array;
  /** 1 for a backend that has dropped out. */
  readonly out: Uint8Array;
  free: number;
}

function buildLayer(
  words: readonly Uint32Array[],
  weights: readonly number[],
  firstRound: Uint16Array,
  above: readonly Uint16Array[],
  slots: number,
): Uint16Array {
  const offsets = new Int32Array(words.length);
  const skips = new Int32Array(words.length);
  for (let i = 0; i < words.length; i++) {
    offsets[i] = permutationOffset(words[i], above.length, slots);
    skips[i] = permutationSkip(words[i], above.length, slots);
  }
  const filling: Filling = {
    slots,
    table: new Uint16Array(slots),
    taken: new Int32Array((slots >>> 5) + 1),
    above,
    offsets,
    skips,
    next: offsets.slice(),
    out: new Uint8Array(words.length),
    free: slots,
  };
  let turns = firstRound;
  let turn = walkTurns(filling, turns);
  while (filling.free > TAIL_SLOTS) {
    turns = furtherRound(filling, weights);
    turn = walkTurns(filling, turns);
  }
  const free = freeSlots(filling);
  computeTurns(filling, turns, turn, free);
  while (filling.free > 0) computeTurns(filling, furtherRound(filling, weights), 0, free);
  return filling.table;
}

function furtherRound(filling: Filling, weights: readonly number[]): Uint16Array {
  const stillIn: number[] = [];
  for (let i = 0; i < weights.length; i++) if (filling.out[i] === 0) stillIn.push(i);
  const quota = quotas(
    stillIn.map((backend) => weights[backend]),
    filling.free,
  );
  const order = turnOrder(quota, filling.free);
  for (let turn = 0; turn < order.length; turn++) order[turn] = stillIn[order[turn]];
  return order;
}

/** Takes turns by walking until they are spent or only the tail is free; returns how many were taken. */
function walkTurns(filling: Filling, turns: Uint16Array): number {
  const { slots, table, taken, above, offsets, skips, next, out } = filling;
  let free = filling.free;
  let turn = 0;
  for (; turn < turns.length && free > TAIL_SLOTS; turn++) {
    const backend = turns[turn];
    const skip = skips[backend];
    const start = offsets[backend];
    let slot = next[backend];
    while (slot >= 0 && ((taken[slot >>> 5] & (1 << slot)) !== 0 || ownsAbove(above, slot, backend))) {
      slot = step(slot, skip, slots);
      if (slot === start) slot = -1;
    }
    if (slot < 0) {
      next[backend] = -1;
      out[backend] = 1;
      continue;
    }
    table[slot] = backend;
    taken[slot >>> 5] |= 1 << slot;
    free--;
    next[backend] = step(slot, skip, slots);
  }
  filling.free = free;
  return turn;
}

function ownsAbove(above: readonly Uint16Array[], slot: number, backend: number): boolean {
  for (let k = 0; k < above.length; k++) if (above[k][slot] === backend) return true;
  return false;
}

/** (slot + skip) mod slots without a branch: the wrap cannot be predicted, and a guess costs a fifth of the walk. */
function step(slot: number, skip: number, slots: number): number {
  const ahead = slot + skip - slots;
  return ahead + (slots & (ahead >> 31));
}

function freeSlots(filling: Filling): Int32Array {
  const free = new Int32Array(filling.free);
  for (let slot = 0, count = 0; count < free.length; slot++) {
    if ((filling.taken[slot >>> 5] & (1 << slot)) === 0) free[count++] = slot;
  }
  return free;
}

/** Takes turns from `from` on by position; the first `filling.free` entries of `free` are the free slots. */
function computeTurns(filling: Filling, turns: Uint16Array, from: number, free: Int32Array): void {
  const { slots, table, above, offsets, skips, out } = filling;
  for (let turn = from; turn < turns.length && filling.free > 0; turn++) {
    const backend = turns[turn];
    if (out[backend] === 1) continue;
    const offset = offsets[backend];
    const factor = inverse(skips[backend], slots);
    let first = slots;
    let chosen = -1;
    for (let f = 0; f < filling.free; f++) {
      const slot = free[f];
      const distance = slot < offset ? slot - offset + slots : slot - offset;
      const position = mod(distance * factor, slots);
      if (position >= first) continue;
      if (ownsAbove(above, slot, backend)) continue;
      first = position;
      chosen = f;
    }
    if (chosen < 0) {
      out[backend] = 1;
      continue;
    }
    table[free[chosen]] = backend;
    filling.free--;
    free[chosen] = free[filling.free];
  }
}
