/** Which of a pool's alternates take part in second chance: those that the key of a slot names (packet/second-chance-key.ts). */
import { keyFacts, namedAlternates } from '../packet/second-chance-key.js';
import { NONE } from '../table/layers.js';
import type { PoolTables } from '../table/resolve.js';
import type { StateMember } from './states.js';

/** In the shape of `PoolTables.alternates`; NONE in the place of one that no key names. */
export function keyedAlternates({ members, owners, alternates }: PoolTables<StateMember>): Uint16Array {
  const facts = keyFacts(members);
  const slots = owners.length;
  const keyed = alternates.slice();
  for (let slot = 0; slot < slots; slot++) {
    const second = slots + slot;
    const named = namedAlternates(facts[owners[slot]], facts[alternates[slot]], facts[alternates[second]]);
    if ((named & 1) === 0) keyed[slot] = NONE;
    if ((named & 2) === 0) keyed[second] = NONE;
  }
  return keyed;
}
