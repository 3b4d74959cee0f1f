/** How evenly a pool's slots are spread over the backends that may own them: the figures that operators compare. */
import { byName, type WeightedName } from './layers.js';
import { slotsOf } from './slots.js';

export interface Evenness {
  /** Eligible backends; those without a slot count too. */
  readonly backends: number;
  /** Slots of the backend with the fewest, the most, and on average. */
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  /** Coefficient of variation: standard deviation over mean. 0 is perfectly even. */
  readonly cv: number;
  readonly maxOverMean: number;
  /** The most that any backend has over its share by weight; the same as maxOverMean when weights are equal. */
  readonly maxOverShare: number;
  /** The backend that this is, the first by name of several. */
  readonly busiest: string;
  /** Those without a slot, by name. */
  readonly idle: readonly string[];
}

/**
 * Over `eligible` (eligible.ts), the backends that may own slots of `tables`. Undefined when there are none: nobody
 * owns anything then.
 */
export function evenness(
  tables: { readonly names: readonly string[]; readonly owners: Uint16Array },
  eligible: readonly WeightedName[],
): Evenness | undefined {
  if (eligible.length === 0) return undefined;
  const owned = new Map(eligible.map((member) => [member.name, 0]));
  for (const [i, count] of slotsOf(tables).entries()) {
    if (count > 0) owned.set(tables.names[i], count);
  }
  const counts = [...owned.values()];
  const mean = tables.owners.length / eligible.length;
  const variance = counts.reduce((sum, count) => sum + (count - mean) ** 2, 0) / counts.length;
  const weights = eligible.reduce((sum, member) => sum + member.weight, 0);
  const overShare = (member: WeightedName): number =>
    (owned.get(member.name)! * weights) / (tables.owners.length * member.weight);
  const busiest = [...eligible]
    .sort(byName)
    .reduce((most, member) => (overShare(member) > overShare(most) ? member : most));
  const max = counts.reduce((most, count) => Math.max(most, count));
  return {
    backends: eligible.length,
    min: counts.reduce((least, count) => Math.min(least, count)),
    max,
    mean,
    cv: Math.sqrt(variance) / mean,
    maxOverMean: max / mean,
    maxOverShare: overShare(busiest),
    busiest: busiest.name,
    idle: [...owned].flatMap(([name, count]) => (count === 0 ? [name] : [])).sort(),
  };
}
