/**
 * Counters of one pipeline: a number a verdict; packets and bytes for each service and each backend; what rules of defence did for each
 * service. Doubles: they count exactly to 2^53, and adding to one allocates nothing. Bytes are IP bytes as received.
 */
import { L, VERDICTS } from '../core/layout.gen.js';

/** Values an entry of `services` and `backends`: packets, then bytes. */
export const COUNTERS_PER_ENTRY = 2;

/** What is counted by number: values an entry, and whose numbers these are. */
export const COUNTED = {
  services: { each: COUNTERS_PER_ENTRY, of: 'services' },
  backends: { each: COUNTERS_PER_ENTRY, of: 'backends' },
  guarded: { each: L.GUARDED_KINDS, of: 'services' },
} as const;
export type Counted = keyof typeof COUNTED;
export const COUNTED_KINDS = ['services', 'backends', 'guarded'] as const;
/** Memory to count in. */
export type CountedMemory = Readonly<Record<Counted, Float64Array>>;

export class Counters {
  readonly verdicts: Float64Array;
  services: Float64Array = new Float64Array(0);
  backends: Float64Array = new Float64Array(0);
  /** By L.GUARDED_...: native/include/anyhop/defend.h. */
  guarded: Float64Array = new Float64Array(0);

  /** @param verdicts where to count them, one entry each; another thread may be reading there */
  constructor(verdicts: Float64Array = new Float64Array(VERDICTS.length)) {
    this.verdicts = verdicts;
  }

  /** Counts in other memory from now on, which has at least as much room; what has been counted goes along. */
  moveTo(memory: CountedMemory): void {
    for (const kind of COUNTED_KINDS) {
      memory[kind].set(this[kind]);
      this[kind] = memory[kind];
    }
  }

  /** Adds what has been counted elsewhere; there must be room for it. */
  add(other: Counters): void {
    for (const kind of ['verdicts', ...COUNTED_KINDS] as const) {
      for (const [index, count] of other[kind].entries()) this[kind][index] += count;
    }
  }

  /** Makes room for as many entries; what has been counted stays. */
  grow(services: number, backends: number): void {
    const entries = { services, backends };
    for (const kind of COUNTED_KINDS) {
      const { each, of } = COUNTED[kind];
      this[kind] = grown(this[kind], entries[of] * each);
    }
  }

  /** Packets that went through the pipeline: the verdicts' sum. */
  total(): number {
    return this.verdicts.reduce((sum, count) => sum + count, 0);
  }

  /** Name to count, for people and machines; verdicts that never happened are left out. */
  verdictsByName(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const [index, verdict] of VERDICTS.entries()) {
      if (this.verdicts[index] > 0) counts[verdict.name] = this.verdicts[index];
    }
    return counts;
  }

  /** Name to packets and bytes; names are by counter number, and entries that never counted are left out. */
  entriesByName(
    kind: 'services' | 'backends',
    names: readonly string[],
  ): Record<string, { packets: number; bytes: number }> {
    const entries: Record<string, { packets: number; bytes: number }> = {};
    for (const [index, name] of names.entries()) {
      const at = index * COUNTERS_PER_ENTRY;
      if (this[kind][at] > 0) entries[name] = { packets: this[kind][at], bytes: this[kind][at + 1] };
    }
    return entries;
  }
}

function grown(array: Float64Array, length: number): Float64Array {
  if (array.length >= length) return array;
  const larger = new Float64Array(length);
  larger.set(array);
  return larger;
}
