/**
 * Finds backends that get no flows: with weight 0, draining, or with too small a weight for one slot. For warnings about a file
 * (rules/warnings.ts) and about a request to a running node.
 */

import { quotas } from '../core/apportion.js';
import { listed } from '../core/listed.js';

export interface WeighedBackend {
  readonly name: string | undefined;
  readonly weight: number;
  readonly state: 'active' | 'draining';
}

const NAMES_SHOWN = 5;

/**
 * One sentence for each likely mistake.
 * @param slots of the pool's table
 */
export function idleBackends(backends: readonly WeighedBackend[], slots: number): string[] {
  if (backends.length === 0) return []; // a source is to find them
  const weighed = backends.filter(({ weight }) => weight > 0);
  if (weighed.length === 0)
    return ['no backend has a weight above 0: none gets a slot, and every packet for this pool is dropped'];
  const said: string[] = [];
  if (weighed.every(({ state }) => state === 'draining')) {
    const rest = weighed.length < backends.length ? ', and the others have weight 0' : '';
    said.push(
      `${subject(weighed)} draining${rest}: no backend is left for new flows, so the draining ones keep getting them`,
    );
  }
  const idle = withoutSlot(weighed, slots);
  if (idle.length > 0) {
    said.push(
      `${names(idle)} ${idle.length === 1 ? 'gets' : 'get'} no slot of ${slots}, and so no flow: the weight is too small next to ` +
        "the others'; raise it, or use a larger table_size",
    );
  }
  return said;
}

/** Uses the quotas of the table's layers; of equal claims, the first by name wins. */
function withoutSlot(weighed: readonly WeighedBackend[], slots: number): WeighedBackend[] {
  const sorted = [...weighed].sort((a, b) => ((a.name ?? '') < (b.name ?? '') ? -1 : 1));
  const quota = quotas(
    sorted.map(({ weight }) => weight),
    slots,
  );
  return sorted.filter((_, i) => quota[i] === 0);
}

function subject(backends: readonly WeighedBackend[]): string {
  return `${names(backends)} ${backends.length === 1 ? 'is' : 'are'}`;
}

function names(backends: readonly WeighedBackend[]): string {
  const known = backends.flatMap(({ name }) => name ?? []);
  return listed(known, { most: NAMES_SHOWN });
}
