/**
 * Where a slot goes when nobody in its stack will do: along s, s + t, s + 2t ... mod M over layer 1, with
 * t = 1 + (31337 * s mod (M - 1)), to the first slot whose layer-1 owner is wanted. t differs from slot to slot, so
 * that the slots of a backend that failed do not all follow each other to one neighbour.
 *
 * A wanted backend may own no slot of layer 1 at all (weight 1 beside 65535). If none of them does, the same walk is
 * made over layer 2, then 3, then 4; if none stands in any layer, they come in name order from place
 * (s mod their number) on, around the end.
 *
 * Walks stay short: a layer is walked only while enough of its slots belong to wanted backends that few steps are
 * expected. Otherwise those few slots are looked at instead, each for its place along the walk,
 * ((p - s) * t^-1) mod M. Both give the same backend; without it one backend left of thousands would cost M^2 steps.
 * Resolving a whole table takes longest with 5 of 1000 backends left: 0.13 s at M = 65537.
 */
import { NONE, type Stack } from './layers.js';
import { inverse, mod } from './permutation.js';

/** Step of the walk that starts at `slot`: 1 to slots - 1. */
function walkStep(slot: number, slots: number): number {
  return 1 + mod(31337 * slot, slots - 1);
}

/** What is known of one layer, worked out when a walk first comes to it. */
interface LayerCount {
  readonly table: Uint16Array;
  /** Slots of each backend; 0 for one that is not wanted. */
  readonly slotsOf: Int32Array;
  /** Slots of all wanted backends. */
  readonly total: number;
  /** Made when slots are looked at. */
  lists: SlotLists | undefined;
}

/** The slots of those wanted backends that have any: of backends[i], list[starts[i]] to list[starts[i + 1] - 1]. */
interface SlotLists {
  readonly backends: readonly number[];
  readonly starts: Int32Array;
  readonly list: Int32Array;
}

/** Walks over the layers of one stack, to backends for which `wanted` is 1. */
export class Walk {
  readonly #stack: Stack;
  readonly #wanted: Uint8Array;
  readonly #layers: LayerCount[] = [];
  #inNameOrder: number[] | undefined;

  constructor(stack: Stack, wanted: Uint8Array) {
    this.#stack = stack;
    this.#wanted = wanted;
  }

  /**
   * The first wanted backend on the way from `slot` that is not among the first `count` of `except` (distinct
   * backends); NONE when all are.
   */
  first(slot: number, except: Uint16Array, count: number): number {
    for (let k = 0; k < this.#stack.layers.length; k++) {
      this.#layers[k] ??= this.#countLayer(k);
      const layer = this.#layers[k];
      let left = layer.total;
      for (let i = 0; i < count; i++) left -= except[i] === NONE ? 0 : layer.slotsOf[except[i]];
      if (left === 0) continue;
      // Walking takes slots / left steps on average, looking takes `left` places.
      return left * left < this.#stack.slots
        ? this.#look(layer, slot, except, count)
        : this.#walk(layer, slot, except, count);
    }
    this.#inNameOrder ??= [...this.#wanted.keys()].filter((backend) => this.#wanted[backend] === 1);
    const order = this.#inNameOrder;
    for (let i = 0; i < order.length; i++) {
      const backend = order[(slot + i) % order.length];
      if (!includes(except, count, backend)) return backend;
    }
    return NONE;
  }

  #walk(layer: LayerCount, slot: number, except: Uint16Array, count: number): number {
    const { slots } = this.#stack;
    const step = walkStep(slot, slots);
    for (let at = slot; ; at = at + step < slots ? at + step : at + step - slots) {
      const backend = layer.table[at];
      if (this.#wanted[backend] === 1 && !includes(except, count, backend)) return backend;
    }
  }

  #look(layer: LayerCount, slot: number, except: Uint16Array, count: number): number {
    const { slots } = this.#stack;
    layer.lists ??= listSlots(layer);
    const { backends, starts, list } = layer.lists;
    const factor = inverse(walkStep(slot, slots), slots);
    let first = slots;
    let chosen = NONE;
    for (let b = 0; b < backends.length; b++) {
      if (includes(except, count, backends[b])) continue;
      for (let i = starts[b]; i < starts[b + 1]; i++) {
        const distance = list[i] < slot ? list[i] - slot + slots : list[i] - slot;
        const place = mod(distance * factor, slots);
        if (place >= first) continue;
        first = place;
        chosen = backends[b];
      }
    }
    return chosen;
  }

  #countLayer(k: number): LayerCount {
    const table = this.#stack.layers[k];
    const slotsOf = new Int32Array(this.#stack.names.length);
    for (let slot = 0; slot < table.length; slot++) slotsOf[table[slot]]++;
    let total = 0;
    for (let backend = 0; backend < slotsOf.length; backend++) {
      slotsOf[backend] *= this.#wanted[backend];
      total += slotsOf[backend];
    }
    return { table, slotsOf, total, lists: undefined };
  }
}

function listSlots(layer: LayerCount): SlotLists {
  const backends = [...layer.slotsOf.keys()].filter((backend) => layer.slotsOf[backend] > 0);
  const starts = new Int32Array(backends.length + 1);
  const ends = new Int32Array(layer.slotsOf.length);
  for (const [i, backend] of backends.entries()) {
    ends[backend] = starts[i];
    starts[i + 1] = starts[i] + layer.slotsOf[backend];
  }
  const list = new Int32Array(layer.total);
  for (let slot = 0; slot < layer.table.length; slot++) {
    const backend = layer.table[slot];
    if (layer.slotsOf[backend] > 0) list[ends[backend]++] = slot;
  }
  return { backends, starts, list };
}

function includes(list: Uint16Array, count: number, value: number): boolean {
  for (let i = 0; i < count; i++) if (list[i] === value) return true;
  return false;
}
