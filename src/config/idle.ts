/**
 * Backends that get no flows though the config has them: those with weight 0 or draining, and those whose weight is too small
 * beside the others' to earn one slot. Said of a file (rules/warnings.ts), and of what an operator asks a running node for.
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
 * One sentence for each thing that is most likely not meant.
 * @param slots of the pool's table
 */
export function idleBackends(backends: readonly WeighedBackend[], slots: number): string[] {
  const weighed = backends.filter(({ weight }) => weight > 0);
  if (weighed.length === 0)
    return ['no backend has a weight above 0: none gets a slot, and every packet for this pool is dropped'];
  const said: string[] = [];
  if (weighed.every(({ state }) => state === 'draining')) {
    const rest = weighed.length < backends.length ? ', and the others have weight 0' : '';
    said.push(
      `${subject(weighed)} draining${rest}: no backend is left for new flows, so those that drain go on taking them`,
    );
  }
  const idle = withoutSlot(weighed, slots);
  if (idle.length > 0) {
    said.push(
      `${names(idle)} ${idle.length === 1 ? 'gets' : 'get'} no slot of ${slots}, and so no flow: the weight is too small beside ` +
        "the others'; raise it, or take a larger table_size",
    );
  }
  return said;
}

/** By the quotas of a table's layers; of equal claims the first by name is served first. */
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
